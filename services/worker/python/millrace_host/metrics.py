"""The metrics_client that a handler may ask for: each call becomes one structured log line."""

from __future__ import annotations

import json
import sys
from typing import Any, Optional

RESERVED = ("cortex_", "istio_")


class MetricsClient:
    """`increment`, `gauge` and `histogram` of (metric, value, tags); names must not begin with cortex_ or istio_."""

    def increment(self, metric: str, value: float = 1, tags: Optional[dict[str, str]] = None) -> None:
        self._say("counter", metric, value, tags)

    def gauge(self, metric: str, value: float, tags: Optional[dict[str, str]] = None) -> None:
        self._say("gauge", metric, value, tags)

    def histogram(self, metric: str, value: float, tags: Optional[dict[str, str]] = None) -> None:
        self._say("histogram", metric, value, tags)

    def _say(self, kind: str, metric: str, value: float, tags: Optional[dict[str, str]]) -> None:
        if metric.startswith(RESERVED):
            raise ValueError(f'metric "{metric}": names that begin with cortex_ or istio_ are reserved; choose another')
        line: dict[str, Any] = {"metric": metric, "type": kind, "value": value, "tags": tags or {}}
        sys.stdout.write(json.dumps(line, default=str) + "\n")
