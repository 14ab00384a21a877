"""What a simulation came to: how long requests took, how many were turned away, how many instances there were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from homeport.capacity.objectives import Objectives
from homeport.capacity.scaled_service import ServiceRun


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLatency:
    """Seconds."""

    p50: float | None
    """None where no request had any."""
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOutcome:
    """What came of a service's traffic within a window of time."""

    requests: int
    refused: int
    """Answered 429."""
    too_long: int
    """Longer than the context: the engine answers 400."""
    ttft: SimulatedLatency
    itl: SimulatedLatency
    """(last token - first) / (tokens - 1)."""
    e2e: SimulatedLatency
    kept: float
    """The share of requests that keep the objectives; those without an answer do not."""
    peak: int
    """The most instances at once."""
    gpu_hours: float
    """Billed, an hour of the window."""
    preemptions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which requests count, and which time is billed: what comes before is a warm-up."""

    first: int
    """Number of a request."""
    begin: float
    end: float
    too_long: frozenset[int] = frozenset()
    """Numbers of requests that the engine refuses."""


def outcome(
    run: ServiceRun, window: Window, objectives: Objectives, *, way_s: float = 0.0
) -> CapacityOutcome:
    """Return what came of `run` within `window`; each request takes `way_s` besides."""
    table = run.traffic
    ttft: list[float] = []
    itl: list[float] = []
    e2e: list[float] = []
    limits = [objectives.limits.get(name, math.inf) for name in ("ttft", "itl", "e2e")]
    keeping = total = 0
    rows = zip(table.arrived, table.first, table.ended, table.outputs, strict=True)
    for number, (arrived, first, ended, outputs) in enumerate(rows):
        if number < window.first or number in window.too_long:
            continue
        total += 1
        if ended < 0:
            continue
        begun = arrived - way_s
        gap = (ended - first) / (outputs - 1) if outputs > 1 else 0.0
        ttft.append(first - begun)
        e2e.append(ended - begun)
        if outputs > 1:
            itl.append(gap)
        keeping += first - begun <= limits[0] and gap <= limits[1] and ended - begun <= limits[2]
    billed = run.billed_s(window.begin, window.end) / max(window.end - window.begin, 1e-9)
    too_long = sum(number >= window.first for number in window.too_long)
    requests = total + too_long
    return CapacityOutcome(
        requests=requests,
        refused=total - len(e2e),
        too_long=too_long,
        ttft=_latency(ttft),
        itl=_latency(itl),
        e2e=_latency(e2e),
        kept=keeping / requests if requests else 1.0,
        peak=_peak(run, window),
        gpu_hours=billed,
        preemptions=run.preemptions,
    )


def _peak(run: ServiceRun, window: Window) -> int:
    within = [count for at, count in run.counts if window.begin <= at <= window.end]
    before = [count for at, count in run.counts if at < window.begin]
    return max([*within, *before[-1:]], default=0)


def _latency(values: list[float]) -> SimulatedLatency:
    values.sort()
    return SimulatedLatency(p50=_at(values, 0.5), p95=_at(values, 0.95), p99=_at(values, 0.99))


def _at(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least `share` of all do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
