"""When the steps of a plan would begin and end, and which of them the whole waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homeport.reconcile.plan import Action, ActionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How long something takes, as a range, and who says so."""

    low_s: float
    high_s: float
    how: str
    """What the range is of."""
    source: str
    checked: bool
    """Whether somebody measured it and published how; homeport has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledStep:
    """One step of a plan, when it would begin, and how long it takes."""

    id: str
    kind: str
    """What is done, such as `create`."""
    low_s: float | None
    """None is *not known*, as for `high_s`."""
    high_s: float | None
    begins_low_s: float
    """When what it needs would be there, by the known durations alone."""
    begins_high_s: float
    critical: bool
    """Whether the whole waits for it."""
    how: str
    source: str
    checked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The steps that a plan has to do, each as soon as what it needs is there."""

    low_s: float
    """Of the longest way, by the known durations alone; `high_s` as well."""
    high_s: float
    steps: tuple[ScheduledStep, ...]

    @property
    def critical(self) -> tuple[ScheduledStep, ...]:
        """Return the longest way in its order."""
        return tuple(step for step in self.steps if step.critical)


def schedule(actions: tuple[Action, ...], spans: Mapping[str, Span]) -> Schedule:
    """
    Return when each pending action would begin where it takes as long as `spans` say by id.

    What is not among them is not known: what waits for it begins at the earliest at the time that is told. What is to be
    deleted goes when all else is done and stands in nobody's way, so it is on no way.
    """
    order = [action for action in actions if action.kind is not ActionKind.DELETE]
    ends_low: dict[str, float] = {}
    ends_high: dict[str, float] = {}
    before: dict[str, str] = {}
    begins: dict[str, tuple[float, float]] = {}
    for action in order:
        id_, needs = action.resource.id, [need for need in action.resource.needs if need in ends_high]
        low = max((ends_low[need] for need in needs), default=0.0)
        high = max((ends_high[need] for need in needs), default=0.0)
        if needs:
            before[id_] = max(needs, key=lambda need: (ends_high[need], ends_low[need]))
        span = spans.get(id_) if action.kind is not ActionKind.NONE else None
        begins[id_] = low, high
        ends_low[id_] = low + (span.low_s if span else 0.0)
        ends_high[id_] = high + (span.high_s if span else 0.0)
    way = _way(before, ends_high, ends_low)
    steps = [
        _step(action, spans.get(action.resource.id), begins[action.resource.id], action.resource.id in way)
        for action in order
        if action.kind is not ActionKind.NONE
    ]
    steps.sort(key=lambda step: (step.begins_high_s, step.begins_low_s))
    return Schedule(
        low_s=max(ends_low.values(), default=0.0),
        high_s=max(ends_high.values(), default=0.0),
        steps=tuple(steps),
    )


def span_text(low: float, high: float) -> str:
    """Return a range of seconds in words, as coarsely as it is known: `2 to 5 min`, `5 to 30 s`."""
    if high < 90:
        return f"{low:.0f} to {high:.0f} s" if round(low) != round(high) else f"{high:.0f} s"
    if low < 60:
        return f"{low:.0f} s to {_minutes(high)} min"
    shortest, longest = _minutes(low), _minutes(high)
    return f"{shortest} to {longest} min" if shortest != longest else f"{longest} min"


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    return f"{round(minutes * 2) / 2:g}" if minutes < 10 else f"{minutes:.0f}"


def _way(
    before: Mapping[str, str], ends_high: Mapping[str, float], ends_low: Mapping[str, float]
) -> set[str]:
    """Return the ids of the longest way: from what ends last back to what waits for nothing."""
    way: set[str] = set()
    # Of several that end at once the last one, which waits for the others where any does.
    latest = max(reversed(list(ends_high)), key=lambda id_: (ends_high[id_], ends_low[id_]), default=None)
    while latest is not None:
        way.add(latest)
        latest = before.get(latest)
    return way


def _step(action: Action, span: Span | None, begins: tuple[float, float], critical: bool) -> ScheduledStep:
    return ScheduledStep(
        id=action.resource.id,
        kind=action.kind.value,
        low_s=round(span.low_s, 1) if span else None,
        high_s=round(span.high_s, 1) if span else None,
        begins_low_s=round(begins[0], 1),
        begins_high_s=round(begins[1], 1),
        critical=critical,
        how=span.how if span else "",
        source=span.source if span else "",
        checked=span.checked if span else False,
    )
