"""Tells what went wrong in user code: one sentence and a traceback without the host's own frames."""

from __future__ import annotations

import os

TRACEBACK_CHARACTERS_MAX = 8_192
ERROR_CHARACTERS_MAX = 1_024

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def sentence(text: str) -> str:
    return text if len(text) <= ERROR_CHARACTERS_MAX else text[: ERROR_CHARACTERS_MAX - 3] + "..."


def name(error: BaseException) -> str:
    """`ValueError: its text`, whatever the error's own methods do."""
    kind = type(error).__name__
    try:
        text = str(error).strip()
    except Exception:
        text = ""  # an error that can not tell itself must not hide that there was one
    return f"{kind}: {text}" if text else kind


def traceback_of(error: BaseException) -> str:
    """The end of the traceback, from the first frame that is not the host's."""
    import traceback  # here, because it is slow to import and mostly not needed

    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception:
        text = name(error)  # an error whose parts can not be printed
    return text[-TRACEBACK_CHARACTERS_MAX:]


def _is_ours(filename: str) -> bool:
    return filename.startswith((_HERE, "<frozen importlib"))
