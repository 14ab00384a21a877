"""The screen of `[guard]` on Cloud Run: who judges there, by which template, and how it is reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from homeport.catalog.prices import Prices
from homeport.errors import SpecError
from homeport.google import Google
from homeport.reconcile import Resource, joined
from homeport.reconcile.fact import Fact
from homeport.resources.google.dns import record
from homeport.resources.google.firewall import egress
from homeport.resources.google.model_armor import address_of, host, regional_endpoint, template
from homeport.spec import Guard
from homeport.targets.cloudrun.names import Names

APIS = ("modelarmor", "networkconnectivity")
"""What Model Armor needs beside what every endpoint needs: itself, and the way to it from within a network."""
ROAD_APIS = ("modelarmor", "networksecurity", "networkservices")
"""What it needs where a load balancer calls it: itself, extensions, and the policies that ask these."""
ROLE = "roles/modelarmor.user"
QUOTA = 1200
"""Requests a minute that a project may make of Model Armor's API."""
TOKENS = 65_536
"""A filter takes as many in one text."""
LIMITED = frozenset(
    {
        "asia-northeast1",
        "asia-northeast3",
        "asia-south1",
        "asia-southeast1",
        "australia-southeast2",
        "europe-west2",
        "northamerica-northeast2",
    }
)
"""Regions in which, by Google's page on data residency, not all of its filters run."""
HOURS_A_MONTH = 730


def screen_of(guard: Guard) -> str:
    """Return which screen judges on Cloud Run."""
    return "model-armor" if guard.screen == "auto" else guard.screen


def armored(guard: Guard | None) -> Guard | None:
    """Return `[guard]` where Model Armor screens; None where nothing does, or another screen."""
    return guard if guard and screen_of(guard) == "model-armor" else None


def screen_apis(guard: Guard | None) -> tuple[str, ...]:
    """Return the APIs that screening needs beside what every endpoint needs."""
    if armored(guard) is None:
        return ()
    return APIS if guard is None or guard.in_gateway else ROAD_APIS


def template_of(guard: Guard, names: Names) -> str:
    """
    Return the template by which Model Armor judges: the file's, or the endpoint's own; '' for another screen.

    Raises `SpecError` for one of another project or region, where the endpoint's account and network do not lead.
    """
    if armored(guard) is None:
        return ""
    own = f"projects/{names.project}/locations/{names.region}/templates/"
    if guard.template is None:
        return f"{own}{names.guard}"
    if not guard.template.startswith(own):
        raise SpecError(
            f"guard.template is {guard.template}, and the service is in {names.region} of {names.project}: it screens there",
            hint=f'leave it out, and `up` makes one, or set guard.template = "{own}NAME"',
        )
    return guard.template


@dataclass(frozen=True, kw_only=True)
class ModelArmorParts:
    """What Model Armor takes in the cloud: the template, and within a network of ours the way to it."""

    google: Google
    names: Names
    guard: Guard

    @property
    def template(self) -> Resource | None:
        """Return the endpoint's own template; None where the file names one."""
        if self.guard.template is not None:
            return None
        names = self.names
        return template(self.google, names.name, names.guard, names.region, self.guard.filters)

    def way(self, zone_name: str, *, isolated: bool) -> Iterator[Resource]:
        """
        Yield what leads to it from our network, whose private zone `zone_name` sends everything else of Google's elsewhere.

        By Google's page on troubleshooting, Private Google Access answers requests to it with 404: so it takes an address of its own.
        """
        google, names = self.google, self.names
        endpoint = regional_endpoint(google, names.name, names.guard, names.region, names.name)
        yield endpoint
        address = address_of(endpoint)
        yield record(google, names.name, zone_name, f"{host(names.region)}.", "A", (address,))
        if isolated:
            to_it = (joined(address, "/32"),)
            yield egress(google, names.name, names.name, names.to_guard, ranges=to_it, allow=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCostFact(Fact):
    """What Model Armor costs, and how many calls a minute it is asked for at most."""

    key: ClassVar[str] = "guard_cost"
    label: ClassVar[str] = "screening"
    usd_per_million_tokens: float
    usd_per_month: float
    """Of the way to it, of which each region has one, while nobody asks anything."""
    calls_a_minute: int
    """With every instance of every region answering as many streams as it may."""
    quota: int
    unconfirmed: tuple[str, ...]

    @classmethod
    def of(
        cls, guard: Guard, prices: Prices, *, streams: int, own_way: bool, regions: int = 1
    ) -> GuardCostFact:
        """Return it for as many `streams` at once as there may be in each of so many `regions`."""
        keys = ["model_armor_million_tokens", *(["regional_endpoint_hour"] if own_way else [])]
        month = prices.rates["regional_endpoint_hour"].usd * HOURS_A_MONTH * regions if own_way else 0.0
        per_stream = 60 / guard.window_s if guard.answers else 1.0
        return cls(
            usd_per_million_tokens=prices.rates[keys[0]].usd,
            usd_per_month=round(month, 2),
            calls_a_minute=round(streams * regions * per_stream),
            quota=QUOTA,
            unconfirmed=tuple(key for key in keys if prices.rates[key].unconfirmed),
        )

    @property
    def text(self) -> str:
        way = f" and ${self.usd_per_month:.2f} a month for the way to it" if self.usd_per_month else ""
        guess = f" ({', '.join(self.unconfirmed)} not confirmed)" if self.unconfirmed else ""
        return (
            f"${self.usd_per_million_tokens:.2f} a million tokens{way}{guess}; up to {self.calls_a_minute} calls a minute of "
            f"Model Armor where every stream is long, of {self.quota} that a project may make"
        )

    @property
    def over(self) -> bool:
        """Tell whether that is more than a project may make."""
        return self.calls_a_minute > self.quota


def warnings(guard: Guard, names: Names, cost: GuardCostFact | None, *, network: str) -> Iterator[str]:
    """Yield what is to be known of the screen before it is made; `network` is the user's own, '' for ours."""
    if guard.metrics_port is not None:
        yield "guard.metrics_port is for this machine: on Cloud Run nothing could ask there"
    if not guard.prompts or not guard.answers:
        yield "[guard] screens only one direction"
    if cost is None:
        return
    if cost.over:
        yield (
            f"[guard] may take {cost.calls_a_minute} calls a minute of Model Armor, and a project has {cost.quota}: what has no "
            "room within guard.deadline_s is refused; a longer guard.window_s or fewer instances take less"
        )
    if names.region in LIMITED:
        yield (
            f"Model Armor does not run all of its filters in {names.region}, by Google's page on data residency: what a filter "
            "did not look at is refused"
        )
    if network:
        yield (
            f"[guard] asks {host(names.region)}, which Private Google Access does not serve: the network {network} must lead "
            "there by a regional endpoint of Private Service Connect and a DNS record, or everything is refused"
        )
