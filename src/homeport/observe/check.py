"""Whether what is watched can be seen: do samples arrive, does each panel have data, could each alert fire."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from homeport.observe.chart import LABEL, Alert, Panel
from homeport.observe.panels import Watched
from homeport.observe.query import LoadedRule, PrometheusApi, Sample

_MOST_SKEW_S = 30.0
"""Between two clocks: more, and the newest minutes of every chart are wrong."""


class ObserveVerdict(StrEnum):
    """What a look came to."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """There is nothing to tell by, such as a latency where nobody has asked anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveFinding:
    """One thing that was looked at."""

    what: str
    verdict: ObserveVerdict
    text: str
    hint: str = ""


async def check(watched: Watched, api: PrometheusApi) -> tuple[ObserveFinding, ...]:
    """
    Return what a Prometheus has of an endpoint, each panel and each alert by itself.

    Raises `NetworkError` where none answers, `HomeportError` where what answers is none.
    """
    found = [await _clock(api), await _samples(watched, api)]
    found += [one async for one in _panels(watched, api)]
    loaded = {rule.name: rule for rule in await api.rules() if rule.labels.get(LABEL) == watched.name}
    for alert in watched.alerts():
        found.append(await _alert(alert, loaded.get(alert.name), api))
    return tuple(found)


async def _clock(api: PrometheusApi) -> ObserveFinding:
    (now,) = await api.instant("time()")
    skew = (now.value or 0) - time.time()
    if abs(skew) > _MOST_SKEW_S:
        return _failed(
            "clock", f"Prometheus' clock is {skew:+.0f} s from this machine's",
            "set both by NTP: the newest samples seem old, or of the future",
        )  # fmt: skip
    return _ok("clock", "Prometheus' clock is this machine's")


async def _samples(watched: Watched, api: PrometheusApi) -> ObserveFinding:
    up = await api.instant(f"up{watched.selector}")
    if not up:
        return _failed(
            "samples", f"this Prometheus does not scrape {watched.name}",
            "`homeport export prometheus` writes what it must be told; then let it read its configuration again",
        )  # fmt: skip
    if not any(one.value == 1 for one in up):
        return _failed(
            "samples", f"Prometheus asks {watched.name}, and gets no metrics from {_where(up)}",
            "`homeport status`: is it running, and on that port? Its key may be another, or unreadable to "
            "Prometheus: its page of targets has the reason; export again",
        )  # fmt: skip
    if not await api.instant(f'count({{__name__=~"{watched.kept}", {LABEL}="{watched.name}"}})'):
        return _failed(
            "samples", "the scrape succeeds, and none of the engine's series is among what it brings",
            "another server answers there, or this version of the engine calls them otherwise; export again",
        )  # fmt: skip
    return _ok("samples", f"they arrive from {_where(up)}")


async def _panels(watched: Watched, api: PrometheusApi) -> AsyncIterator[ObserveFinding]:
    for panel in watched.panels():
        yield await _panel(panel, api)


async def _panel(panel: Panel, api: PrometheusApi) -> ObserveFinding:
    what, unknown = f"panel: {panel.title}", []
    for curve in panel.curves:
        samples = await api.instant(curve.query)
        if not samples and curve.empty_while:
            unknown.append(curve.name)
            continue
        if not samples:
            return _failed(
                what, f"{curve.name} has no data: {curve.query}",
                "two scrapes must have come in; else this version of the engine calls the series otherwise",
            )  # fmt: skip
        unknown += [curve.name] if samples[0].value is None else []
    if unknown:
        return _unknown(
            what, f"nothing to tell of {' and '.join(unknown)} yet: no requests in the last minutes"
        )
    return _ok(what, "it has data")


async def _alert(alert: Alert, rule: LoadedRule | None, api: PrometheusApi) -> ObserveFinding:
    what = f"alert: {alert.name}"
    if rule is None:
        return _failed(
            what, "Prometheus has not loaded its rule",
            "put the rules of `homeport export prometheus` beside its configuration, and let it read that again",
        )  # fmt: skip
    if rule.health == "err":
        return _failed(
            what, f"its rule fails: {rule.error}", "`promtool check rules` on the file tells where"
        )
    if not _alike(rule.query, alert.query):
        return _failed(
            what, f"its rule says something else: {rule.query}",
            "`homeport export prometheus` writes today's; or leave yours as it is meant",
        )  # fmt: skip
    return await _loaded(what, alert, rule, api)


async def _loaded(what: str, alert: Alert, rule: LoadedRule, api: PrometheusApi) -> ObserveFinding:
    if rule.state == "firing":
        return _failed(what, f"it fires now: {alert.summary}", alert.todo)
    if await api.instant(alert.value):
        return _ok(what, f"it would fire on {alert.compared.strip()} for {alert.lasts}")
    if alert.empty_while:
        return _unknown(what, f"its condition cannot be tried while {alert.empty_while}")
    return _failed(
        what, f"it cannot fire: nothing has data of {alert.value}",
        "two scrapes must have come in; else this version of the engine calls the series otherwise",
    )  # fmt: skip


def _alike(one: str, other: str) -> bool:
    """Return True for the same query, however a server writes its blanks."""
    return "".join(one.split()) == "".join(other.split())


def _where(up: tuple[Sample, ...]) -> str:
    return ", ".join(sorted(one.labels.get("instance", "an unnamed target") for one in up))


def _ok(what: str, text: str) -> ObserveFinding:
    return ObserveFinding(what=what, verdict=ObserveVerdict.OK, text=text)


def _unknown(what: str, text: str) -> ObserveFinding:
    return ObserveFinding(what=what, verdict=ObserveVerdict.UNKNOWN, text=text)


def _failed(what: str, text: str, hint: str) -> ObserveFinding:
    return ObserveFinding(what=what, verdict=ObserveVerdict.FAILED, text=text, hint=hint)
