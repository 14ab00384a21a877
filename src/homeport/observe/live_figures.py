"""What the engines of a project tell now, by name and region of their endpoints: asked of Cloud Monitoring, which wakes nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.engines.metric_names import PARTS, MetricNames, selected
from homeport.metrics.rates import Rates
from homeport.metrics.snapshot import Histogram, Snapshot
from homeport.observe.chart import LABEL, REGION
from homeport.observe.query import PrometheusApi

_WINDOW_S = 120
"""Four looks of the sidecar's: fewer may be one alone, of which no rate can be told."""
_OURS = '{cluster="__run__"}'
"""What the sidecar says of everything that comes from Cloud Run."""
_SUMS = ("running", "waiting", "requests", "prompt_tokens", "output_tokens")
_BUCKET, _SUM, _COUNT = PARTS
Where = tuple[str, str]
"""An endpoint's name and its region: a project may have services of one name in several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFigures:
    """What is known of one endpoint."""

    snapshot: Snapshot
    rates: Rates


async def live_figures(api: PrometheusApi, names: MetricNames) -> Mapping[Where, LiveFigures]:
    """Return what engines with these names tell, by where they are: none for one that has sent nothing for minutes."""
    queries = _queries(names)
    answers = await asyncio.gather(*(_by_place(api, query) for query in queries.values()))
    values_by_key = dict(zip(queries, answers, strict=True))
    every = {where for figures in values_by_key.values() for where in figures}
    return {where: _of({key: values.get(where) for key, values in values_by_key.items()}) for where in every}


async def instances(api: PrometheusApi) -> Mapping[Where, float]:
    """Return how many instances each service has, by Cloud Run's own count, which is some minutes old."""
    counted = 'run_googleapis_com:container_instance_count{monitored_resource="cloud_run_revision"}'
    samples = await api.instant(f"sum by (service_name, {REGION}) ({counted})")
    return {
        (sample.labels.get("service_name", ""), sample.labels.get(REGION, "")): sample.value
        for sample in samples
        if sample.value is not None
    }


def _queries(names: MetricNames) -> dict[str, str]:
    """Return what is asked, by what it tells; without what this engine does not tell."""
    queries = {key: _together("sum", _each(getattr(names, key))) for key in _SUMS}
    queries["kv_cache"] = _together("max", _each(names.kv_cache))
    for key in ("requests", "prompt_tokens", "output_tokens"):
        queries[f"{key}/s"] = _together("sum", _rate(getattr(names, key)))
    parts = {part: tuple(f"{name}{part}" for name in names.ttft) for part in PARTS}
    queries["ttft_sum"], queries["ttft_count"] = (
        _together("sum", _each(parts[_SUM])),
        _together("sum", _each(parts[_COUNT])),
    )
    if names.ttft:
        total, often = _together("sum", _rate(parts[_SUM])), _together("sum", _rate(parts[_COUNT]))
        queries["ttft_mean"] = f"{total} / {often}"
        queries["ttft_p95"] = (
            f"histogram_quantile(0.95, sum by ({LABEL}, {REGION}, le) ({_rate(parts[_BUCKET])}))"
        )
    return {key: query for key, query in queries.items() if query}


def _each(names: tuple[str, ...]) -> str:
    return " or ".join(selected(name, _OURS) for name in names)


def _rate(names: tuple[str, ...]) -> str:
    return " or ".join(f"rate({selected(name, _OURS)}[{_WINDOW_S}s])" for name in names)


def _together(how: str, series: str) -> str:
    return f"{how} by ({LABEL}, {REGION}) ({series})" if series else ""


async def _by_place(api: PrometheusApi, query: str) -> Mapping[Where, float]:
    samples = await api.instant(query)
    return {
        (sample.labels.get(LABEL, ""), sample.labels.get(REGION, "")): sample.value
        for sample in samples
        if sample.value is not None
    }


def _of(figures: Mapping[str, float | None]) -> LiveFigures:
    seconds, count = figures.get("ttft_sum"), figures.get("ttft_count")
    first = None if seconds is None or count is None else Histogram(total=seconds, count=count, buckets=())
    return LiveFigures(
        snapshot=Snapshot(
            at=time.time(),
            running=figures.get("running"),
            waiting=figures.get("waiting"),
            kv_cache=figures.get("kv_cache"),
            requests=figures.get("requests"),
            prompt_tokens=figures.get("prompt_tokens"),
            output_tokens=figures.get("output_tokens"),
            ttft=first,
        ),
        rates=Rates(
            seconds=_WINDOW_S,
            prompt_tokens_per_s=figures.get("prompt_tokens/s"),
            output_tokens_per_s=figures.get("output_tokens/s"),
            requests_per_s=figures.get("requests/s"),
            ttft_s=figures.get("ttft_mean"),
            ttft_p95_s=figures.get("ttft_p95"),
        ),
    )
