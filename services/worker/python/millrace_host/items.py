"""Decodes the items of a batch. Strict JSON: NaN and Infinity are not values, UTF-8 must be whole."""

from __future__ import annotations

import json
from typing import Any, Callable, NoReturn, Optional

from .frames import Body

Loads = Callable[[Body], Any]


class BadItems(Exception):
    """The body is no JSON array of the length that was told."""


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


_decode = json.JSONDecoder(parse_constant=_refuse).decode

_DIGITS_TO_ZERO = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))
# Integers of fewer digits fit into 64 bits; orjson silently makes floats of larger ones.
_TOO_MANY_DIGITS = b"0" * 19


def find_orjson() -> Optional[Loads]:
    """orjson's decoder where the environment has it; never required."""
    try:
        from orjson import loads
    except Exception:  # missing, or broken in a way that must not stop a handler that does not need it
        return None
    return loads  # type: ignore[no-any-return,unused-ignore]


class Decoder:
    """Decodes with orjson where it gives the same values as the standard library, else with the standard library."""

    def __init__(self, loads: Optional[Loads]) -> None:
        self._loads = loads

    def decode(self, body: Body, items: int) -> list[Any]:
        value = self._fast(body)
        if value is None:
            try:
                value = _decode(str(body, "utf-8"))
            except (ValueError, RecursionError) as error:
                raise BadItems from error
        if type(value) is not list or len(value) != items:
            raise BadItems
        return value

    def _fast(self, body: Body) -> Any:
        if self._loads is None:
            return None
        if _TOO_MANY_DIGITS in bytes(body).translate(_DIGITS_TO_ZERO):
            return None
        try:
            return self._loads(body)
        except Exception:  # the standard library decides: it takes lone surrogates and deeper nesting
            return None
