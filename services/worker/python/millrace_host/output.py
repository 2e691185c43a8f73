"""Standard output and error of the handler process: one stream, with a marker before each frame's work."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO


class Output:
    """Writes markers through a descriptor of its own, so that a handler may close or redirect its standard output."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)  # not inheritable: programs that the handler starts do not hold it
        self._prefix = b""
        for stream in (sys.stdout, sys.stderr):
            _prepare(stream)

    def set_nonce(self, nonce: str) -> None:
        self._prefix = b"\0" + nonce.encode() + b" "

    def mark(self, sequence: int) -> None:
        """What is printed from here on belongs to the frame `sequence`, which has begun. Flush before."""
        marker = self._prefix + b"%d\n" % sequence
        for descriptor in (self._descriptor, 1):
            try:
                while marker:
                    marker = marker[os.write(descriptor, marker) :]
                return
            except OSError:
                continue  # broken, or closed by user code: the work is more important than its log

    def flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass  # user code closed or replaced it: nothing of ours depends on it

    def close(self) -> None:
        try:
            os.close(self._descriptor)
        except OSError:
            pass  # closed already


def _prepare(stream: TextIO) -> None:
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
