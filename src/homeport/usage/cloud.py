"""What endpoints of a project were used for, as Cloud Monitoring has it: by day, by revision, or by caller. Asking wakes nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from homeport.engines.metric_names import MetricNames, selected
from homeport.gateway import callers
from homeport.observe.chart import LABEL, REGION
from homeport.observe.query import PrometheusApi

_DAY_S = 86_400
_OURS, _REVISIONS = '{cluster="__run__"}', '{monitored_resource="cloud_run_revision"}'
_RUN = {
    "requests": "run_googleapis_com:request_count",
    "starts": "run_googleapis_com:container_startup_latencies_count",
    "seconds": "run_googleapis_com:container_billable_instance_time",
}
"""Cloud Run's own counts, which cost nothing."""


@dataclass(frozen=True, slots=True)
class CloudUsage:
    """What one service came to on one day, or one of its revisions or callers in the whole time. A figure that is not there is not known."""

    service: str
    region: str
    """As its metrics tell it: one project may have services of one name in several."""
    when: str
    """The day, in UTC; '' for all of the time."""
    revision: str
    """'' for all of them."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """`requests`, `starts`, `seconds` that were billed, `prompt_tokens`, `output_tokens`; by caller `untold`, too: requests whose tokens nobody said."""
    caller: str = ""
    """As the gateway names it; '' for all of them."""


async def by_day(
    api: PrometheusApi, names: Iterable[MetricNames], *, days: int, now: float
) -> list[CloudUsage]:
    """Return each day on which something was counted, the last one as far as it has come. Raises as queries do."""
    from datetime import UTC, datetime

    midnight = now - now % _DAY_S
    counted: dict[tuple[str, str, str], dict[str, float]] = {}

    def note(labels: Mapping[str, str], start: float, figure: str, value: float | None) -> None:
        service, region = _where(labels)
        if service and value is not None:
            day = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d")
            counted.setdefault((service, region, day), {})[figure] = value

    async def ask(figure: str, query: str) -> None:
        daily = query.format(by="", window=f"{_DAY_S}s")
        if days > 1:
            for series in await api.range(
                daily, start=midnight - (days - 2) * _DAY_S, end=midnight, step_s=_DAY_S
            ):
                for at, value in series.points:
                    note(series.labels, at - _DAY_S, figure, value)
        for sample in await api.instant(query.format(by="", window=f"{max(60, int(now - midnight))}s")):
            note(sample.labels, midnight, figure, sample.value)

    await asyncio.gather(*(ask(figure, query) for figure, query in _queries(names).items()))
    return [
        CloudUsage(service, region, day, "", figures)
        for (service, region, day), figures in sorted(counted.items())
        if any(figures.values())
    ]


async def by_revision(api: PrometheusApi, names: Iterable[MetricNames], *, days: int) -> list[CloudUsage]:
    """Return each revision that counted something in so many days. Raises as queries do."""
    counted: dict[tuple[str, str, str], dict[str, float]] = {}

    async def ask(figure: str, query: str) -> None:
        for sample in await api.instant(query.format(by=", revision_name", window=f"{days * _DAY_S}s")):
            if sample.value is not None:
                key = (*_where(sample.labels), sample.labels.get("revision_name", ""))
                counted.setdefault(key, {})[figure] = sample.value

    await asyncio.gather(*(ask(figure, query) for figure, query in _queries(names).items()))
    return [
        CloudUsage(service, region, "", revision, figures)
        for (service, region, revision), figures in sorted(counted.items())
        if any(figures.values())
    ]


async def by_caller(api: PrometheusApi, *, days: int) -> list[CloudUsage]:
    """
    Return each caller of so many days, for as many services as count by caller; also one that asked nothing. Raises as queries do.

    A count is read as it stands, less what it was before these days: an instance's begins at 0, and `increase` would guess at both ends.
    """
    counted: dict[tuple[str, str, str], dict[str, float]] = {}
    of_requests = {"yes": ("requests",), "no": ("requests", "untold")}
    of_tokens = {"input": ("prompt_tokens",), "output": ("output_tokens",)}

    async def ask(name: str, label: str, figures: Mapping[str, tuple[str, ...]]) -> None:
        series, window = f"{name}_total{_OURS}", f"{days * _DAY_S}s"
        most = f"max_over_time({series}[{window}])"
        query = f"sum by ({LABEL}, {REGION}, {callers.LABEL}, {label}) ({most} - ({series} offset {window}) or {most})"
        for sample in await api.instant(query):
            if sample.value is not None:
                of_one = counted.setdefault(
                    (*_where(sample.labels), sample.labels.get(callers.LABEL, "")), {}
                )
                for figure in figures.get(sample.labels.get(label, ""), ()):
                    of_one[figure] = of_one.get(figure, 0.0) + sample.value

    await asyncio.gather(
        ask(callers.REQUESTS, callers.TOLD, of_requests), ask(callers.TOKENS, callers.KIND, of_tokens)
    )
    return [
        CloudUsage(service, region, "", "", figures, caller)
        for (service, region, caller), figures in sorted(counted.items())
    ]


async def altogether(
    api: PrometheusApi, names: Iterable[MetricNames], *, seconds: float
) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """Return what each service counted in so many seconds up to now, by its name and region. Raises as queries do."""
    counted: dict[tuple[str, str], dict[str, float]] = {}
    window = f"{max(60, int(seconds))}s"

    async def ask(figure: str, query: str) -> None:
        for sample in await api.instant(query.format(by="", window=window)):
            if sample.value is not None:
                counted.setdefault(_where(sample.labels), {})[figure] = sample.value

    await asyncio.gather(*(ask(figure, query) for figure, query in _queries(names).items()))
    return counted


def _queries(names: Iterable[MetricNames]) -> dict[str, str]:
    """Return the queries by their figure, with places for a window and for further labels to tell series apart by."""
    queries = {
        figure: f"sum by (service_name, {REGION}{{by}}) (increase({name}{_braced(_REVISIONS)}[{{window}}]))"
        for figure, name in _RUN.items()
    }
    metric_names = list(names)
    for figure in ("prompt_tokens", "output_tokens"):
        selectors = [selected(name, _OURS) for metric in metric_names for name in getattr(metric, figure)]
        if selectors:
            series = " or ".join(
                f"increase({_braced(name)}[{{window}}])" for name in dict.fromkeys(selectors)
            )
            queries[figure] = f"sum by ({LABEL}, {REGION}{{by}}) ({series})"
    return queries


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _where(labels: Mapping[str, str]) -> tuple[str, str]:
    """Return the service and its region."""
    return labels.get("service_name") or labels.get(LABEL, ""), labels.get(REGION, "")
