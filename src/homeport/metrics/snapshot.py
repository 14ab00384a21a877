"""What an engine tells at one moment, whatever it calls it. What it does not tell is None, never 0."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from homeport.engines.metric_names import PARTS, MetricNames
from homeport.json_types import JsonObject

_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_SHARES = frozenset({"kv_cache"})
"""Of several engines in one process, the fullest counts; everything else adds up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How often something took how long, since the engine started."""

    total: float
    """Seconds, of all together."""
    count: float
    buckets: tuple[tuple[float, float], ...]
    """Upper bounds in seconds, the last one infinite, each with how many took at most so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Figures of one engine at one moment. None stands for what is not known. For the words see `MetricNames`."""

    at: float
    """Seconds since the epoch."""
    running: float | None = None
    waiting: float | None = None
    kv_cache: float | None = None
    requests: float | None = None
    prompt_tokens: float | None = None
    output_tokens: float | None = None
    prefill_seconds: float | None = None
    decode_seconds: float | None = None
    prefix_hits: float | None = None
    prefix_queries: float | None = None
    preemptions: float | None = None
    ttft: Histogram | None = None

    def as_json(self) -> JsonObject:
        """Return the figures as `--json` prints them; null is not known."""
        plain: JsonObject = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "ttft"
        }
        ttft = self.ttft
        return {**plain, "ttft": {"count": ttft.count, "seconds": ttft.total} if ttft else None}


def parsed(text: str, names: MetricNames, at: float) -> Snapshot:
    """
    Return what a text of Prometheus' says under these names.

    A line that cannot be read, NaN, an infinite or a negative value says nothing; other series are not looked at.
    """
    samples = list(_samples(text, names.series()))
    figures = {
        field.name: _value(samples, getattr(names, field.name), max if field.name in _SHARES else math.fsum)
        for field in fields(Snapshot)
        if field.name not in {"at", "ttft"}
    }
    return Snapshot(at=at, **figures, ttft=_histogram(samples, names.ttft))


_Sample = tuple[str, Mapping[str, str], float]
"""Name, labels, value."""


def _samples(text: str, names: frozenset[str]) -> Iterator[_Sample]:
    from prometheus_client.parser import text_string_to_metric_families

    for line in text.splitlines():
        name = _NAME.match(line)
        if name is None or name[0] not in names:
            continue
        try:
            families = list(text_string_to_metric_families(f"{line}\n"))
        except (ValueError, IndexError, KeyError):  # The parser's ways to refuse a line.
            continue
        for family in families:
            for sample in family.samples:
                if math.isfinite(sample.value) and sample.value >= 0:
                    yield sample.name, sample.labels, float(sample.value)


def _value(
    samples: Iterable[_Sample], names: tuple[str, ...], together: Callable[[Iterable[float]], float]
) -> float | None:
    for name in names:
        values = [value for called, _, value in samples if called == name]
        if values:
            return together(values)
    return None


def _histogram(samples: list[_Sample], names: tuple[str, ...]) -> Histogram | None:
    bucket, total, count = PARTS
    for name in names:
        seconds = _value(samples, (f"{name}{total}",), math.fsum)
        often = _value(samples, (f"{name}{count}",), math.fsum)
        if seconds is None or often is None:
            continue
        buckets: dict[float, float] = {}
        for called, labels, value in samples:
            if called == f"{name}{bucket}" and (bound := _bound(labels)) is not None:
                buckets[bound] = buckets.get(bound, 0.0) + value
        return Histogram(total=seconds, count=often, buckets=tuple(sorted(buckets.items())))
    return None


def _bound(labels: Mapping[str, str]) -> float | None:
    try:
        return float(labels["le"])
    except (KeyError, ValueError):
        return None
