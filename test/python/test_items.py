"""Items are strict JSON, and the same values with and without orjson."""

from __future__ import annotations

from typing import Any

import pytest
from millrace_host.items import BadItems, Decoder, find_orjson

ORJSON = find_orjson()
DECODERS = [Decoder(None)] + ([Decoder(ORJSON)] if ORJSON is not None else [])


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"[1, 2]", [1, 2]),
        (b'["\xc3\xa9"]', ["é"]),
        (b"[18446744073709551616, -9223372036854775809]", [18446744073709551616, -9223372036854775809]),
        (b"[0.1234567890123456789012]", [0.1234567890123456789012]),
        (b'["\\ud800"]', ["\ud800"]),
        (b'[{"a":1,"a":2}]', [{"a": 2}]),
    ],
)
def test_decodes(decoder: Decoder, body: bytes, values: list[Any]) -> None:
    decoded = decoder.decode(memoryview(bytearray(body)), len(values))
    assert decoded == values
    assert [type(value) for value in decoded] == [type(value) for value in values]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1,",
        b"{}",
        b"null",
        b"[1,2]",
        b"[NaN]",
        b"[-Infinity]",
        b'["\xff"]',
        b"[1] 2",
        b"[" * 100_000,
        b"\xef\xbb\xbf[1]",
    ],
)
def test_refuses(decoder: Decoder, body: bytes) -> None:
    with pytest.raises(BadItems):
        decoder.decode(memoryview(bytearray(body)), 1)
