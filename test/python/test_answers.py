"""What a handler returns, made into rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from millrace_host.answers import BadAnswer, rows


class Array:
    """Like numpy's: knows how to become plain values."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def tolist(self) -> Any:
        return self._value


@pytest.mark.parametrize(
    "answer", [[1, {"a": None}], (1, {"a": None}), Array([1, {"a": None}]), [Array(1), {"a": None}]]
)
def test_makes_a_row_per_item(answer: Any) -> None:
    assert rows(answer, [4, 9], "handle_batch") == b'{"index":4,"result":1}\n{"index":9,"result":{"a":null}}\n'


def test_makes_no_rows_of_none() -> None:
    assert rows(None, range(3), "handle_batch") is None


def test_keeps_text_readable_and_a_lone_surrogate_as_an_escape() -> None:
    assert rows(["é"], [0], "predict") == '{"index":0,"result":"é"}\n'.encode()
    assert rows(["\ud800"], [0], "predict") == b'{"index":0,"result":"\\ud800"}\n'


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(200_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("ab", "predict returned a value of type str; return a list with one result per item (2), or None when "),
        ({0: 1, 1: 2}, "predict returned a value of type dict; "),
        ((value for value in [1, 2]), "predict returned a value of type generator; "),
        ([1], "predict returned 1 results for 2 items; return a list with one result per item (2), or None when "),
        ([1, {2}], "the result of item 8 holds a value of type set, which JSON does not know; let predict convert it"),
        ([float("nan"), 1], "the result of item 7 holds NaN or Infinity, which JSON does not know; "),
        ([1, [Array(float("inf"))]], "the result of item 8 holds NaN or Infinity, which JSON does not know; "),
        ([1, {(1, 2): 3}], "the result of item 8 holds a dict whose keys are not strings, which JSON does not know; "),
        ([1, circular()], "the result of item 8 holds a value that contains itself, which JSON does not know; "),
        ([1, b"secret"], "the result of item 8 holds a value of type bytes, which JSON does not know; "),
    ],
)
def test_says_what_is_wrong_without_the_value(answer: Any, sentence: str) -> None:
    with pytest.raises(BadAnswer) as failed:
        rows(answer, [7, 8], "predict")
    assert str(failed.value).startswith(sentence)
    assert "secret" not in str(failed.value)


def test_survives_a_value_that_is_nested_too_deeply() -> None:
    with pytest.raises(BadAnswer, match="nested too deeply"):
        rows([deep()], [0], "predict")


def test_rows_are_json_lines() -> None:
    made = rows([{"text": "a\nb\u2028"}, [1.5]], [0, 1], "predict")
    assert made is not None
    assert [json.loads(line)["index"] for line in made.split(b"\n")[:-1]] == [0, 1]
