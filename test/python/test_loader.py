"""The rules of the handler class, as Cortex checked them (docs/handlers.md tells them to users)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from millrace_host.loader import Loaded, StartFailed, load
from millrace_host.metrics import MetricsClient

GIVEN: dict[str, Any] = {"config": {"a": 1}, "job_spec": {"job_id": "j"}, "metrics_client": MetricsClient()}

INIT = "    def __init__(self, config): self.given = config\n"
BATCH = "    def handle_batch(self, payload): return payload\n"


def load_source(folder: Path, source: str, name: str = "handler.py") -> Loaded:
    (folder / name).write_text(source)
    try:
        return load(str(folder), name, None, GIVEN)
    finally:
        sys.modules.pop("handler", None)


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("class Handler:\n" + INIT + BATCH, {"payload"}),
        ("class Handler:\n" + INIT + "    def handle_batch(self): pass\n", set()),
        (
            "class Handler:\n" + INIT + "    def handle_batch(self, batch_id, payload=None): pass\n",
            {"payload", "batch_id"},
        ),
        # only named positional arguments count: defaults, *args and **kwargs are not considered
        ("class Handler:\n" + INIT + "    def handle_batch(self, payload, *args, **kwargs): pass\n", {"payload"}),
        ("class Handler:\n    def __init__(self, job_spec, config): pass\n" + BATCH, {"payload"}),
        ("class Handler:\n    def __init__(self, config, metrics_client): pass\n" + BATCH, {"payload"}),
        (
            "class PythonPredictor:\n"
            + INIT
            + "    def predict(self, payload, batch_id, headers, query_params): pass\n",
            {"payload", "batch_id", "headers", "query_params"},
        ),
        (
            "class PythonPredictor:\n"
            + INIT
            + "    def predict(self, payload): pass\n    def load_model(self): pass\n",
            {"payload"},
        ),
        ("class Base:\n" + INIT + BATCH + "class Handler(Base): pass\n", {"payload"}),
    ],
)
def test_takes_what_cortex_took(tmp_path: Path, source: str, asked: set[str]) -> None:
    assert load_source(tmp_path, source).asked == asked


MUST_START_WITH_SELF = 'handler.py: Handler.handle_batch: its first argument must be "self", found '


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("class Handler:\n" + BATCH, "handler.py: Handler has no method __init__; add def __init__(self, config)"),
        (
            "class Handler:\n    def __init__(self): pass\n" + BATCH,
            'handler.py: Handler.__init__: its argument "config" is missing; write def __init__(self, config)',
        ),
        (
            "class Handler:\n    def __init__(self, config, model): pass\n" + BATCH,
            'handler.py: Handler.__init__: its argument "model" is unknown; '
            "it may take self, config, job_spec, metrics_client",
        ),
        (
            "class Handler:\n    def __init__(self, config, python_client): pass\n" + BATCH,
            'handler.py: Handler.__init__: its argument "python_client" can not be given: '
            "model caching by python_client is not supported in batch jobs; load the model in __init__ itself",
        ),
        (
            "class Handler:\n" + INIT,
            "handler.py: Handler has no method handle_batch; add def handle_batch(self, payload)",
        ),
        (
            "class PythonPredictor:\n" + INIT + BATCH,
            "handler.py: PythonPredictor has no method predict; add def predict(self, payload)",
        ),
        (
            "class Handler:\n" + INIT + "    def handle_batch(self, payload, headers): pass\n",
            'handler.py: Handler.handle_batch: its argument "headers" is unknown; '
            "it may take self, payload, batch_id, parent_id",
        ),
        (
            "class Handler:\n" + INIT + "    def handle_batch(payload, self): pass\n",
            MUST_START_WITH_SELF + '"payload"; write def handle_batch(self, payload)',
        ),
        (
            "class Handler:\n" + INIT + "    def handle_batch(): pass\n",
            MUST_START_WITH_SELF + "none; write def handle_batch(self, payload)",
        ),
        (
            "class Handler:\n" + INIT + BATCH + "    def on_job_complete(self, result): pass\n",
            'handler.py: Handler.on_job_complete: its argument "result" is unknown; it takes self only',
        ),
        (
            "class Handler:\n" + INIT + BATCH + "PythonPredictor = type('PythonPredictor', (), {})\n",
            "handler.py: it defines Handler and PythonPredictor; keep exactly one handler class",
        ),
        ("", "handler.py: it defines no class Handler (or PythonPredictor); add one"),
        (
            "class TensorFlowPredictor: pass\n",
            "handler.py: the class TensorFlowPredictor is not supported yet; "
            "write a class Handler that loads the model itself",
        ),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, source: str, sentence: str) -> None:
    with pytest.raises(StartFailed) as failed:
        load_source(tmp_path, source)
    assert failed.value.error == sentence
    assert failed.value.kind == "signature"


def test_reads_signatures_as_getfullargspec_does_for_what_is_no_plain_function(tmp_path: Path) -> None:
    wrapped = (
        "import functools\n"
        "def logged(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(self, payload): return function(self, payload)\n"
        "    return wrapper\n"
        "class Handler:\n" + INIT + "    @logged\n" + BATCH
    )
    assert load_source(tmp_path, wrapped).asked == {"payload"}


def test_gives_init_only_what_it_asks_for_and_the_hook_of_the_same_instance(tmp_path: Path) -> None:
    source = "class Handler:\n" + INIT + BATCH + "    def on_job_complete(self): return self.given\n"
    loaded = load_source(tmp_path, source)
    assert loaded.hook is not None
    assert loaded.hook() == {"a": 1}


def test_tells_an_error_in_init_with_a_traceback_without_the_hosts_frames(tmp_path: Path) -> None:
    with pytest.raises(StartFailed) as failed:
        load_source(tmp_path, "class Handler:\n    def __init__(self, config): config['b']\n" + BATCH)
    assert failed.value.error == "handler.py: Handler.__init__ raised KeyError: 'b'"
    assert failed.value.kind == "init"
    assert "in __init__" in failed.value.traceback
    assert "millrace_host" not in failed.value.traceback


def test_imports_a_file_whose_name_is_taken_without_replacing_the_owner(tmp_path: Path) -> None:
    loaded = load_source(tmp_path, "class Handler:\n" + INIT + BATCH, "json.py")
    assert loaded.asked == {"payload"}
    assert sys.modules["json"].__name__ == "json"


def test_says_that_a_pickle_needs_dill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dill", None)
    with pytest.raises(StartFailed, match=r"needs the package dill; add it to requirements\.txt"):
        load_source(tmp_path, "", "handler.pickle")
