"""What a plan tells of several regions: the price of each, in which order they change, and when one that fails is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from homeport.fit.cloud import Estimate
from homeport.reconcile.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPlace:
    """One of the regions that serve an endpoint."""

    region: str
    gpu: str
    usd_per_hour: float | None
    """Of one instance that runs there; None where there is no price."""
    idle_usd_per_hour: float | None
    """Of those that always run there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionsFact(Fact):
    """The regions that serve the endpoint, in the order in which they change."""

    key: ClassVar[str] = "regions"
    label: ClassVar[str] = "regions"
    places: tuple[RegionPlace, ...]
    min_instances: int

    @classmethod
    def of(cls, estimates: Sequence[tuple[str, Estimate]], min_instances: int) -> RegionsFact:
        """Return what is told of the regions, by what was reckoned for each."""
        return cls(
            places=tuple(_place(region, estimate, min_instances) for region, estimate in estimates),
            min_instances=min_instances,
        )

    @property
    def text(self) -> str:
        return "; ".join(text for _, text in self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for each region, one for their order, and one for what is noticed of a region that fails."""
        texts = [_priced(place) for place in self.places]
        order = ", then ".join(place.region for place in self.places)
        texts.append(
            f"they change one after another: {order}. Where one fails, those after it stay as they are, and requests for them are "
            "answered by what served before; each has its own bucket, images and weights, which are paid for in each"
        )
        learned = (
            "the load balancer learns that a region fails from its answers alone: after five errors in a row at one of its proxies it gets "
            "nothing there for half a minute. Refusals for want of an instance (429) are no such errors"
        )
        health = (
            "Cloud Run's service health, which notices it before, wants min = 1 in [scaling] or more, so an instance that is paid for "
            "in every region, and is not set up here"
        )
        texts.append(f"{learned}; {health}")
        return tuple((self.label, text) for text in texts)


def _place(region: str, estimate: Estimate, min_instances: int) -> RegionPlace:
    hourly, shape = estimate.hourly, estimate.best.place.shape if estimate.best else None
    return RegionPlace(
        region=region,
        gpu=shape.gpu if shape else "",
        usd_per_hour=round(hourly.total, 4) if hourly else None,
        idle_usd_per_hour=round(hourly.total * min_instances, 4) if hourly else None,
    )


def _priced(place: RegionPlace) -> str:
    if place.usd_per_hour is None:
        return f"{place.region}: {place.gpu}, no price is known"
    asleep = (
        f"${place.idle_usd_per_hour:.2f} an hour at least"
        if place.idle_usd_per_hour
        else "nothing while it is at zero"
    )
    return f"{place.region}: {place.gpu}, ${place.usd_per_hour:.2f} an hour for each instance that runs, {asleep}"


__all__ = ["RegionPlace", "RegionsFact"]
