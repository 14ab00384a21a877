"""What a plan tells of how long it takes to be applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.reconcile.fact import Fact
from homeport.reconcile.schedule import Schedule, ScheduledStep, span_text


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationFact(Fact):
    """How long `up` will take by published durations: the longest way through its steps, and each of these."""

    key: ClassVar[str] = "duration"
    label: ClassVar[str] = "takes"
    low_s: float | None
    """Of the longest way, by what is known of its steps; None where nothing is, as for `high_s`."""
    high_s: float | None
    not_known: tuple[str, ...]
    """The steps of which nothing was published: they come on top."""
    steps: tuple[ScheduledStep, ...]
    """In the order in which they may begin."""
    dated: str
    """The day on which the published durations were read."""

    @classmethod
    def of(cls, found: Schedule, dated: str) -> DurationFact:
        """Return it of a plan's schedule."""
        known = any(step.high_s is not None for step in found.steps)
        return cls(
            low_s=round(found.low_s, 1) if known else None,
            high_s=round(found.high_s, 1) if known else None,
            not_known=tuple(step.id for step in found.steps if step.high_s is None),
            steps=found.steps,
            dated=dated,
        )

    @property
    def span(self) -> str:
        """Return the range in words; `not known` where nothing is."""
        if self.low_s is None or self.high_s is None:
            return "not known"
        return span_text(self.low_s, self.high_s)

    @property
    def critical(self) -> tuple[ScheduledStep, ...]:
        """Return the steps that the whole waits for, in their order."""
        return tuple(step for step in self.steps if step.critical)

    @property
    def text(self) -> str:
        if self.high_s is None:
            return "not known: nothing was published of any of its steps"
        waits = [step.id for step in self.critical if step.high_s is not None]
        count = len(self.not_known)
        more = f"; {count} step{'s' if count > 1 else ''} besides: not known" if count else ""
        return f"{self.span} by published durations, most of it for {_longest(self.critical)} (waits for {' → '.join(waits)}){more}"


def _longest(way: tuple[ScheduledStep, ...]) -> str:
    return max((step for step in way if step.high_s is not None), key=lambda step: step.high_s or 0.0).id
