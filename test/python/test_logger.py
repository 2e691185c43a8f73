"""The structured logger and the metrics client."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from millrace_host.metrics import MetricsClient

SHIM = Path(__file__).parents[2] / "services/worker/python/shim"


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    monkeypatch.syspath_prepend(str(SHIM))
    for name in [name for name in sys.modules if name.startswith("cortex_internal")]:
        monkeypatch.delitem(sys.modules, name)
    from cortex_internal.lib.log import logger

    return logger


def test_writes_one_json_line_with_extra_flattened(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logger.info("seen %d", 3, extra={"labels": {"a": 1}, "score": 0.5})
    line = json.loads(capsys.readouterr().out)
    assert {"asctime", "levelname", "message", "process", "labels", "score"} == set(line)
    assert (line["levelname"], line["message"], line["labels"]) == ("INFO", "seen 3", {"a": 1})


def test_keeps_what_json_does_not_know_as_text(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logger.warning("odd", extra={"path": Path("a")})
    assert json.loads(capsys.readouterr().out)["path"] == "a"


def test_leaves_out_what_is_below_the_level(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logger.debug("not said")
    assert capsys.readouterr().out == ""


def test_drops_a_line_of_more_than_5_megabytes_and_says_so(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.info("x" * (5 * 1024 * 1024))
    line = json.loads(capsys.readouterr().out)
    assert "was dropped: the limit is 5242880 bytes" in line["message"]


def test_metrics_are_structured_lines(capsys: pytest.CaptureFixture[str]) -> None:
    MetricsClient().histogram("latency", 1.5, {"model": "a"})
    line = json.loads(capsys.readouterr().out)
    assert line == {"metric": "latency", "type": "histogram", "value": 1.5, "tags": {"model": "a"}}


@pytest.mark.parametrize("name", ["cortex_x", "istio_y"])
def test_metrics_refuse_reserved_names(name: str) -> None:
    with pytest.raises(ValueError, match="are reserved; choose another"):
        MetricsClient().increment(name)
