"""A plan of capacity, as text."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.capacity.answer import CapacityPlan, EnoughInstances, PlannedCapacity, settings_of
from homeport.capacity.outcome import CapacityOutcome, SimulatedLatency
from homeport.words import counted


def text(plan: CapacityPlan) -> str:
    """Return all that was found."""
    return "\n".join(_lines(plan))


def _lines(plan: CapacityPlan) -> Iterator[str]:
    rate = f"{plan.requests_per_second:.2f} a second"
    yield f"{plan.model} for {plan.trace}: {counted(plan.requests, 'request')} in {plan.seconds:,.0f} s, {rate}"
    if plan.objectives:
        limits = ", ".join(f"{name} {limit:g} s" for name, limit in plan.objectives.items())
        yield f"objectives: {limits}, kept by {plan.share:.0%} of all requests"
    if plan.as_written is not None:
        yield from ("", "AS THE FILE SAYS", *_planned(plan, plan.as_written))
    if plan.best is not None:
        yield from ("", "CHEAPEST THAT KEEPS THE OBJECTIVES", *_planned(plan, plan.best))
        yield ""
        yield "  in homeport.toml:"
        yield from (f"    {table}.{key} = {value}" for table, key, value in settings_of(plan))
    if plan.runners_up:
        yield from ("", "next", *(f"  {capacity}" for capacity in plan.runners_up))
    yield ""
    yield from (f"note: {note}" for note in plan.notes)
    yield f"prices of {plan.prices_dated}, list, {plan.region}"


def _planned(plan: CapacityPlan, planned: PlannedCapacity) -> Iterator[str]:
    target = (
        "Cloud Run's own, about 0.6"
        if planned.target_concurrency is None
        else f"{planned.target_concurrency:g}"
    )
    yield f"  {planned.engine} on {planned.place}, ${planned.usd_per_hour:.2f} an hour; weights by {planned.delivery}"
    yield f"  concurrency {planned.concurrency}, target {target}, {planned.min_instances} to {planned.max_instances} instances"
    low, likely, high = planned.cold_start_s
    yield f"  cold start {likely:.0f} s ({low:.0f} to {high:.0f}); a step: {planned.step}"
    yield ""
    yield "                      LIKELY       FAST       SLOW"
    for label, values in _rows(planned):
        yield f"  {label:<16}" + "".join(f"{value:>11}" for value in values)
    if plan.objectives:
        verdict = "kept" if planned.keeps else "NOT kept"
        slow = "also" if planned.keeps_slow else "not"
        yield f"  objectives {verdict} as is likely, {slow} where all is slow"
    if planned.enough is not None:
        yield from _enough(planned.enough, plan.share)
    yield ""
    low_usd, high_usd = planned.month_flat_band_usd
    yield (
        f"  a month, every hour as the trace:     ${planned.month_flat_usd:,.0f} (${low_usd:,.0f} to ${high_usd:,.0f})"
    )
    hours = f"{planned.month_gpu_hours:,.0f} GPU hours"
    yield f"  a month, by the curve {plan.curve[:20]!r}:       ${planned.month_curve_usd:,.0f}, {hours}"
    yield f"    {planned.day_how}; {planned.day_refused:,} turned away a day"
    if planned.quotas:
        yield from (f"  quota: {quota}" for quota in planned.quotas)
    else:
        yield "  quota: a new project's quotas suffice"


def _enough(enough: EnoughInstances, share: float) -> Iterator[str]:
    """Yield what more instances would do, and how far they go."""
    if enough.max_instances is None:
        yield (
            f"  no scaling.max would do, all else as it is: with as many as there may be {enough.kept:.1%} keep them, and"
            f" {share:.0%} are to"
        )
        return
    yield (
        f"  scaling.max = {enough.max_instances} would do, all else as it is: {enough.kept:.1%} keep them, for"
        f" ${enough.month_flat_usd:,.0f} a month with every hour as the trace"
    )
    yield from (f"    quota: {quota}" for quota in enough.quotas)


def _rows(planned: PlannedCapacity) -> Iterator[tuple[str, list[str]]]:
    results = (planned.likely, planned.fast, planned.slow)
    yield "kept", [f"{result.kept:.1%}" for result in results]
    for name in ("ttft", "itl", "e2e"):
        for share in ("p50", "p95", "p99"):
            yield f"{name} {share}", [_seconds(_latency(result, name), share) for result in results]
    yield "turned away", [f"{result.refused:,}" for result in results]
    yield "instances, most", [f"{result.peak}" for result in results]
    yield "GPU hours an hour", [f"{result.gpu_hours:.2f}" for result in results]


def _latency(result: CapacityOutcome, name: str) -> SimulatedLatency:
    return {"ttft": result.ttft, "itl": result.itl, "e2e": result.e2e}[name]


def _seconds(latency: SimulatedLatency, share: str) -> str:
    value: float | None = {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99}[share]
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
