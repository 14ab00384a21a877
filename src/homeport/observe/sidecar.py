"""What Google's Managed Prometheus sidecar is told: its RunMonitoring file, with the series that panels and alerts use."""

from __future__ import annotations

import json
from collections.abc import Iterable

from homeport.engines.metric_names import PARTS, MetricNames
from homeport.gateway.callers import REQUESTS, TOKENS
from homeport.json_types import JsonObject
from homeport.observe.panels import Watched

EVERY_S = 30
"""Seconds between two scrapes."""
API_VERSION, KIND = "monitoring.googleapis.com/v1beta", "RunMonitoring"
_MOST_SERIES = 2000
_BUCKET, _SUM, _COUNT = PARTS
_OF_CALLERS = frozenset((f"{REQUESTS}_total", f"{TOKENS}_total"))


def run_monitoring(watched: Watched, port: int, *, callers: int | None = None) -> str:
    """
    Return the file: JSON, which is YAML as well. The sidecar refuses a key that it does not know, and then ends.

    `callers` is the port at which counts are told by caller: that of all others where one program has both, else one of its own.
    Of a histogram whose sum or count alone is used, its count and last bucket are kept, too: the sidecar drops a histogram without them.
    """
    sums = _sums(watched.names)
    series = watched.names.series() | {f"{name}{part}" for name in sums for part in PARTS}
    rules = [_keep(series | (_OF_CALLERS if callers == port else set()))]
    if sums:
        buckets = f"(?:{'|'.join(sums)}){_BUCKET};[0-9].*"
        rules.append({"action": "drop", "sourceLabels": ["__name__", "le"], "regex": buckets})
    endpoints = [_endpoint(port, rules)]
    if callers is not None and callers != port:
        endpoints.append(_endpoint(callers, [_keep(_OF_CALLERS)]))
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": f"homeport-{watched.name}"},
        "spec": {
            "endpoints": endpoints,
            "targetLabels": {"metadata": ["revision"]},
            "limits": {"samples": _MOST_SERIES},
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _keep(series: Iterable[str]) -> JsonObject:
    return {"action": "keep", "sourceLabels": ["__name__"], "regex": "|".join(sorted(series))}


def _endpoint(port: int, rules: list[JsonObject]) -> JsonObject:
    return {
        "port": f"{port}",
        "path": "/metrics",
        "interval": f"{EVERY_S}s",
        "timeout": "10s",
        "metricRelabeling": rules,
    }


def _sums(names: MetricNames) -> tuple[str, ...]:
    """Return the histograms of which nothing but the sum, or how many there were, is asked for."""
    complete = {f"{name}{part}" for name in names.ttft for part in PARTS}
    ends = (_SUM, _COUNT)
    histograms = {
        name.removesuffix(end) for name in names.series() - complete for end in ends if name.endswith(end)
    }
    return tuple(sorted(histograms))


__all__ = ["API_VERSION", "EVERY_S", "KIND", "run_monitoring"]
