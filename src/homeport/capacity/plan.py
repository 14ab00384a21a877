"""What traffic wants of Cloud Run: as the file says, and as it would be cheapest, each with its band and its price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homeport.bench.result import BenchResult
from homeport.capacity.candidate import ServingCandidate, window
from homeport.capacity.day import HOUR_S, HOURS, hourly
from homeport.capacity.measured_steps import MeasuredSteps, measured_steps
from homeport.capacity.objectives import Objectives
from homeport.capacity.outcome import CapacityOutcome
from homeport.capacity.roofline import PACES, step_time
from homeport.capacity.search import Tell, Trial, cheapest
from homeport.catalog import prices
from homeport.catalog.prices import Prices
from homeport.cost.usage import MONTH_DAYS
from homeport.engines.registry import delivery_of, keeps_start, module, on_cloud
from homeport.errors import HomeportError, MemoryTooSmall, SpecError
from homeport.fit import Fit, fit, size_unknown
from homeport.fit.cloud import engine_of, quotas
from homeport.fit.cold_start import expected
from homeport.fit.devices import cloud
from homeport.fit.own_starts import corrected
from homeport.fit.table import FitRequest, fit_request
from homeport.json_types import JsonObject
from homeport.spec import Scaling
from homeport.traffic import Trace

DAY_REQUESTS = 300_000
"""A day of more is not simulated whole: each level of its curve is, on its own, and no change between them."""
_LEVEL_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityQuestion:
    """What the options ask."""

    wanted: Mapping[str, Any]  # Any: values of homeport.toml
    """Keys of `[engine]` and `[cloudrun]`, over what the file says."""
    engine: str | None
    objectives: Objectives
    shares: tuple[float, ...]
    """Of each hour of the day, the traffic as a share of the trace's."""
    curve: str
    """As it was said."""
    search: bool
    prices: Path | None
    benches: tuple[BenchResult, ...] = ()
    """Whose steps are taken; without any, steps are worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCapacity:
    """One way to serve the traffic."""

    engine: str
    place: str
    concurrency: int
    target_concurrency: float | None
    min_instances: int
    max_instances: int
    delivery: str
    cold_start_s: tuple[float, float, float]
    usd_per_hour: float
    """Of one instance."""
    step: str
    """How long a step takes, in words."""
    likely: CapacityOutcome
    slow: CapacityOutcome
    fast: CapacityOutcome
    keeps: bool
    """Whether the objectives are kept, as is likely."""
    keeps_slow: bool
    month_flat_usd: float
    month_flat_band_usd: tuple[float, float]
    month_curve_usd: float
    month_gpu_hours: float
    """By the curve of the day."""
    day_refused: int
    day_how: str
    quotas: tuple[str, ...]
    """Those of a new project that do not suffice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPlan:
    """The answer: what `--json` prints."""

    model: str
    trace: str
    requests: int
    seconds: float
    requests_per_second: float
    context: int
    region: str
    objectives: dict[str, float]
    share: float
    curve: str
    prices_dated: str
    as_written: PlannedCapacity | None
    """With the file's own settings; None where the model does not fit so."""
    best: PlannedCapacity | None
    """The cheapest that keeps the objectives; None where it was not looked for, or nothing does."""
    runners_up: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """Return what `--json` prints."""
        return asdict(self)


def plan_capacity(
    model: str | None, file: Path, trace: Trace, question: CapacityQuestion, tell: Tell
) -> CapacityPlan:
    """
    Return what `trace` wants of Cloud Run, served by `model` or what the spec in `file` says.

    Raises what `fit_request` raises, `SpecError` for what cannot be worked out, or for benches of something else, `SizeUnknown` and `MemoryTooSmall` where it fits nowhere.
    """
    needs, price_list = fit_request(model, file, **question.wanted), prices.load(question.prices)
    if needs.subject.model.architecture is None:
        raise size_unknown(needs.subject.model)
    planner = _Planner(needs, price_list, trace, question)
    tell("serving the trace as the file says")
    written = planner.as_written()
    if question.benches and planner.measured is None:
        raise SpecError(
            f"{needs.subject.model.name} does not fit as the file says, so the benches are of something else",
            hint="say --gpu, --context and engine.parallel as they were when it was measured",
        )
    trials: list[Trial] = []
    if question.search:
        trials = cheapest(
            planner.ways(), trace.arrivals, planner.seconds, needs.settings.context, question.objectives, tell
        )
    best = planner.planned(trials[0].candidate) if trials else None
    if written is None and not planner.tried:
        raise MemoryTooSmall(
            f"{needs.subject.model.name} fits no GPU in {needs.cloudrun.region} with {needs.settings.context:,} tokens"
            + ("" if question.search else f" and {needs.settings.parallel} requests at once"),
            hint="`homeport fit` shows what it lacks",
        )
    return CapacityPlan(
        model=needs.subject.model.name,
        trace=trace.name,
        requests=len(trace.arrivals),
        seconds=planner.seconds,
        requests_per_second=len(trace.arrivals) / planner.seconds,
        context=needs.settings.context,
        region=needs.cloudrun.region,
        objectives=dict(question.objectives.limits),
        share=question.objectives.share,
        curve=question.curve,
        prices_dated=str(price_list.dated),
        as_written=written,
        best=best,
        runners_up=tuple(_in_words(trial) for trial in trials[1:4]),
        notes=tuple(planner.notes(written or best, searched=question.search, kept=bool(trials))),
    )


class _Planner:
    def __init__(self, wanted: FitRequest, known: Prices, trace: Trace, question: CapacityQuestion) -> None:
        self.wanted, self.known, self.trace, self.question = wanted, known, trace, question
        self.seconds = trace.seconds + (1 / trace.rate if trace.rate else 1.0)
        self.left_out: list[str] = []
        self.tried, self.fits_as_written = False, True
        """Whether there was a way to serve this, with fewer requests at once perhaps; and whether it fits as it is."""
        self.measured: MeasuredSteps | None = None
        """Found with what the file says, of which the benches are."""
        self.engine = question.engine
        if question.benches:
            self.engine = self.engine or question.benches[0].setting.engine
            if wanted.cloudrun.gpu == "auto":
                raise SpecError(
                    "which GPU was measured is not in a bench", hint="name it: --gpu, or cloudrun.gpu"
                )

    def as_written(self) -> PlannedCapacity | None:
        """Return the plan with the file's own settings, on the cheapest shape where they fit."""
        engine = self.engine or engine_of(self.wanted.settings, self.wanted.cloudrun)
        if engine not in self.wanted.subject.weights:
            return None
        fits = [fit for fit in self._fits(engine) if fit.fits]
        self.fits_as_written = bool(fits)
        if not fits:
            return None
        if self.question.benches:
            self.measured = measured_steps(self.question.benches, fits[0])
        best = min(fits, key=lambda fit: self._candidate(fit).hourly.total)
        return self.planned(self._candidate(best))

    def ways(self) -> Iterator[tuple[str, int, Callable[[int], ServingCandidate]]]:
        """Yield each engine on each shape that may serve this."""
        for engine in on_cloud():
            if engine not in self.wanted.subject.weights or self.engine not in {None, engine}:
                continue
            try:
                module(engine).check(self.wanted.settings)
                delivery_of(engine, self.wanted.cloudrun.delivery)
            except HomeportError as error:
                self.left_out.append(f"{engine} is left out: {error}")
                continue
            for fitted in self._fits(engine):
                most = fitted.concurrency
                if most:
                    self.tried = True
                    yield f"{engine} on {fitted.place.name}", most, self._opened(fitted)

    def _opened(self, fit: Fit) -> Callable[[int], ServingCandidate]:
        return lambda count: self._candidate(fit.wanting(parallel=count))

    def _fits(self, engine: str) -> Iterable[Fit]:
        serving = self.wanted.subject.served(engine, self.wanted.settings)
        places = cloud(self.wanted.cloudrun.region, self.wanted.cloudrun.gpu)
        return [fit(serving, place) for place in places]

    def _candidate(self, fit: Fit) -> ServingCandidate:
        cloudrun = self.wanted.cloudrun
        assert fit.place.shape is not None
        delivery = delivery_of(fit.what.engine, cloudrun.delivery)
        return ServingCandidate(
            fit=fit,
            hourly=self.known.hourly(fit.place.shape, cloudrun.region, zonal=cloudrun.zonal_redundancy),
            start=corrected(
                expected(
                    engine=fit.what.engine,
                    delivery=delivery,
                    weights_bytes=fit.what.weights.size,
                    kept=keeps_start(fit.what.engine, cloudrun.startup_cache),
                )
            ),
            delivery=delivery,
            target=self.wanted.scaling.target_concurrency,
            least=self.wanted.scaling.min,
            most=self.wanted.scaling.max,
            steps=self.measured.of if self.measured else step_time,
            way_s=self.measured.way_s if self.measured else 0.0,
        )

    def planned(self, one: ServingCandidate) -> PlannedCapacity:
        """Return all that is to be told of a candidate."""
        question, shape = self.question, one.fit.place.shape
        assert shape is not None
        traffic = window(self.trace.arrivals, self.seconds, self.wanted.settings.context)
        by_pace = {pace: one.serve(traffic, question.objectives, pace) for pace in PACES}
        day_hours, refused, how = self._day(one)
        likely, share = by_pace["likely"], question.objectives.share
        counted = Scaling(min=one.least, max=one.most)
        months = sorted(one.month(result.gpu_hours) for result in by_pace.values())
        return PlannedCapacity(
            engine=one.fit.what.engine,
            place=one.fit.place.name,
            concurrency=one.concurrency,
            target_concurrency=one.target,
            min_instances=one.least,
            max_instances=one.most,
            delivery=one.delivery,
            cold_start_s=(one.start.low, one.start.likely, one.start.high),
            usd_per_hour=one.hourly.total,
            step=one.steps(one.fit, "likely").how,
            likely=likely,
            slow=by_pace["slow"],
            fast=by_pace["fast"],
            keeps=likely.kept >= share,
            keeps_slow=by_pace["slow"].kept >= share,
            month_flat_usd=one.month(likely.gpu_hours),
            month_flat_band_usd=(months[0], months[-1]),
            month_curve_usd=day_hours * MONTH_DAYS * one.hourly.total,
            month_gpu_hours=day_hours * MONTH_DAYS,
            day_refused=refused,
            day_how=how,
            quotas=tuple(
                quota.text for quota in quotas(shape, self.wanted.cloudrun, counted) if not quota.suffices
            ),
        )

    def _day(self, candidate: ServingCandidate) -> tuple[float, int, str]:
        """Return the instance hours of a day, the requests that are turned away, and how that was found."""
        shares, arrivals = self.question.shares, self.trace.arrivals
        context, objectives = self.wanted.settings.context, self.question.objectives
        expected_requests = len(arrivals) / self.seconds * HOUR_S * sum(shares)
        if expected_requests <= DAY_REQUESTS:
            day = list(hourly(arrivals, self.seconds, shares))
            result = candidate.serve(window(day, HOURS * HOUR_S, context), objectives)
            return (
                result.gpu_hours * HOURS,
                result.refused,
                f"a day of {len(day):,} requests, simulated whole",
            )
        hours, refused = 0.0, 0
        for level in sorted(set(shares)):
            times = shares.count(level)
            part = [
                arrival for arrival in hourly(arrivals, self.seconds, (level,)) if arrival.seconds < _LEVEL_S
            ]
            result = candidate.serve(window(part, _LEVEL_S, context), objectives)
            hours += times * result.gpu_hours
            refused += round(times * result.refused * HOUR_S / _LEVEL_S)
        how = f"a day of {expected_requests:,.0f} requests, by half an hour of each level of its curve"
        return hours, refused, how

    def notes(self, shown: PlannedCapacity | None, *, searched: bool, kept: bool) -> Iterator[str]:
        """Yield what somebody should know who goes by the figures."""
        yield from self.left_out
        if not self.fits_as_written:
            yield f"as the file says, with {self.wanted.settings.parallel} requests at once, it does not fit"
        if self.trace.skipped:
            yield f"{self.trace.skipped:,} lines of the trace have no prompt or no answer, and are left out"
        if shown is not None and shown.likely.too_long:
            longest = max(arrival.input + arrival.output for arrival in self.trace.arrivals)
            yield (
                f"{shown.likely.too_long:,} requests are longer than the context of {self.wanted.settings.context:,}"
                f" tokens, and are refused by the engine: the longest wants --context {longest}"
            )
        if searched and not kept:
            yield "nothing that was tried keeps the objectives: allow more, another GPU, or smaller weights"
        if self.trace.seconds < HOUR_S / 6:
            yield f"the trace is {self.trace.seconds:.0f} s long: a plan for months wants an hour at least"
        if self.measured is None:
            yield "steps are worked out from bandwidth and arithmetic, not measured: see docs/capacity.md for the band"
        else:
            yield from self._measured(self.measured)

    def _measured(self, steps: MeasuredSteps) -> Iterator[str]:
        yield steps.in_words
        inputs = sorted(arrival.input for arrival in self.trace.arrivals)
        if (usual := inputs[int(0.95 * len(inputs))]) > 2 * steps.longest:
            yield (
                f"the trace has prompts of {usual:,} tokens, the benches of {steps.longest:,} at most: reading longer ones"
                " is extrapolated, and `homeport bench --input` measures it"
            )


def _in_words(trial: Trial) -> str:
    candidate = trial.candidate
    subject = candidate.fit.what
    return (
        f"{subject.engine} on {candidate.fit.place.name}, {candidate.concurrency} at once, target {candidate.target:g},"
        f" {candidate.least} to {candidate.most} instances: ${trial.month:,.0f} a month"
    )


def settings_of(one: PlannedCapacity) -> Sequence[tuple[str, str, str]]:
    """Return the keys of homeport.toml that make it so: table, key, value as TOML."""
    gpu = one.place.split()[0]
    keys = [
        ("engine", "kind", f'"{one.engine}"'),
        ("engine", "parallel", f"{one.concurrency}"),
        ("cloudrun", "gpu", f'"{gpu}"'),
        ("scaling", "min", f"{one.min_instances}"),
        ("scaling", "max", f"{one.max_instances}"),
    ]
    if one.target_concurrency is not None:
        keys.append(("scaling", "target_concurrency", f"{one.target_concurrency:g}"))
    return keys
