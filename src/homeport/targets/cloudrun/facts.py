"""Facts of a plan for Cloud Run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from homeport.catalog.cloudrun import GIB
from homeport.catalog.prices import Prices, load
from homeport.cost.usage import MONTH_DAYS
from homeport.fit import Fit
from homeport.fit.cloud import Estimate
from homeport.fit.cold_start import ColdStart
from homeport.fit.outlook import at_once
from homeport.reconcile.fact import Fact
from homeport.spec.warm_hours import WarmHours
from homeport.targets.cloudrun.companions import Companion
from homeport.targets.cloudrun.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFact(Fact):
    """The project and the region."""

    key: ClassVar[str] = "project"
    label: ClassVar[str] = "project"
    project: str
    region: str

    @property
    def text(self) -> str:
        return f"{self.project}, {self.region}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFact(Fact):
    """The engine, and the image that it is in or that the built one begins with."""

    key: ClassVar[str] = "engine"
    label: ClassVar[str] = "engine"
    name: str
    image: str

    @property
    def text(self) -> str:
        return f"{self.name}, on {self.image}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFact(Fact):
    """How the weights get to the engine, and from where."""

    key: ClassVar[str] = "weights"
    label: ClassVar[str] = "weights"
    delivery: str
    """As `cloudrun.delivery` says it."""
    source: str

    @property
    def text(self) -> str:
        return f"{self.delivery}, from {self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptersFact(Fact):
    """The adapters that are served beside the model."""

    key: ClassVar[str] = "adapters"
    label: ClassVar[str] = "adapter"
    sources: Mapping[str, str]
    """Where each is, by the name that it is served under."""

    @property
    def text(self) -> str:
        return "; ".join(text for _, text in self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for each adapter."""
        return tuple((self.label, f"{name}, from {source}") for name, source in self.sources.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFact(Fact):
    """The size of an instance, and how many there are."""

    key: ClassVar[str] = "instance"
    label: ClassVar[str] = "instance"
    gpu: str
    cpu: float
    """Of all its containers, as their memory."""
    memory_gib: float
    min_instances: int
    max_instances: int
    target_concurrency: float | None = None
    """None leaves it to Cloud Run."""
    target_cpu: float | None = None

    @property
    def text(self) -> str:
        size = f"{self.gpu}, {self.cpu:g} CPU, {self.memory_gib:g} GiB, {self.min_instances} to {self.max_instances}"
        targets = {"concurrency": self.target_concurrency, "CPU": self.target_cpu}
        drivers = [
            f"{name} {f'at {target:.0%}' if target else 'not looked at'}"
            for name, target in targets.items()
            if target is not None
        ]
        return f"{size}; scales by {', '.join(drivers)}" if drivers else size


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionCost:
    """A service beside the model's: its size, how many instances there are, and what one costs while it runs."""

    name: str
    role: str
    cpu: float
    memory_gib: float
    min_instances: int
    max_instances: int
    usd_per_hour: float
    """Of one instance, by the catalog's prices of billing by instances."""

    @property
    def text(self) -> str:
        """Return everything of it in a line."""
        size = f"{self.cpu:g} CPU, {self.memory_gib:g} GiB, {self.min_instances} to {self.max_instances}"
        return (
            f"{self.name} ({self.role}), {size}, ${self.usd_per_hour:.2f} an hour for each instance that runs"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionsFact(Fact):
    """The services of the endpoint beside the model's."""

    key: ClassVar[str] = "companions"
    label: ClassVar[str] = "beside it"
    services: tuple[CompanionCost, ...]

    @classmethod
    def of(cls, companions: Iterable[Companion], names: Names) -> CompanionsFact:
        """Return what a plan tells of them. Raises `SpecError` where their region has no price."""
        prices = load()
        return cls(
            services=tuple(
                CompanionCost(
                    name=companion.identity(names).own_name,
                    role=companion.role,
                    cpu=companion.size.cpu,
                    memory_gib=companion.size.memory_gib,
                    min_instances=companion.min_instances,
                    max_instances=companion.max_instances,
                    usd_per_hour=round(prices.instance(companion.size, names.region).total, 4),
                )
                for companion in companions
            )
        )

    @property
    def text(self) -> str:
        return "; ".join(service.text for service in self.services)

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for each."""
        return tuple((self.label, service.text) for service in self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyFact(Fact):
    """How many requests of the wanted context one instance holds at once."""

    key: ClassVar[str] = "fits"
    label: ClassVar[str] = "fits"
    concurrency: int | None
    """None where `uncounted` says why."""
    context_tokens: int
    uncounted: str = ""
    """Why memory sets no number of requests at once; '' where it does."""

    @property
    def text(self) -> str:
        return at_once(self.concurrency, self.context_tokens, self.uncounted)


def concurrency_of(fit: Fit, context_tokens: int) -> ConcurrencyFact:
    """Return how many requests of so many tokens have room where the model fits, or why there is no number of them."""
    return ConcurrencyFact(
        concurrency=None if fit.uncounted else fit.concurrency,
        context_tokens=context_tokens,
        uncounted=fit.uncounted,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotasFact(Fact):
    """What the project's quotas leave, as far as they suffice; what does not is a problem of the plan."""

    key: ClassVar[str] = "quotas"
    label: ClassVar[str] = "quotas"
    found: tuple[str, ...]

    @property
    def text(self) -> str:
        return "; ".join(self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTokenFact(Fact):
    """The hub's token: where it is read from, and the secret that it is kept in."""

    key: ClassVar[str] = "hub_token"
    label: ClassVar[str] = "hub's token"
    source: str
    secret: str

    @property
    def text(self) -> str:
        return f"{self.source}, as {self.secret}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFact(Fact):
    """What instances cost while they run, by the catalog's prices."""

    key: ClassVar[str] = "price"
    label: ClassVar[str] = "price"
    usd_per_hour: float | None
    """Of one instance that runs."""
    idle_usd_per_hour: float | None
    """Of the instances that always run; 0 where none does."""
    unconfirmed: tuple[str, ...]
    """Which of the prices rest on no page of Google's."""
    words: str

    @classmethod
    def of(cls, estimate: Estimate, min_instances: int) -> PriceFact:
        """Return the price of what is estimated, while so many instances always run."""
        hourly = estimate.hourly
        return cls(
            usd_per_hour=round(hourly.total, 4) if hourly else None,
            idle_usd_per_hour=round(hourly.total * min_instances, 4) if hourly else None,
            unconfirmed=hourly.unconfirmed if hourly else (),
            words=estimate.price,
        )

    @property
    def text(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmFact(Fact):
    """Hours in which one instance always runs, and what that costs."""

    key: ClassVar[str] = "warm_hours"
    label: ClassVar[str] = "warm hours"
    windows: tuple[str, ...]
    hours_per_week: float
    usd_per_month: float | None
    """Of these hours, by the catalog's prices; a twelfth of a year."""
    now: bool | None
    """Whether it is such an hour as this is planned."""
    regions: int
    """In each of which it runs."""

    @classmethod
    def of(
        cls,
        estimates: Sequence[Estimate],
        windows: tuple[str, ...],
        hours: WarmHours,
        moment: datetime | None,
    ) -> WarmFact:
        """Return what the hours of the file cost in the regions of the `estimates`, where that is estimated in all of them."""
        week = hours.hours_a_week
        priced = [estimate.hourly.total for estimate in estimates if estimate.hourly]
        whole = len(priced) == len(estimates)
        return cls(
            windows=windows,
            hours_per_week=round(week, 2),
            usd_per_month=round(sum(priced) * week / 7 * MONTH_DAYS, 2) if whole else None,
            now=hours.is_warm(moment) if moment else None,
            regions=len(estimates),
        )

    @property
    def text(self) -> str:
        price = f", ${self.usd_per_month:.2f} a month" if self.usd_per_month is not None else ""
        now = {True: "; now is one of them", False: "; now is none of them", None: ""}[self.now]
        where = f" in each of {self.regions} regions" if self.regions > 1 else ""
        return (
            f"{', '.join(self.windows)}: one instance{where} for {self.hours_per_week:g} h a week{price}{now}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StayingFact(Fact):
    """What costs also while no instance runs: the private zones, and the weights; of an image the price of a GiB."""

    key: ClassVar[str] = "stays"
    label: ClassVar[str] = "stays"
    zones: int
    zones_usd_per_month: float
    weights_gib: float
    weights_usd_per_month: float
    image_usd_per_gib_month: float
    baked: bool
    """Whether the weights are kept in the image, at its price."""
    unconfirmed: tuple[str, ...]

    @classmethod
    def of(cls, prices: Prices, zones: int, weights_bytes: int, *, baked: bool) -> StayingFact:
        """Return what stays of so many zones and bytes of weights."""
        gib = weights_bytes / GIB
        of_weights = prices.image_gib_month if baked else prices.storage_gib_month
        counted = [rate for rate in (prices.zone_month if zones else None, of_weights) if rate is not None]
        return cls(
            zones=zones,
            zones_usd_per_month=round(zones * prices.zone_month.usd, 2),
            weights_gib=round(gib, 2),
            weights_usd_per_month=round(gib * of_weights.usd, 2),
            image_usd_per_gib_month=prices.image_gib_month.usd,
            baked=baked,
            unconfirmed=tuple(rate.key for rate in counted if rate.unconfirmed),
        )

    @property
    def text(self) -> str:
        mark = "?" if self.unconfirmed else ""
        both = self.zones_usd_per_month + self.weights_usd_per_month
        parts = [f"{self.zones} private zones"] if self.zones else []
        if self.weights_gib or not parts:
            parts.append(f"{self.weights_gib:.1f} GiB of weights{' in the image' if self.baked else ''}")
        return (
            f"${both:.2f}{mark} a month also while nothing runs, for {' and '.join(parts)}; the rest of each image kept is "
            f"${self.image_usd_per_gib_month:.2f} a GiB"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStartFact(Fact):
    """How long a start from zero is expected to take, by published figures."""

    key: ClassVar[str] = "cold_start"
    label: ClassVar[str] = "cold start"
    low_s: float
    likely_s: float
    high_s: float
    unconfirmed: tuple[str, ...]
    """Parts that nobody is known to have measured on Cloud Run."""
    factor: float
    """By which starts of the user's own took longer than published figures say; 1 where there are none."""
    own_starts: int
    words: str

    @classmethod
    def of(cls, start: ColdStart) -> ColdStartFact:
        """Return what is expected of a cold start."""
        return cls(
            low_s=round(start.low, 1),
            likely_s=round(start.likely, 1),
            high_s=round(start.high, 1),
            unconfirmed=start.unconfirmed,
            factor=round(start.factor, 3),
            own_starts=start.own_starts,
            words=f"{start.text}, {start.source}",
        )

    @property
    def text(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class CallersFact(Fact):
    """Who may call the endpoint."""

    key: ClassVar[str] = "callers"
    label: ClassVar[str] = "may call it"
    public: bool
    """Anybody on the internet, at the project's cost."""
    callers: tuple[str, ...]
    """Members that the file names."""

    @property
    def text(self) -> str:
        if self.public:
            return "anybody on the internet, at your cost"
        return ", ".join(self.callers) or "owners of the project, and nobody else"


def of_companions(companions: Sequence[Companion], names: Names) -> Iterator[Fact]:
    """Yield what a plan tells of the services beside the model's."""
    if companions:
        yield CompanionsFact.of(companions, names)
    for companion in companions:
        yield from companion.facts
