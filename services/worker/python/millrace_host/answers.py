"""Makes result rows of what a handler returned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional


class BadAnswer(Exception):
    """What the handler returned can not be kept; the text is the sentence for the user."""


class _NoJson(Exception):
    pass


def _convert(value: Any) -> Any:
    # numpy's scalars and arrays, and what is made like them, know how to become plain values.
    tolist = getattr(value, "tolist", None)
    if callable(tolist):
        return tolist()
    raise _NoJson(f"a value of type {type(value).__name__}")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_convert).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_convert).encode


def rows(answer: Any, indexes: Sequence[int], method: str) -> Optional[bytes]:
    """
    One line `{"index":i,"result":...}` per item, or None when the handler returned None. Tuples count as lists, and so
    does what has `tolist`, such as a numpy array; generators do not.
    """
    if answer is None:
        return None
    results = answer
    if not isinstance(results, (list, tuple)) and callable(getattr(results, "tolist", None)):
        results = results.tolist()
    wanted = f"return a list with one result per item ({len(indexes)}), or None when the handler writes its own results"
    if not isinstance(results, (list, tuple)):
        raise BadAnswer(f"{method} returned a value of type {type(answer).__name__}; {wanted}")
    if len(results) != len(indexes):
        raise BadAnswer(f"{method} returned {len(results)} results for {len(indexes)} items; {wanted}")
    lines = [
        f'{{"index":{index},"result":{_result(result, index, method)}}}\n' for index, result in zip(indexes, results)
    ]
    text = "".join(lines)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can say it only as an escape
        return "".join(
            f'{{"index":{index},"result":{_encode_ascii(result)}}}\n' for index, result in zip(indexes, results)
        ).encode()


def _result(result: Any, index: int, method: str) -> str:
    try:
        return _encode(result)
    except _NoJson as error:
        what = str(error)
    except TypeError:
        what = "a dict whose keys are not strings"
    except ValueError as error:
        what = "a value that contains itself" if "ircular" in str(error) else "NaN or Infinity"
    except RecursionError:
        what = "a value that is nested too deeply"
    raise BadAnswer(f"the result of item {index} holds {what}, which JSON does not know; let {method} convert it first")
