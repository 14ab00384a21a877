"""What an endpoint costs besides in further regions: the price of an instance there, and what a month of each takes whatever is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from homeport.catalog.cloudrun import Shape
from homeport.catalog.prices import Prices
from homeport.cost.figure import Figure
from homeport.cost.usage import MONTH_DAYS, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionCost:
    """A further region of the endpoint."""

    region: str
    usd_per_hour: float
    """Of one instance that runs there."""
    usd_per_month: float
    """While nobody asks anything: weights, image and the way to the screen, which each region has, and the instances that run all the same."""

    @property
    def text(self) -> str:
        """Return both in words."""
        return (
            f"{self.region} besides: ${self.usd_per_hour:.2f} an hour for each instance that runs there, and "
            f"${self.usd_per_month:.2f} a month whatever is asked"
        )


def region_costs(
    prices: Prices,
    shape: Shape,
    regions: Sequence[str],
    *,
    zonal: bool,
    usage: Usage,
    standing: Iterable[Figure],
) -> tuple[RegionCost, ...]:
    """
    Return the price of each further region. Raises `SpecError` for one that has none.

    `standing` is what each has of its own, a month, whether anything runs there or not.
    """
    stands, kept_hours = sum(one.value for one in standing), usage.idle_seconds / 3600 * MONTH_DAYS
    costs = []
    for region in regions:
        hour = prices.hourly(shape, region, zonal=zonal).total
        month = stands + kept_hours * hour
        costs.append(RegionCost(region=region, usd_per_hour=round(hour, 4), usd_per_month=round(month, 2)))
    return tuple(costs)


__all__ = ["RegionCost", "region_costs"]
