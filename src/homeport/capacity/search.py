"""The cheapest way to serve that keeps the objectives: a search of few simulations, each of a busy part of the traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from homeport.capacity.candidate import ServingCandidate, TrafficWindow, window
from homeport.capacity.objectives import Objectives
from homeport.capacity.outcome import CapacityOutcome
from homeport.traffic import Arrival

MOST_INSTANCES = 100
"""What `scaling.max` may be."""
TARGETS = (0.95, 0.8, 0.6)
_SAMPLE = 4000
"""Requests of the busiest part that candidates are compared on."""
_FINALISTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A candidate with what came of it."""

    candidate: ServingCandidate
    outcome: CapacityOutcome

    @property
    def month(self) -> float:
        """Return the USD of a month, were every hour alike."""
        return self.candidate.month(self.outcome.gpu_hours)


Tell = Callable[[str], None]
Open = Callable[[int], ServingCandidate]
"""Of a way to serve, the candidate with so many requests at once."""


def cheapest(
    ways: Iterable[tuple[str, int, Open]],
    arrivals: Sequence[Arrival],
    seconds: float,
    context: int,
    objectives: Objectives,
    tell: Tell,
) -> list[Trial]:
    """
    Return those of `ways` that keep `objectives` on the whole traffic, the cheapest first.

    A way is a name, its most requests at once, and what makes a candidate. Each is tried with several numbers of
    requests at once and targets on the busiest part, with no instance that always runs and else as few as it takes;
    the cheapest of these are then held against all of the traffic, with more that always run where that is not enough.
    """
    sample = window(*busiest(arrivals, seconds), context)
    finalists: list[Trial] = []
    for name, most, opened in ways:
        tell(f"trying {name}, up to {most} at once")
        trials = [trial for trial in _of_way(most, opened, sample, objectives) if trial is not None]
        finalists += sorted(trials, key=_price_then_room)[:_FINALISTS]
    traffic = window(arrivals, seconds, context)
    finals: list[Trial] = []
    for trial in sorted(finalists, key=_price_then_room)[: 2 * _FINALISTS]:
        one = trial.candidate
        tell(
            f"holding {one.fit.what.engine} on {one.fit.place.name}, {one.concurrency} at once, target {'unset' if one.target is None else one.target}, against all requests"
        )
        final = _confirmed(trial.candidate, traffic, objectives)
        if final is not None:
            finals.append(final)
    return sorted(finals, key=_price_then_room)


def with_instances(candidate: ServingCandidate, traffic: TrafficWindow, objectives: Objectives) -> Trial:
    """
    Return the candidate with the smallest `scaling.max`, all else as it is, that keeps `objectives`.

    Where none does, with the largest that there may be. More instances are taken to keep no fewer requests: the number before
    the one that is found was tried, and did not suffice.
    """

    def tried(most: int) -> Trial:
        variant = candidate.changed(target=candidate.target, least=candidate.least, most=most)
        return Trial(candidate=variant, outcome=variant.serve(traffic, objectives))

    enough, low = tried(MOST_INSTANCES), candidate.most
    while enough.outcome.kept >= objectives.share and enough.candidate.most - low > 1:
        # No more run than there were at most: so many keep what was kept.
        middle = tried(min((low + enough.candidate.most) // 2, max(low + 1, enough.outcome.peak)))
        if middle.outcome.kept >= objectives.share:
            enough = middle
        else:
            low = middle.candidate.most
    return enough


def _price_then_room(trial: Trial) -> tuple[float, int]:
    """Return what orders trials: the cheaper first, and at one price what lets more in at once, if steps are slower than is likely."""
    return round(trial.month, 2), -trial.candidate.concurrency


def busiest(arrivals: Sequence[Arrival], seconds: float) -> tuple[Sequence[Arrival], float]:
    """Return the stretch of at most 4,000 requests that passes soonest, and how long it is."""
    if len(arrivals) <= _SAMPLE:
        return arrivals, seconds
    begin = min(
        range(len(arrivals) - _SAMPLE),
        key=lambda index: arrivals[index + _SAMPLE].seconds - arrivals[index].seconds,
    )
    part, start = arrivals[begin : begin + _SAMPLE], arrivals[begin].seconds
    moved = [Arrival(arrival.seconds - start, arrival.input, arrival.output) for arrival in part]
    return moved, arrivals[begin + _SAMPLE].seconds - start


def concurrencies(most: int) -> list[int]:
    """Return the numbers of requests at once that are tried: powers of two, and the most."""
    return [*(1 << power for power in range(most.bit_length()) if 1 << power < most), most]


def _of_way(most: int, opened: Open, sample: TrafficWindow, objectives: Objectives) -> Iterable[Trial | None]:
    at_once = [count for count in concurrencies(most) if 4 * count >= min(most, 16)]
    trials = [_enough(opened(count), TARGETS[1], sample, objectives) for count in at_once]
    yield from trials
    keeping = sorted((trial for trial in trials if trial is not None), key=_price_then_room)
    for trial in keeping[:1]:
        for target in TARGETS:
            if target != TARGETS[1]:
                yield _enough(trial.candidate, target, sample, objectives)


def _enough(
    candidate: ServingCandidate, target: float, traffic: TrafficWindow, objectives: Objectives
) -> Trial | None:
    """Return the candidate with the fewest instances that always run and keep `objectives`; None where none do."""

    def tried(least: int) -> Trial:
        variant = candidate.changed(target=target, least=least, most=MOST_INSTANCES)
        return Trial(candidate=variant, outcome=variant.serve(traffic, objectives))

    first = tried(0)
    if first.outcome.kept >= objectives.share:
        return first
    enough = tried(max(1, first.outcome.peak))
    if enough.outcome.kept < objectives.share:
        return None
    low, high = 0, enough.candidate.least
    while high - low > max(1, high // 8):
        middle = tried((low + high) // 2)
        if middle.outcome.kept >= objectives.share:
            high, enough = middle.candidate.least, middle
        else:
            low = middle.candidate.least
    return enough


def _confirmed(candidate: ServingCandidate, traffic: TrafficWindow, objectives: Objectives) -> Trial | None:
    """Return the candidate as it keeps `objectives` on all of the traffic, with as many instances as it then had."""
    least = candidate.least
    for _ in range(5):
        variant = candidate.changed(target=candidate.target, least=least, most=MOST_INSTANCES)
        result = variant.serve(traffic, objectives)
        if result.kept >= objectives.share:
            bounded = variant.changed(target=variant.target, least=least, most=max(1, least, result.peak))
            return Trial(candidate=bounded, outcome=bounded.serve(traffic, objectives))
        least = min(MOST_INSTANCES, least + max(1, least // 4))
    return None
