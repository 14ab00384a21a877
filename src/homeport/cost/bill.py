"""What an endpoint on Cloud Run costs: by the hour, by the month, by the million tokens, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from homeport.catalog.prices import Hourly, Prices, Rate, usd
from homeport.cost.figure import Figure
from homeport.cost.usage import DAY_S, MONTH_DAYS, MONTH_HOURS, Usage
from homeport.json_types import JsonObject

DUTIES = (0.5, 0.25, 0.1)
"""Busy all the time is what a used second costs."""
MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingState:
    """What the endpoint costs while it stays in one state."""

    name: str
    hour: Figure
    month: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a million tokens cost at the throughput that the user gave."""

    reserved: dict[float, Figure]
    """By duty: the share of a paid hour in which the instance works."""
    used: Figure
    """Where only seconds of work counted."""
    traffic: Figure | None
    """At the traffic of the user, scaling; None where it is not known, nothing, or more than can be served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """All that is known of what an endpoint costs. `Bill` gives the month at any traffic."""

    bill: Bill
    states: tuple[BillingState, ...]
    """Idle, busy, always on."""
    storage: Figure
    """Weights and image, a month."""
    edge: Figure | None
    """The file's load balancer, a month, without what comes with traffic; None where there is none."""
    guard: Figure | None
    """The way to the file's screen, a month; None where there is none, or it costs nothing."""
    builds: Figure
    """A month."""
    wake_seconds: Figure
    wake: Figure
    """What one wake costs."""
    scaling: Figure | None
    """The month at the user's traffic, scaling; None without throughput, traffic, or beyond capacity."""
    always_on: Figure | None
    """The same with all needed instances always on; None beyond the capacity."""
    tokens: Tokens | None
    """None where no throughput is known: `homeport bench --on cloudrun` measures it."""

    def as_json(self) -> JsonObject:
        """Return every figure with its arithmetic, for `--json`."""
        table = asdict(self)
        bill = table.pop("bill")
        if self.tokens is not None:
            table["tokens"]["reserved"] = {
                f"{duty:.0%}": asdict(at) for duty, at in self.tokens.reserved.items()
            }
        return {
            "currency": "USD",
            "month_hours": MONTH_HOURS,
            "usage": bill["usage"],
            "hourly": bill["hourly"],
            **table,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The month's bill as a function of tokens a day."""

    hourly: Hourly
    usage: Usage
    storage: Figure
    builds: Figure
    edge: Figure | None = None
    guard: Figure | None = None

    @property
    def standing(self) -> Figure:
        """Return what a month costs whatever runs: storage, and the load balancer and the way to a screen where there is one."""
        return sum((figure for figure in (self.edge, self.guard) if figure is not None), self.storage)

    @property
    def price(self) -> str:
        """Return the price of one instance for an hour, as the arithmetic names it: `$1.0541/h`."""
        return f"${self.hourly.total:.4f}/h"

    def scaling(self, tokens: float, cold_start: float | None = None) -> float | None:
        """Return the USD a month where instances come and go; None beyond the capacity."""
        cold_start = self.usage.cold_start if cold_start is None else cold_start
        return self._month(tokens, self.usage.scaling_seconds(tokens, cold_start))

    def always_on(self, tokens: float) -> float | None:
        """Return the USD a month where all needed instances always run; None beyond the capacity."""
        return self._month(tokens, self.usage.always_on_seconds(tokens))

    def _month(self, tokens: float, seconds: float) -> float | None:
        if not self.usage.fits(tokens):
            return None
        return self.instance(seconds * MONTH_DAYS) + self.standing.value + self.builds.value

    def instance(self, seconds: float) -> float:
        """Return the USD for that many seconds of instances."""
        return seconds / 3600 * self.hourly.total


def cost(
    prices: Prices, hourly: Hourly, usage: Usage, edge: Figure | None = None, guard: Figure | None = None
) -> Cost:
    """Return what an endpoint costs whose instances cost `hourly`, that is used as `usage` says, and what stands before it."""
    storage = _stored("weights", usage.weights_gib, prices.storage_gib_month) + _stored(
        "image", usage.image_gib, prices.image_gib_month
    )
    builds = _builds(usage, prices.build_minute(usage.build_machine))
    bill = Bill(hourly=hourly, usage=usage, storage=storage, builds=builds, edge=edge, guard=guard)
    tokens = usage.tokens_per_day
    scaling = None if tokens is None or usage.tokens_per_second is None else _scaling(bill, tokens)
    return Cost(
        bill=bill,
        states=_states(bill),
        storage=storage,
        edge=edge,
        guard=guard,
        builds=builds,
        wake_seconds=_wake_seconds(usage),
        wake=_wake(bill),
        scaling=scaling,
        always_on=_always_on(bill, tokens or 0),
        tokens=_tokens(bill, scaling),
    )


def _stored(what: str, gib: float, rate: Rate) -> Figure:
    return Figure(
        value=gib * rate.usd,
        unit="USD/month",
        how=f"{gib:.1f} GiB of {what} × {usd(rate.usd)}",
        unconfirmed=(rate.key,) if rate.unconfirmed else (),
    )


def _builds(usage: Usage, minute: Rate) -> Figure:
    return Figure(
        value=usage.builds_per_month * usage.build_minutes * minute.usd,
        unit="USD/month",
        how=f"{usage.builds_per_month:g} builds × {usage.build_minutes:g} min on {usage.build_machine}"
        f" × {usd(minute.usd)}",
        unconfirmed=(minute.key,) if minute.unconfirmed else (),
    )


def _instances(bill: Bill, count: int, hours: int, unit: str) -> Figure:
    return Figure(
        value=count * hours * bill.hourly.total,
        unit=unit,
        how=f"{_count(count)} × " + (f"{hours} h × " if hours > 1 else "") + bill.price,
        unconfirmed=bill.hourly.unconfirmed if count else (),
    )


def _states(bill: Bill) -> tuple[BillingState, ...]:
    usage = bill.usage
    hour = bill.standing.over(MONTH_HOURS, "USD/h", f"{MONTH_HOURS} h")
    idle = f"idle, {_count(usage.min_instances)}" if usage.min_instances else "idle, scaled to zero"
    counts = {
        idle: usage.min_instances,
        f"busy, {_count(usage.instances)}": usage.instances,
        f"always on, {_count(usage.standing)}": usage.standing,
    }
    warm = []
    if usage.warm_hours_per_week:
        month = Figure(
            value=usage.warm_hours_per_week / 7 * MONTH_DAYS * bill.hourly.total,
            unit="USD/month",
            how=f"{usage.warm_hours_per_week:g} h a week ÷ 7 × {MONTH_DAYS:.2f} days × {bill.price}",
            unconfirmed=bill.hourly.unconfirmed,
        )
        hourly = _instances(bill, 1, 1, "USD/h") + hour
        warm = [BillingState(name="warm hours, 1 instance", hour=hourly, month=month + bill.standing)]
    return tuple(warm) + tuple(
        BillingState(
            name=name,
            hour=_instances(bill, count, 1, "USD/h") + hour,
            month=_instances(bill, count, MONTH_HOURS, "USD/month") + bill.standing,
        )
        for name, count in counts.items()
    )


def _count(instances: int) -> str:
    return "1 instance" if instances == 1 else f"{instances} instances"


def _wake_seconds(usage: Usage) -> Figure:
    tokens = min(usage.tokens_per_day or 0, usage.capacity)
    low, likely, high = (usage.wake_seconds(cold, tokens) for cold in usage.cold_start_s)
    work = usage.work_seconds(tokens) / usage.wakes_per_day
    return Figure(
        value=likely,
        unit="s",
        how=f"cold start {usage.cold_start:g} s + work {work:.0f} s + idle {usage.idle_s:g} s,"
        f" at least {usage.billed_minimum_s:g} s",
        low=low,
        high=high,
    )


def _wake(bill: Bill) -> Figure:
    seconds = _wake_seconds(bill.usage)
    assert seconds.low is not None
    assert seconds.high is not None
    return Figure(
        value=bill.instance(seconds.value),
        unit="USD",
        how=f"{seconds.value:.0f} s ÷ 3600 × {bill.price}",
        low=bill.instance(seconds.low),
        high=bill.instance(seconds.high),
        unconfirmed=bill.hourly.unconfirmed,
    )


def _scaling(bill: Bill, tokens: float) -> Figure | None:
    if not bill.usage.fits(tokens):
        return None
    low, likely, high = (bill.usage.scaling_seconds(tokens, cold) for cold in bill.usage.cold_start_s)
    return (
        Figure(
            value=bill.instance(likely * MONTH_DAYS),
            unit="USD/month",
            how=f"{likely:.0f} s a day × {MONTH_DAYS:.2f} days ÷ 3600 × {bill.price}",
            low=bill.instance(low * MONTH_DAYS),
            high=bill.instance(high * MONTH_DAYS),
            unconfirmed=bill.hourly.unconfirmed if likely else (),
        )
        + bill.standing
        + bill.builds
    )


def _always_on(bill: Bill, tokens: float) -> Figure | None:
    if not bill.usage.fits(tokens):
        return None
    count = round(bill.usage.always_on_seconds(tokens) / DAY_S)
    return _instances(bill, count, MONTH_HOURS, "USD/month") + bill.standing + bill.builds


def _tokens(bill: Bill, scaling: Figure | None) -> Tokens | None:
    speed, tokens = bill.usage.tokens_per_second, bill.usage.tokens_per_day
    if speed is None:
        return None
    unit = "USD/million tokens"
    hour = _instances(bill, 1, 1, "USD/h")
    traffic = None
    if scaling is not None and tokens:
        millions = tokens * MONTH_DAYS / MILLION
        traffic = scaling.over(millions, unit, f"{millions:.3g} million tokens a month")
    return Tokens(
        reserved={
            duty: hour.over(
                speed * 3600 * duty / MILLION, unit, f"({speed:g} tokens/s × 3600 s × {duty:.0%}) × a million"
            )
            for duty in DUTIES
        },
        used=hour.over(
            speed * 3600 / MILLION, unit, f"({speed:g} tokens/s × 3600 s of work alone) × a million"
        ),
        traffic=traffic,
    )
