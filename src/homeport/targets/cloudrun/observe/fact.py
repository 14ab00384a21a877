"""What a plan tells of an endpoint's metrics: how much is sent, what that costs, and where it is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.catalog.prices import Prices
from homeport.gateway.callers import MOST
from homeport.reconcile.fact import Fact

PRICE = "metric_samples_million"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveFact(Fact):
    """The metrics of the engine in Cloud Monitoring."""

    key: ClassVar[str] = "observe"
    label: ClassVar[str] = "observe"
    image: str
    """That of the sidecar, as it is asked for."""
    cpu: float
    memory_gib: float
    """What the sidecar has in each instance, beside the engine."""
    series: int
    """Series of each instance, at most."""
    every_s: int
    samples_per_day: int
    """Of one instance that runs all day; one that is not there sends none."""
    usd_per_day: float
    unconfirmed: tuple[str, ...]
    """Keys of the prices among them that nothing official confirms."""
    alerts: tuple[str, ...]
    """Who is told of alerts."""
    objectives: tuple[str, ...] = ()
    """What requests are to keep, in words, with the bound by which that is judged."""
    traces: str = ""
    """The image of the collector that takes spans to Cloud Trace, as it is asked for; '' where none are sent."""
    uptime: str = ""
    """What is asked from outside, and by whom; '' where nothing is."""
    callers_usd_per_day: float | None = None
    """What of the price the counts by caller are, at most; None where there are none."""
    budget: int | None = None
    """What the project may cost in a month, in the billing account's currency."""

    @classmethod
    def of(
        cls, image: str, size: tuple[float, float], series: tuple[int, int], every_s: int, told: tuple[str, ...], prices: Prices
    ) -> ObserveFact:  # fmt: skip
        """Return what is told of so many series at that pace; the second number is how many of them tell by caller."""
        rate = prices.rates[PRICE]
        samples = series[0] * _DAY_S // every_s
        by_caller = series[1] * _DAY_S // every_s
        return cls(
            image=image,
            cpu=size[0],
            memory_gib=size[1],
            series=series[0],
            every_s=every_s,
            samples_per_day=samples,
            usd_per_day=round(samples / 1e6 * rate.usd, 4),
            unconfirmed=(PRICE,) if rate.unconfirmed else (),
            alerts=told,
            callers_usd_per_day=round(by_caller / 1e6 * rate.usd, 4) if by_caller else None,
        )

    @property
    def text(self) -> str:
        return "; ".join(text for _, text in self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for what is sent, one for what sends it, and one for who sees it."""
        guess = f" ({', '.join(self.unconfirmed)} not confirmed)" if self.unconfirmed else ""
        sent = (
            f"about {self.series} series every {self.every_s} s: {self.samples_per_day / 1e6:.2f} million samples a day of each "
            f"instance that runs, ${self.usd_per_day:.2f}{guess}; none at zero instances"
        )
        by = (
            f"by Google's Managed Prometheus beside the engine, {self.cpu:g} CPU and {self.memory_gib:g} GiB more in each "
            f"instance, on {self.image}; whether Cloud Run bounds what all containers beside a GPU have together was not checked"
        )
        addresses = ", ".join(address.removeprefix("mailto:") for address in self.alerts)
        audience = f"a dashboard and alerts in Cloud Monitoring; {f'{addresses} is told by mail' if addresses else 'nobody is told by mail'}"
        extras = [
            f"objective: {objective}; alerts on how fast its error budget is used up"
            for objective in self.objectives
        ]
        if self.uptime:
            extras.append(f"uptime: {self.uptime}")
        if self.callers_usd_per_day is not None:
            extras.append(
                f"callers: requests and tokens by the caller's address, of {MOST} at most in each instance, the others together: up to "
                f"${self.callers_usd_per_day:.2f} a day of the price above; whoever may read the project's metrics sees who asked, and how much; what was counted stays after `down`"
            )
        if self.traces:
            extras.append(
                "traces: a span of each request that Cloud Run samples, one in 10 s of each instance at most where clients ask for none, "
                f"to Cloud Trace, by a collector beside the engine, {self.cpu:g} CPU and "
                f"{self.memory_gib:g} GiB more in each instance, on {self.traces}; what Cloud Trace charges is not in the price"
            )
        if self.budget is not None:
            extras.append(
                f"budget: {self.budget} a month for the whole project, in the billing account's currency; at 50, 90 and 100 % "
                "Google writes to those who manage that account, and to alerts; it stops nothing"
            )
        return tuple((self.label, line) for line in (sent, by, audience, *extras))
