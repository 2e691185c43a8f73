"""`from cortex_internal.lib.log import logger`: one JSON line a record, `extra` flattened one level."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

LINE_BYTES_MAX = 5 * 1024 * 1024

# What every record has by itself; anything else came by `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _text(value: Any) -> str:
    return str(value)


class JsonFormatter(logging.Formatter):
    """`{"asctime", "levelname", "message", "process", ...extra}`; a traceback stands under `exc_info`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "asctime": self.formatTime(record, self.datefmt),
            "levelname": record.levelname,
            "message": record.getMessage(),
            "process": record.process,
        }
        for key, value in vars(record).items():
            if key not in _OWN:
                line[key] = value
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        text = json.dumps(line, default=_text, skipkeys=True)
        if len(text) <= LINE_BYTES_MAX:
            return text
        dropped = f"a log line of {len(text)} bytes was dropped: the limit is {LINE_BYTES_MAX} bytes"
        return json.dumps({**{key: line[key] for key in ("asctime", "levelname", "process")}, "message": dropped})


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[Any]
else:
    _StreamHandler = logging.StreamHandler  # takes no parameter before Python 3.11


class _StandardOutput(_StreamHandler):
    """Finds sys.stdout anew for each line: users replace it."""

    @property
    def stream(self) -> Any:
        return sys.stdout

    @stream.setter
    def stream(self, _: Any) -> None:
        pass


def make_logger(level: str) -> logging.Logger:
    made = logging.getLogger("cortex")
    if not made.handlers:
        handler = _StandardOutput()
        handler.setFormatter(JsonFormatter())
        made.addHandler(handler)
        made.propagate = False
    made.setLevel(level.upper())
    return made


LEVEL_VARIABLE = "MILLRACE_LOG_LEVEL"


def level_from_environment() -> str:
    level = os.environ.get(LEVEL_VARIABLE, "info").upper()
    return level if level in ("DEBUG", "INFO", "WARNING", "ERROR") else "INFO"


logger = make_logger(level_from_environment())
