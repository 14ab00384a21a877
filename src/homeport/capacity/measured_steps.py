"""
How long steps take, from benches: the bandwidth, the arithmetic and the rest of a step with which the simulation gives what was measured.

Each load of a bench with a fixed number of users is simulated as it was, and the three are moved until the mean time of
answers and, of one user, the median of first tokens come out. Where benches have prompts of several lengths, a constant that
each request takes on its way is a fourth. What is left over is the band.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from homeport.bench.level import LevelResult
from homeport.bench.result import BenchResult
from homeport.capacity.closed_loop import closed_loop
from homeport.capacity.replica import BatchLimits
from homeport.capacity.roofline import Pace, StepSpeed, batch_limits, stated_speed, step_time_at
from homeport.capacity.step_time import StepTime
from homeport.errors import SpecError
from homeport.fit import Fit

FEWEST = 3
"""Numbers of users that a bench must have: fewer say nothing of what a further request costs."""
LEAST_BAND = 0.05
"""Two benches of one engine differ by so much, however well one of them is met."""
_OF_STATED = (0.04, 1.15)
"""Less and more of what its maker states is no result of that GPU."""
_START, _WEIGHT = StepSpeed(bandwidth=0.75, flops=0.45, overhead_s=0.005), 0.002
"""Shares of what the maker states, where nothing speaks against them, and how little that weighs."""
_FINEST, _LITTLE, _MET = 0.002, 0.98, 1e-6
"""The last step of the search, a share of its cost that is hardly less, and a cost that nobody measures."""
_HINT = (
    "`homeport bench --on cloudrun --json > FILE.json` measures it; `homeport bench list` shows what is kept"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLoad:
    """A load of a bench, in seconds."""

    users: int
    input: int
    output: int
    ttft_s: float
    e2e_s: float
    unsure: float
    """Half the width of its interval over repetitions, as a share; 0 where it was measured once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSteps:
    """What benches come to."""

    speed: StepSpeed
    way_s: float
    """What each request takes on its way, beside the engine; 0 where all prompts had one length."""
    off: float
    """By how much the simulation is off at the worst of the loads, as a share."""
    band: float
    """So many times as long, or as short, may steps be."""
    loads: int
    longest: int
    """Tokens of the longest prompt."""

    def of(self, fit: Fit, pace: Pace) -> StepTime:
        """Return how long steps of `fit` take."""
        times = {"slow": self.band, "likely": 1.0, "fast": 1 / self.band}[pace]
        return step_time_at(fit, self.speed.slower(times), f" (measured; {self.band - 1:.0%} either way)")

    @property
    def in_words(self) -> str:
        """Return what somebody should know who goes by them."""
        return (
            f"steps are those of {self.loads} measured loads, which the simulation meets within {self.off:.1%};"
            f" fast and slow are {self.band - 1:.0%} either way"
            + (f", and each request is {1000 * self.way_s:.0f} ms on its way" if self.way_s else "")
        )


def measured_steps(results: Sequence[BenchResult], fit: Fit) -> MeasuredSteps:
    """
    Return the steps of what `fit` says, as benches of it have them.

    Raises `SpecError` for benches of something else, of several instances, without enough loads, or faster than the GPU.
    """
    for one in results:
        _ensure_of(one, fit)
    loads = [load for one in results for load in _loads(one, fit.what.settings.parallel)]
    if len({one.users for one in loads}) < FEWEST or all(one.users > 1 for one in loads):
        raise SpecError(
            f"the benches have {len({one.users for one in loads})} numbers of users up to a concurrency of"
            f" {fit.what.settings.parallel}, but steps want {FEWEST}, one user among them",
            hint="measure with `homeport bench --users 1,2,4`, and say engine.parallel as it was then",
        )
    stated, limits = stated_speed(fit), batch_limits(fit)
    several = len({one.input for one in loads if one.users == 1}) > 1
    found, way_s = _fitted(loads, fit, stated, limits, several=several)
    _ensure_of_gpu(found, stated, fit)
    off = max(map(abs, _errors(loads, step_time_at(fit, found), limits, way_s)))
    unsure = max(one.unsure for one in loads)
    return MeasuredSteps(
        speed=found,
        way_s=way_s,
        off=math.expm1(off),
        band=1 + max(LEAST_BAND, math.expm1(off), unsure),
        loads=len(loads),
        longest=max(one.input for one in loads),
    )


def _ensure_of_gpu(found: StepSpeed, stated: StepSpeed, fit: Fit) -> None:
    low, high = _OF_STATED
    for name, share in (
        ("bandwidth", found.bandwidth / stated.bandwidth),
        ("arithmetic", found.flops / stated.flops),
    ):
        if not low <= share <= high:
            raise SpecError(
                f"the benches would have {share:.3g} times the {name} of {fit.place.name}: they are of another GPU or model",
                hint="--gpu names the GPU that was measured, the file or MODEL what was served",
            )


def _ensure_of(result: BenchResult, fit: Fit) -> None:
    setting = result.setting
    if setting.engine != fit.what.engine:
        raise SpecError(
            f"the bench is of {setting.engine or 'an engine that nobody told'}, not of {fit.what.engine}",
            hint=_HINT,
        )
    if setting.max_instances != 1:
        raise SpecError(
            "more than one instance may have answered the bench: it says nothing of one",
            hint="measure with scaling.max = 1",
        )
    if not result.valid:
        raise SpecError(
            "the bench is no result: its loads have doubts", hint="`homeport bench list` shows them"
        )


def _loads(result: BenchResult, most: int) -> Iterator[MeasuredLoad]:
    for one in result.levels:
        if one.users is None or one.users > most or not one.valid or one.requests.failed:
            continue
        ttft, e2e = one.latency["ttft"].p50, one.latency["e2e"].mean
        setting = result.setting
        yield MeasuredLoad(
            users=one.users, input=setting.input, output=setting.output, ttft_s=ttft, e2e_s=e2e, unsure=_unsure(one)
        )  # fmt: skip


def _unsure(level: LevelResult) -> float:
    found = level.rates["output_tokens"]
    return 0.0 if found.high is None or not found.mean else found.high / found.mean - 1


def _errors(
    loads: Sequence[MeasuredLoad], times: StepTime, limits: BatchLimits, way_s: float
) -> Iterator[float]:
    """Yield by how much what is simulated is off, as logarithms."""
    for one in loads:
        found = closed_loop(one.users, (one.input, one.output), times, limits)
        yield math.log((found.e2e_s + way_s) / one.e2e_s)
        if one.users == 1:
            yield math.log((found.ttft_s + way_s) / one.ttft_s)


def _fitted(
    loads: Sequence[MeasuredLoad], fit: Fit, stated: StepSpeed, limits: BatchLimits, *, several: bool
) -> tuple[StepSpeed, float]:
    """Return the speed with which the squares of all errors are least, and the way of a request."""

    def speed(at: Sequence[float]) -> StepSpeed:
        factors = [math.exp(one) for one in at]
        return StepSpeed(
            bandwidth=stated.bandwidth * _START.bandwidth * factors[0],
            flops=stated.flops * _START.flops * factors[1],
            overhead_s=_START.overhead_s * factors[2],
        )

    least_ttft = min(one.ttft_s for one in loads)

    def way(at: Sequence[float]) -> float:
        return least_ttft / 4 * math.exp(at[3]) if several else 0.0

    def cost(at: Sequence[float]) -> float:
        errors = _errors(loads, step_time_at(fit, speed(at)), limits, way(at))
        return sum(one * one for one in errors) + _WEIGHT * sum(one * one for one in at) / 100

    found = least(cost, [0.0] * (4 if several else 3))
    return speed(found), way(found)


def least(cost: Callable[[Sequence[float]], float], start: Sequence[float]) -> list[float]:
    """Return where `cost` is least near `start`, by steps along and across each axis that are halved where none helps."""
    at, best, step = list(start), cost(start), 0.5
    while step > _FINEST:
        before, old = list(at), best
        for axis in range(len(at)):
            for way in (step, -step):
                tried = [one + way * (number == axis) for number, one in enumerate(at)]
                if (came := cost(tried)) < best:
                    at, best = tried, came
                    break
        along = [2 * now - then for now, then in zip(at, before, strict=True)]
        if best < old and (came := cost(along)) < best:
            at, best = along, came
        if best > _LITTLE * old or best < _MET:
            step /= 2
    return at
