"""Google's own roads to Model Armor, at the load balancer of `[edge]`: what is made for one, and what a plan tells of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from homeport.catalog.prices import Prices
from homeport.catalog.prices import load as load_prices
from homeport.errors import SpecError
from homeport.google import Google, IamResource
from homeport.reconcile import Resource
from homeport.reconcile.fact import Fact
from homeport.resources.google import service_extensions as extensions
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.release import Release
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service_agent import NETWORK_SERVICES, AgentGrant
from homeport.spec import Edge, Guard
from homeport.spec.guard import UNSCREENED
from homeport.targets.cloudrun.edge.names import EdgeNames
from homeport.targets.cloudrun.guard.road_standing import StandingService, model_names
from homeport.targets.cloudrun.guard.screen import LIMITED, ROLE, template_of
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight.finding import PreflightFinding

ROLES = ("roles/modelarmor.calloutUser", "roles/serviceusage.serviceUsageConsumer", ROLE)
"""What Google's guide grants to the account of Service Extensions, of this project as it calls and as it has the template."""
QUOTA = 600
"""Calls a minute that load balancers of a project may make of Model Armor, of which a whole chat takes two."""
_GUIDES_MOST_S = 1.0
"""What Google's guide lets a callout take; its API takes ten times that."""
_HOW = {
    "traffic-extension": "a traffic extension",
    "authz-extension": "an authorization extension of a content policy (Preview)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRoadFact(Fact):
    """Which of Google's roads screens, how it fails, and what passes it unscreened."""

    key: ClassVar[str] = "guard_road"
    label: ClassVar[str] = "guard"
    where: str
    """`traffic-extension` or `authz-extension`."""
    filters: tuple[str, ...]
    unscreened: tuple[str, ...]
    """What passes, or may: as the file names it."""
    fails: str
    """`closed`: with 500, where Model Armor does not answer."""
    quota: int
    """Calls a minute."""
    usd_per_million_tokens: float
    unconfirmed: tuple[str, ...]

    @classmethod
    def of(cls, guard: Guard, prices: Prices) -> GuardRoadFact:
        """Return it for the table of the file."""
        rate = prices.rates["model_armor_million_tokens"]
        return cls(
            where=guard.where,
            filters=guard.filters,
            unscreened=guard.passing,
            fails="closed",
            quota=QUOTA,
            usd_per_million_tokens=rate.usd,
            unconfirmed=(rate.key,) if rate.unconfirmed else (),
        )

    @property
    def text(self) -> str:
        return "; ".join(text for _, text in self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for what is screened, one for what is not, and one for failures and costs."""
        passing = "; ".join(text for name, text in UNSCREENED.items() if name in self.unscreened)
        silent = (
            "; no page of Google's says what this road reads, so the rehearsal takes it for the other's"
            if self.where == "authz-extension"
            else ""
        )
        guess = " (not confirmed)" if self.unconfirmed else ""
        screened = (
            f"model-armor, by {_HOW[self.where]} at the load balancer, screens the prompt and the whole answer of "
            f"/v1/chat/completions and /v1/completions for {', '.join(self.filters)}"
        )
        failing = (
            f"it fails closed where Model Armor does not answer, with 500. {self.quota} calls a minute for the project, two for each whole chat; ${self.usd_per_million_tokens:.2f} a million "
            f"tokens{guess}. `homeport guard test` prints what passes"
        )
        texts = (screened, f"NOT screened, or not known to be: {passing}{silent}", failing)
        return tuple((self.label, text) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRoad:
    """Model Armor at the load balancer of one endpoint."""

    google: Google
    names: Names
    guard: Guard
    edge: Edge
    member: str
    """The account by which Service Extensions act in the project, as policies name it."""
    models: tuple[str, ...]
    """The names of what the file wants served."""
    standing: StandingService = field(default_factory=StandingService)

    @property
    def address(self) -> str:
        """Return where it can be seen to screen."""
        return self.edge.address

    @property
    def sought(self) -> frozenset[str]:
        """Return what it looks for in prompts."""
        return frozenset(self.guard.filters)

    @property
    def parts(self) -> list[RestResource]:
        """Return what calls Model Armor, in order."""
        google, name, region, called = self.google, self.names.name, self.names.region, self.names.guard
        rule = f"forwarding-rule/{EdgeNames(name=name).main}"
        scheme = "INTERNAL_MANAGED" if self.edge.kind == "internal" else "EXTERNAL_MANAGED"
        template, timeout = template_of(self.guard, self.names), self.guard.deadline_s
        after = tuple(grant.id for grant in self.grants)
        after += (f"model-armor-template/{called}",) if self.guard.template is None else ()
        if self.guard.where == "traffic-extension":
            settings = settings_for(self._named, template)
            made = extensions.traffic_extension(
                google, name, called, region, rule=rule, scheme=scheme, settings=settings, timeout_s=timeout
            )
            return [replace(made, after=after)]
        asked = extensions.authz_extension(google, name, called, region, template=template, timeout_s=timeout)
        asked = replace(asked, after=after)
        policy = extensions.content_policy(
            google, name, called, region, rule=rule, scheme=scheme, extension=asked
        )
        return [asked, policy]

    @property
    def grants(self) -> list[AgentGrant]:
        """Return what lets Service Extensions ask Model Armor."""
        return grants(self.google, self.member, needs=("apis", f"service/{self.names.name}"))

    @property
    def _named(self) -> tuple[str, ...]:
        """
        Return the names that a traffic extension is told: also those of what serves now.

        That goes on serving until the new revision is released, and for good where that fails: the next `up` drops its names.
        """
        return tuple(dict.fromkeys((*self.models, *self.standing.names)))

    def findings(self) -> Iterator[PreflightFinding]:
        """Yield what would be reached unscreened, were it made now."""
        yield from self.standing.findings(self.guard.where)

    def facts(self) -> Iterator[Fact]:
        """Yield what a plan tells of it."""
        yield GuardRoadFact.of(self.guard, load_prices())

    def warnings(self) -> Iterator[str]:
        """Yield what is to be known of it before it is made."""
        yield (
            f"[guard] stands at the load balancer: until the service's own address is closed, its owners reach it there unscreened; and "
            f"what passes it was not seen on Google Cloud: {', '.join(self.guard.passing)}"
        )
        if self.guard.where == "traffic-extension":
            yield (
                f"[guard] tells the extension the names {', '.join(model_names(self._named))}: what Google does with a request that names "
                "another model no page says, and an engine that takes it answers unscreened"
            )
            if former := [name for name in self.standing.names if name not in self.models]:
                yield (
                    f"[guard] keeps {', '.join(former)}, which serves until the new revision does, among the extension's names: the `up` after "
                    "this one drops it, and `rollback` goes back to it only before that"
                )
        if self.standing.lets_past:
            yield (
                "[guard] stands at the load balancer, and whoever may call the service now reaches it at its own address unscreened until "
                "that is closed, which is once the load balancer answers"
            )
        if self.guard.deadline_s > _GUIDES_MOST_S:
            yield (
                f"guard.deadline_s = {self.guard.deadline_s:g} is more than the {_GUIDES_MOST_S:g} s that Google's guide lets an extension "
                "take; its API takes up to 10 s, and which of the two holds was not seen"
            )
        if self.edge.requests_per_minute is not None:
            yield (
                "[edge] requests_per_minute puts Cloud Armor beside an extension of Model Armor: somebody reported in August 2025 that "
                "Google takes no backend service with both; not checked"
            )
        if self.names.region in LIMITED:
            yield f"Model Armor does not run all of its filters in {self.names.region}, by Google's page on data residency"


def grants(google: Google, member: str, *, needs: tuple[str, ...]) -> list[AgentGrant]:
    """Return the grants on the project for the account of Service Extensions."""
    return [
        AgentGrant(
            google=google,
            agent_of=NETWORK_SERVICES,
            role=role,
            member=member,
            on=IamResource(api="cloudresourcemanager", path=f"v3/projects/{google.project}"),
            known_as=f"project/{google.project}",
            needs=needs,
        )
        for role in ROLES
    ]


def settings_for(models: Sequence[str], template: str) -> dict[str, str]:
    """Return what a traffic extension is told. Raises `SpecError` for more names than Google takes."""
    names = model_names(models)
    settings = extensions.settings_of_models(names, template)
    size = sum(len(key) + len(value) for key, value in settings.items())
    if size >= extensions.METADATA_BYTES:
        raise SpecError(
            f"Google lets a traffic extension be told less than {extensions.METADATA_BYTES} bytes, and {len(names)} names of models with "
            f"their template take {size}",
            hint='take "authz-extension" for where in [guard], which is told none, or "gateway"; or serve fewer adapters. What serves '
            "now counts, too, until another model does",
        )
    return settings


def before_it_serves(
    resources: Sequence[Resource], road: GuardRoad, asking: Collection[str] = ()
) -> list[Resource]:
    """
    Return all that is wanted with the road in its place: a revision gets traffic, the door closes and callers are let in after it.

    So nobody who is named in the file reaches what serves at its own address, where nothing screens. The members `asking` are services
    of the endpoint, which ask at the load balancer alone: the door waits for them.
    """
    parts = road.parts
    stands = tuple(part.id for part in parts)
    door = next((resource.id for resource in resources if isinstance(resource, ClosedDoor)), "")
    placed: list[Resource] = []
    for resource in resources:
        if isinstance(resource, Release | ClosedDoor):
            placed.append(replace(resource, after=(*resource.after, *stands)))
        elif (
            isinstance(resource, Grant)
            and f"release/{road.names.name}" in resource.needs
            and door
            and resource.member not in asking
        ):
            placed.append(replace(resource, needs=(*resource.needs, door)))
        else:
            placed.append(resource)
    return [*placed, *road.grants, *parts]


__all__ = ["ROLES", "GuardRoad", "GuardRoadFact", "before_it_serves", "grants", "settings_for"]
