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
from homeport.bench.of_model import is_of
from homeport.bench.result import BenchResult
from homeport.capacity.closed_loop import closed_loop
from homeport.capacity.replica import BatchLimits
from homeport.capacity.roofline import Pace, StepSpeed, batch_limits, stated_speed, step_time_at
from homeport.capacity.step_time import StepTime
from homeport.errors import SpecError
from homeport.fit import Fit
from homeport.targets import registry

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
    for result in results:
        _ensure_of(result, fit)
    loads = [load for result in results for load in _loads(result, fit.what.settings.parallel)]
    if len({load.users for load in loads}) < FEWEST or all(load.users > 1 for load in loads):
        raise SpecError(
            f"the benches have {len({load.users for load in loads})} numbers of users up to a concurrency of"
            f" {fit.what.settings.parallel}, but steps want {FEWEST}, one user among them",
            hint="measure with `homeport bench --users 1,2,4`, and say engine.parallel as it was then",
        )
    stated, limits = stated_speed(fit), batch_limits(fit)
    several = len({load.input for load in loads if load.users == 1}) > 1
    speed, way_s = _fitted(loads, fit, stated, limits, several=several)
    _ensure_of_gpu(speed, stated, fit)
    off = max(map(abs, _errors(loads, step_time_at(fit, speed), limits, way_s)))
    unsure = max(load.unsure for load in loads)
    return MeasuredSteps(
        speed=speed,
        way_s=way_s,
        off=math.expm1(off),
        band=1 + max(LEAST_BAND, math.expm1(off), unsure),
        loads=len(loads),
        longest=max(load.input for load in loads),
    )


def _ensure_of_gpu(speed: StepSpeed, stated: StepSpeed, fit: Fit) -> None:
    low, high = _OF_STATED
    for name, share in (
        ("bandwidth", speed.bandwidth / stated.bandwidth),
        ("arithmetic", speed.flops / stated.flops),
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
    if not is_of(setting, fit.what.model):
        raise SpecError(
            f"the bench is of {setting.model}, not of {fit.what.model.name}",
            hint="the file or MODEL names what was measured",
        )
    shape = fit.place.shape
    if setting.gpu is not None and (shape is None or setting.gpu != shape.gpu):
        raise SpecError(
            f"the bench is of {setting.gpu}, not of {fit.place.name}",
            hint="--gpu names the GPU that was measured",
        )
    if setting.rehearsed:
        raise SpecError(
            "the bench is of a rehearsal, in which this machine stands in for an instance: it says nothing of a GPU",
            hint="measure the deployment on Google Cloud: homeport bench --on cloudrun",
        )
    if setting.rehearsed is None and setting.on in registry.CLOUDS:
        raise SpecError(
            "the bench is of an older homeport, which did not write down whether it was rehearsed: it may say nothing of a GPU",
            hint="measure the deployment on Google Cloud once more: homeport bench --on cloudrun",
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
    tokens_in, tokens_out = result.setting.input, result.setting.output
    if tokens_in is None or tokens_out is None:
        return
    for level in result.levels:
        if level.users is None or level.users > most or not level.valid or level.requests.failed:
            continue
        ttft, e2e = level.latency["ttft"].p50, level.latency["e2e"].mean
        yield MeasuredLoad(
            users=level.users, input=tokens_in, output=tokens_out, ttft_s=ttft, e2e_s=e2e, unsure=_unsure(level)
        )  # fmt: skip


def _unsure(level: LevelResult) -> float:
    rate = level.rates["output_tokens"]
    return 0.0 if rate.high is None or not rate.mean else rate.high / rate.mean - 1


def _errors(
    loads: Sequence[MeasuredLoad], times: StepTime, limits: BatchLimits, way_s: float
) -> Iterator[float]:
    """Yield by how much what is simulated is off, as logarithms."""
    for load in loads:
        figures = closed_loop(load.users, (load.input, load.output), times, limits)
        yield math.log((figures.e2e_s + way_s) / load.e2e_s)
        if load.users == 1:
            yield math.log((figures.ttft_s + way_s) / load.ttft_s)


def _fitted(
    loads: Sequence[MeasuredLoad], fit: Fit, stated: StepSpeed, limits: BatchLimits, *, several: bool
) -> tuple[StepSpeed, float]:
    """Return the speed with which the squares of all errors are least, and the way of a request."""

    def speed(at: Sequence[float]) -> StepSpeed:
        factors = [math.exp(exponent) for exponent in at]
        return StepSpeed(
            bandwidth=stated.bandwidth * _START.bandwidth * factors[0],
            flops=stated.flops * _START.flops * factors[1],
            overhead_s=_START.overhead_s * factors[2],
        )

    least_ttft = min(load.ttft_s for load in loads)

    def way(at: Sequence[float]) -> float:
        return least_ttft / 4 * math.exp(at[3]) if several else 0.0

    def cost(at: Sequence[float]) -> float:
        errors = _errors(loads, step_time_at(fit, speed(at)), limits, way(at))
        return (
            sum(error * error for error in errors)
            + _WEIGHT * sum(exponent * exponent for exponent in at) / 100
        )

    exponents = least(cost, [0.0] * (4 if several else 3))
    return speed(exponents), way(exponents)


def least(cost: Callable[[Sequence[float]], float], start: Sequence[float]) -> list[float]:
    """Return where `cost` is least near `start`, by steps along and across each axis that are halved where none helps."""
    at, best, step = list(start), cost(start), 0.5
    while step > _FINEST:
        before, old = list(at), best
        for axis in range(len(at)):
            for way in (step, -step):
                tried = [coordinate + way * (number == axis) for number, coordinate in enumerate(at)]
                if (value := cost(tried)) < best:
                    at, best = tried, value
                    break
        along = [2 * now - then for now, then in zip(at, before, strict=True)]
        if best < old and (value := cost(along)) < best:
            at, best = along, value
        if best > _LITTLE * old or best < _MET:
            step /= 2
    return at
