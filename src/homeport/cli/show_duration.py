"""How long a plan takes, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from homeport.printable import printable
from homeport.reconcile import Plan

if TYPE_CHECKING:
    from homeport.reconcile.duration_fact import DurationFact
    from homeport.reconcile.schedule import ScheduledStep


def expected_of(plan: Plan) -> str:
    """Return what is expected of all of it, such as `8 to 15 min`; '' where the target tells no durations."""
    fact = _fact(plan)
    if fact is None:
        return ""
    if fact.high_s is None:
        return "a time that is not known"
    return f"{fact.span}{f' and {len(fact.not_known)} steps not known' if fact.not_known else ''}"


def explained(plan: Plan) -> str:
    """Return the longest way through a plan's steps and what goes on beside it, each with its range and its source."""
    fact = _fact(plan)
    if fact is None:
        return "how long it takes: not known here" if plan.pending else "there is nothing to wait for"
    sources = {step.source: 0 for step in fact.steps if step.source}
    sources = {source: number for number, source in enumerate(sources, 1)}
    aside = tuple(step for step in fact.steps if not step.critical)
    lines = [
        f"the longest way, {fact.span} by durations published until {fact.dated}:",
        *_lines(fact.critical, sources),
        *(["beside it, each as soon as what it needs is there:", *_lines(aside, sources)] if aside else []),
        *(["sources:", *(f"  [{number}] {source}" for source, number in sources.items())] if sources else []),
    ]
    return "\n".join(printable(line) for line in lines)


def _lines(steps: tuple[ScheduledStep, ...], sources: Mapping[str, int]) -> Iterator[str]:
    from homeport.reconcile.schedule import span_text

    width = max((len(step.id) for step in steps), default=0)
    for step in steps:
        if step.low_s is None or step.high_s is None:
            yield f"  {step.id:{width}}  not known"
        else:
            claimed = "" if step.checked else ", claimed or measured in part"
            span = span_text(step.low_s, step.high_s)
            yield f"  {step.id:{width}}  {span}: {step.how} [{sources[step.source]}{claimed}]"


def _fact(plan: Plan) -> DurationFact | None:
    return cast("DurationFact | None", next((fact for fact in plan.facts if fact.key == "duration"), None))
