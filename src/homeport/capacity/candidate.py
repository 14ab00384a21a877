"""A way to serve on Cloud Run: engine, shape, concurrency and scaling, with its price and its speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from homeport.capacity.day import repeated
from homeport.capacity.objectives import Objectives
from homeport.capacity.outcome import CapacityOutcome, Window, outcome
from homeport.capacity.request_table import request_table
from homeport.capacity.roofline import Pace, batch_limits, step_time
from homeport.capacity.scaled_service import DEFAULT_TARGET, ScaledService, ServiceSettings
from homeport.capacity.step_time import StepTime
from homeport.catalog import cloudrun
from homeport.catalog.prices import Hourly
from homeport.cost.usage import MONTH_HOURS
from homeport.fit import Fit
from homeport.fit.cold_start import ColdStart
from homeport.traffic import Arrival

WARM_UP_S = 1500.0
"""
So much of the trace's end is played before its beginning, and does not count: the hour before was alike. It is longer
than most cold starts and the life of an idle instance together, so that what began with nothing has settled.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficWindow:
    """The traffic that is served, and a warm-up before it."""

    arrivals: tuple[Arrival, ...]
    first: int
    """Number of the first request that counts."""
    begin: float
    seconds: float
    too_long: frozenset[int]
    """Numbers of those that the engine refuses: each is there as a visit of one token, for which an instance has to run."""

    @property
    def end(self) -> float:
        """Return when the traffic that counts ends."""
        return self.begin + self.seconds


def window(
    arrivals: Sequence[Arrival], seconds: float, context: int, *, warm_up: float = WARM_UP_S
) -> TrafficWindow:
    """Return `arrivals` of so many `seconds`, those longer than `context` as short visits, after a warm-up like their end."""
    warm = min(warm_up, 20 * seconds)
    before = [
        Arrival(warm - at, arrival.input, arrival.output)
        for at, arrival in _backwards(arrivals, seconds, warm)
    ]  # fmt: skip
    before.sort(key=lambda arrival: arrival.seconds)
    after = [Arrival(warm + arrival.seconds, arrival.input, arrival.output) for arrival in arrivals]
    come = (*before, *after)
    too_long = frozenset(
        number for number, arrival in enumerate(come) if arrival.input + arrival.output > context
    )
    return TrafficWindow(
        arrivals=tuple(
            Arrival(arrival.seconds, 1, 1) if number in too_long else arrival
            for number, arrival in enumerate(come)
        ),
        first=len(before),
        begin=warm,
        seconds=seconds,
        too_long=too_long,
    )


def _backwards(arrivals: Sequence[Arrival], seconds: float, until: float) -> list[tuple[float, Arrival]]:
    """Return the requests before the trace, were it played again and again, with how long before."""
    mirrored = [
        Arrival(seconds - arrival.seconds, arrival.input, arrival.output) for arrival in reversed(arrivals)
    ]
    return [(arrival.seconds, arrival) for arrival in repeated(mirrored, seconds, until)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCandidate:
    """A way to serve. Its fit's `parallel` is the concurrency of an instance."""

    fit: Fit
    hourly: Hourly
    start: ColdStart
    delivery: str
    target: float | None
    """The share of concurrency that Cloud Run aims at; None leaves it Cloud Run's own, of about 0.6."""
    least: int
    most: int
    steps: Callable[[Fit, Pace], StepTime] = step_time
    """How long steps take: worked out, unless they were measured."""
    way_s: float = 0.0
    """What a request takes beside the engine."""

    @property
    def concurrency(self) -> int:
        """Return the requests that an instance is given at once."""
        return self.fit.what.settings.parallel

    def month(self, gpu_hours: float) -> float:
        """Return the USD of a month whose every hour bills so many hours of instances."""
        return gpu_hours * MONTH_HOURS * self.hourly.total

    def changed(self, *, target: float | None, least: int, most: int) -> ServingCandidate:
        """Return this with other scaling."""
        return replace(self, target=target, least=least, most=most)

    def serve(self, traffic: TrafficWindow, objectives: Objectives, pace: Pace = "likely") -> CapacityOutcome:
        """Return what comes of `traffic`: slow means slow steps and long cold starts, fast the other."""
        limits = cloudrun.limits()
        starts = {"slow": self.start.high, "likely": self.start.likely, "fast": self.start.low}
        settings = ServiceSettings(
            concurrency=self.concurrency,
            least=self.least,
            most=self.most,
            start_s=starts[pace],
            idle_s=limits.idle_s,
            billed_minimum_s=limits.billed_minimum_s,
            target=DEFAULT_TARGET if self.target is None else self.target,
        )
        table = request_table(traffic.arrivals)
        run = ScaledService(table, settings, self.steps(self.fit, pace), batch_limits(self.fit)).run()
        counted = Window(first=traffic.first, begin=traffic.begin, end=traffic.end, too_long=traffic.too_long)
        return outcome(run, counted, objectives, way_s=self.way_s)
