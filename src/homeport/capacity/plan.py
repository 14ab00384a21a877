"""What traffic wants of Cloud Run: as the file says, and as it would be cheapest, each with its band and its price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.bench.result import BenchResult
from homeport.capacity.answer import CapacityPlan, EnoughInstances, PlannedCapacity
from homeport.capacity.candidate import ServingCandidate, TrafficWindow, window
from homeport.capacity.day import HOUR_S, HOURS, busiest_hour, hourly
from homeport.capacity.measured_steps import MeasuredSteps, measured_steps
from homeport.capacity.objectives import Objectives
from homeport.capacity.roofline import PACES, step_time
from homeport.capacity.search import Tell, Trial, cheapest, with_instances
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
from homeport.spec import Scaling
from homeport.traffic import Trace
from homeport.words import counted

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
    _ensure_not_too_long(trace, needs, question)
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
            + ("" if question.search else f" and {counted(needs.settings.parallel, 'request')} at once"),
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
        given=dict(question.wanted),
        runners_up=tuple(_in_words(trial) for trial in trials[1:4]),
        notes=tuple(planner.notes(written or best, searched=question.search, kept=bool(trials))),
    )


def _ensure_not_too_long(trace: Trace, needs: FitRequest, question: CapacityQuestion) -> None:
    """Raise `SpecError` where a search would be in vain: the context alone keeps more from their objectives than may miss them."""
    share, context, lengths = (
        question.objectives.share,
        needs.settings.context,
        sorted(one.input + one.output for one in trace.arrivals),
    )
    would_do = next(length for kept, length in enumerate(lengths, 1) if kept / len(lengths) >= share)
    if would_do <= context or not question.search:
        return
    most, longer = needs.subject.model.context, sum(length > context for length in lengths)
    more = (
        f", or more: {lengths[-1]} has room for all" if lengths[-1] > would_do else ", which has room for all"
    )
    raise SpecError(
        f"{longer:,} of {counted(len(lengths), 'request')} {'is' if longer == 1 else 'are'} longer than the context of"
        f" {context:,} tokens, and {100 * share:g}% of all are to keep the objectives",
        hint=f"say --context {would_do}{more}"
        if not most or would_do <= most
        else f"they want a context of {would_do}, and {needs.subject.model.name} was made for {most}: take another model, or a lower --share",
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
                    "which GPU was measured has to be said", hint="name it: --gpu, or cloudrun.gpu"
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
        question = self.question
        traffic = window(self.trace.arrivals, self.seconds, self.wanted.settings.context)
        by_pace = {pace: one.serve(traffic, question.objectives, pace) for pace in PACES}
        day_hours, refused, how = self._day(one)
        likely, share = by_pace["likely"], question.objectives.share
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
            enough=self._enough(one, traffic) if question.objectives.limits and likely.kept < share else None,
            month_flat_usd=one.month(likely.gpu_hours),
            month_flat_band_usd=(months[0], months[-1]),
            month_curve_usd=day_hours * MONTH_DAYS * one.hourly.total,
            month_gpu_hours=day_hours * MONTH_DAYS,
            day_refused=refused,
            day_how=how,
            quotas=self._lacking(one),
        )

    def _enough(self, one: ServingCandidate, traffic: TrafficWindow) -> EnoughInstances:
        """Return what more instances would do for a candidate that does not keep the objectives."""
        objectives = self.question.objectives
        trial = with_instances(one, traffic, objectives)
        suffices = trial.outcome.kept >= objectives.share
        return EnoughInstances(
            max_instances=trial.candidate.most if suffices else None,
            kept=trial.outcome.kept,
            month_flat_usd=trial.month,
            quotas=self._lacking(trial.candidate) if suffices else (),
        )

    def _lacking(self, one: ServingCandidate) -> tuple[str, ...]:
        """Return the quotas of a new project that do not suffice for a candidate, in words."""
        assert one.fit.place.shape is not None
        scaled = Scaling(min=one.least, max=one.most)
        wanted = quotas(one.fit.place.shape, self.wanted.cloudrun, scaled)
        return tuple(quota.text for quota in wanted if not quota.suffices)

    def _day(self, candidate: ServingCandidate) -> tuple[float, int, str]:
        """Return the instance hours of a day, the requests that are turned away, and how that was found."""
        shares, busiest = self.question.shares, busiest_hour(self.trace.arrivals, self.seconds)
        context, objectives = self.wanted.settings.context, self.question.objectives
        expected_requests = busiest.rate * HOUR_S * sum(shares)
        drawn = (
            f", drawn from the trace's busiest hour, from {busiest.begin:,.0f} s on"
            if self.seconds > HOUR_S
            else ""
        )
        if expected_requests <= DAY_REQUESTS:
            day = list(hourly(busiest, shares))
            result = candidate.serve(window(day, HOURS * HOUR_S, context), objectives)
            return (
                result.gpu_hours * HOURS,
                result.refused,
                f"a day of {counted(len(day), 'request')}, simulated whole{drawn}",
            )
        hours, refused = 0.0, 0
        for level in sorted(set(shares)):
            times = shares.count(level)
            part = [arrival for arrival in hourly(busiest, (level,)) if arrival.seconds < _LEVEL_S]
            result = candidate.serve(window(part, _LEVEL_S, context), objectives)
            hours += times * result.gpu_hours
            refused += round(times * result.refused * HOUR_S / _LEVEL_S)
        how = f"a day of {counted(round(expected_requests), 'request')}, by half an hour of each level of its curve{drawn}"
        return hours, refused, how

    def notes(self, shown: PlannedCapacity | None, *, searched: bool, kept: bool) -> Iterator[str]:
        """Yield what somebody should know who goes by the figures."""
        yield from self.left_out
        if not self.fits_as_written:
            yield f"as the file says, with {counted(self.wanted.settings.parallel, 'request')} at once, it does not fit"
        if self.trace.skipped:
            yield f"{self.trace.skipped:,} lines of the trace have no prompt or no answer, and are left out"
        if shown is not None and shown.likely.too_long:
            longest = max(arrival.input + arrival.output for arrival in self.trace.arrivals)
            yield (
                f"the engine refuses {counted(shown.likely.too_long, 'request')} longer than the context of"
                f" {self.wanted.settings.context:,} tokens: the longest wants --context {longest}"
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
