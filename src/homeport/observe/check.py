"""Whether what is watched can be seen: do samples arrive, does each panel have data, could each alert fire."""

from __future__ import annotations

import time
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWords:
    """What is said of the rules of one place."""

    missing: str
    put: str
    """What to do about one that is missing."""
    set_back: str
    """What to do about one that says something else."""


_OF_FILES = RuleWords(
    missing="Prometheus has not loaded its rule",
    put="put the rules of `homeport export prometheus` beside its configuration, and let it read that again",
    set_back="`homeport export prometheus` writes today's; or leave yours as it is meant",
)


async def check(watched: Watched, api: PrometheusApi) -> tuple[ObserveFinding, ...]:
    """
    Return what a Prometheus has of an endpoint, each panel and each alert by itself.

    Raises `NetworkError` where none answers, `HomeportError` where what answers is none.
    """
    findings = [await clock(api), await _samples(watched, api)]
    findings += [await panel(watched_panel, api) for watched_panel in watched.panels()]
    loaded = {rule.name: rule for rule in await api.rules() if rule.labels.get(LABEL) == watched.name}
    for watched_alert in watched.alerts():
        findings.append(await alert(watched_alert, loaded.get(watched_alert.name), api, _OF_FILES))
    return tuple(findings)


async def clock(api: PrometheusApi) -> ObserveFinding:
    """Return how the clock of a server is to this machine's."""
    (now,) = await api.instant("time()")
    skew = (now.value or 0) - time.time()
    if abs(skew) > _MOST_SKEW_S:
        return failed(
            "clock", f"the clock of {api.where} is {skew:+.0f} s from this machine's",
            "set both by NTP: the newest samples seem old, or of the future",
        )  # fmt: skip
    return ok("clock", f"the clock of {api.where} is this machine's")


async def _samples(watched: Watched, api: PrometheusApi) -> ObserveFinding:
    up = await api.instant(watched.up)
    if not up:
        return failed(
            "samples", f"this Prometheus does not scrape {watched.name}",
            "`homeport export prometheus` writes what it must be told; then let it read its configuration again",
        )  # fmt: skip
    if not any(sample.value == 1 for sample in up):
        return failed(
            "samples", f"Prometheus asks {watched.name}, and gets no metrics from {_where(up)}",
            "`homeport status`: is it running, and on that port? Its key may be another, or unreadable to "
            "Prometheus: its page of targets has the reason; export again",
        )  # fmt: skip
    if not await api.instant(f'count({{__name__=~"{watched.series_pattern}", {LABEL}="{watched.name}"}})'):
        return failed(
            "samples", "the scrape succeeds, and none of the engine's series is among what it brings",
            "another server answers there, or this version of the engine calls them otherwise; export again",
        )  # fmt: skip
    return ok("samples", f"they arrive from {_where(up)}")


async def panel(one: Panel, api: PrometheusApi, *, empty_while: str = "") -> ObserveFinding:
    """Return whether a panel has data; `empty_while` is why none may have any now, '' where each should."""
    title, unknown = f"panel: {one.title}", []
    for curve in one.curves:
        samples = await api.instant(curve.query)
        if not samples and (why := empty_while or curve.empty_while):
            return unknown_yet(title, f"nothing to tell of {curve.name}: {why}")
        if not samples:
            return failed(
                title, f"{curve.name} has no data: {curve.query}",
                "two scrapes must have come in; else this version of the engine calls the series otherwise",
            )  # fmt: skip
        unknown += [curve.name] if samples[0].value is None else []
    if unknown:
        return unknown_yet(
            title, f"nothing to tell of {' and '.join(unknown)} yet: no requests in the last minutes"
        )
    return ok(title, "it has data")


async def alert(
    one: Alert, rule: LoadedRule | None, api: PrometheusApi, words: RuleWords, *, empty_while: str = ""
) -> ObserveFinding:
    """Return whether an alert could fire, by the rule that its place has of it."""
    title = f"alert: {one.name}"
    if rule is None:
        return failed(title, words.missing, words.put)
    if rule.health == "err":
        return failed(
            title, f"its rule fails: {rule.error}", "`promtool check rules` on the file tells where"
        )
    if not _alike(rule.query, one.query):
        return failed(title, f"its rule says something else: {rule.query}", words.set_back)
    if rule.state == "firing":
        return failed(title, f"it fires now: {one.summary}", one.todo)
    return await _could_fire(title, one, api, empty_while or one.empty_while)


async def _could_fire(title: str, watched_alert: Alert, api: PrometheusApi, why: str) -> ObserveFinding:
    if await api.instant(watched_alert.value):
        return ok(title, f"it would fire on {watched_alert.compared.strip()} for {watched_alert.lasts}")
    if why:
        return unknown_yet(title, f"its condition cannot be tried while {why}")
    return failed(
        title, f"it cannot fire: nothing has data of {watched_alert.value}",
        "two scrapes must have come in; else this version of the engine calls the series otherwise",
    )  # fmt: skip


def _alike(query: str, other: str) -> bool:
    """Return True for the same query, however a server writes its blanks."""
    return "".join(query.split()) == "".join(other.split())


def _where(up: tuple[Sample, ...]) -> str:
    return ", ".join(sorted(sample.labels.get("instance", "an unnamed target") for sample in up))


def ok(what: str, text: str) -> ObserveFinding:
    """Return what is as it should be."""
    return ObserveFinding(what=what, verdict=ObserveVerdict.OK, text=text)


def unknown_yet(what: str, text: str) -> ObserveFinding:
    """Return what cannot be told now, which is no fault."""
    return ObserveFinding(what=what, verdict=ObserveVerdict.UNKNOWN, text=text)


def failed(what: str, text: str, hint: str) -> ObserveFinding:
    """Return a fault, with what to do about it."""
    return ObserveFinding(what=what, verdict=ObserveVerdict.FAILED, text=text, hint=hint)
