"""A job_spec whose total_batch_count waits however it is read."""

from __future__ import annotations

import copy
import json
import operator
import pickle
from typing import Any, Callable

import pytest
from millrace_host.job_spec import WaitingJobSpec

KNOWN = {"job_id": "j", "workers": 2}
WHOLE = {**KNOWN, "total_batch_count": 7}


class Spec:
    def __init__(self) -> None:
        self.waits = 0
        self.spec = WaitingJobSpec(KNOWN, self._wait)

    def _wait(self) -> int:
        self.waits += 1
        return 7


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda spec: spec["total_batch_count"], 7),
        (lambda spec: spec.get("total_batch_count"), 7),
        (lambda spec: spec.get("total_batch_count", 0), 7),
        (lambda spec: spec.setdefault("total_batch_count", 0), 7),
        (lambda spec: spec.pop("total_batch_count"), 7),
        (lambda spec: "total_batch_count" in spec, True),
        (list, list(WHOLE)),
        (lambda spec: list(reversed(spec)), list(WHOLE)[::-1]),
        (lambda spec: list(spec.keys()), list(WHOLE)),
        (lambda spec: list(spec.values()), list(WHOLE.values())),
        (lambda spec: dict(spec.items()), WHOLE),
        (len, 3),
        (dict, WHOLE),
        (lambda spec: {**spec}, WHOLE),
        (lambda spec: dict(**spec), WHOLE),
        (lambda spec: {}.update(spec) or spec == WHOLE, True),
        (lambda spec: spec.copy(), WHOLE),
        (copy.copy, WHOLE),
        (copy.deepcopy, WHOLE),
        (lambda spec: spec == WHOLE, True),
        (lambda spec: operator.eq(WHOLE, spec), True),
        (lambda spec: spec != WHOLE, False),
        (repr, repr(WHOLE)),
        (str, str(WHOLE)),
        (json.dumps, json.dumps(WHOLE)),
        (lambda spec: json.dumps({"in": [spec]}), json.dumps({"in": [WHOLE]})),
        (lambda spec: json.dumps(spec, indent=1), json.dumps(WHOLE, indent=1)),
        (lambda spec: pickle.loads(pickle.dumps(spec)), WHOLE),
        (lambda spec: spec.popitem(), ("total_batch_count", 7)),
    ],
)
def test_waits_once(read: Callable[[Any], Any], expected: Any) -> None:
    made = Spec()
    assert read(made.spec) == expected
    assert made.waits == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda spec: spec["job_id"],
        lambda spec: spec.get("workers"),
        lambda spec: spec.get("other", 1),
        lambda spec: "job_id" in spec,
        lambda spec: spec.update(note="mine"),
        lambda spec: isinstance(spec, dict),
        bool,
    ],
)
def test_does_not_wait_for_anything_else(read: Callable[[Any], Any]) -> None:
    made = Spec()
    if read is not bool:
        read(made.spec)
    assert made.waits == 0


def test_a_missing_key_is_missing() -> None:
    with pytest.raises(KeyError):
        Spec().spec["nothing"]
