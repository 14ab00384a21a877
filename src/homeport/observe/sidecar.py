"""What Google's Managed Prometheus sidecar is told: its RunMonitoring file, with the series that panels and alerts use."""

from __future__ import annotations

import json

from homeport.engines.metric_names import PARTS, MetricNames
from homeport.observe.panels import Watched

EVERY_S = 30
"""Seconds between two scrapes."""
API_VERSION, KIND = "monitoring.googleapis.com/v1beta", "RunMonitoring"
_MOST_SERIES = 2000
_BUCKET, _SUM, _COUNT = PARTS


def run_monitoring(watched: Watched, port: int) -> str:
    """
    Return the file: JSON, which is YAML as well. The sidecar refuses a key that it does not know, and then ends.

    Of a histogram whose sum or count alone is used, its count and last bucket are kept, too: the sidecar drops a histogram without them.
    """
    sums = _sums(watched.names)
    series = watched.names.series() | {f"{name}{part}" for name in sums for part in PARTS}
    rules = [{"action": "keep", "sourceLabels": ["__name__"], "regex": "|".join(sorted(series))}]
    if sums:
        buckets = f"(?:{'|'.join(sums)}){_BUCKET};[0-9].*"
        rules.append({"action": "drop", "sourceLabels": ["__name__", "le"], "regex": buckets})
    endpoint = {
        "port": f"{port}",
        "path": "/metrics",
        "interval": f"{EVERY_S}s",
        "timeout": "10s",
        "metricRelabeling": rules,
    }
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": f"homeport-{watched.name}"},
        "spec": {
            "endpoints": [endpoint],
            "targetLabels": {"metadata": ["revision"]},
            "limits": {"samples": _MOST_SERIES},
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _sums(names: MetricNames) -> tuple[str, ...]:
    """Return the histograms of which nothing but the sum, or how many there were, is asked for."""
    complete = {f"{name}{part}" for name in names.ttft for part in PARTS}
    ends = (_SUM, _COUNT)
    histograms = {
        name.removesuffix(end) for name in names.series() - complete for end in ends if name.endswith(end)
    }
    return tuple(sorted(histograms))


__all__ = ["API_VERSION", "EVERY_S", "KIND", "run_monitoring"]
