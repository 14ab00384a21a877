"""The file's `access.iap`: Identity-Aware Proxy on the model's service, who comes in through it, and the proxy's own right to call."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from homeport.errors import ApiDisabled, HomeportError, NetworkError, NotFound
from homeport.google import Google, IamResource, policy
from homeport.google.identity import claims
from homeport.json_types import Json
from homeport.reconcile import Resource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.release import Release
from homeport.resources.google.service_agent import IAP, AgentGrant, agent
from homeport.targets.cloudrun.iap.organisation import organisation_findings
from homeport.targets.cloudrun.inventory import Inventory, Unread
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight.finding import (
    Findings,
    PreflightFinding,
    ok,
    problem,
    unseen,
    warning,
)
from homeport.targets.cloudrun.service_labels import IAP_LABEL
from homeport.targets.cloudrun.verification.strangers import ELSEWHERE

ACCESSOR = "roles/iap.httpsResourceAccessor"
"""The role by which Identity-Aware Proxy lets somebody in."""
COME_IN = "iap.webServiceVersions.accessViaIAP"
_CALLS = "roles/run.invoker"
"""What Google's guide has the proxy's account granted, and gcloud grants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointIap:
    """Identity-Aware Proxy before one endpoint's service."""

    google: Google
    names: Names
    agent: str
    """The proxy's own account, as policies name it: it calls the service."""
    members: tuple[str, ...]
    """Who may come in."""

    @property
    def on(self) -> IamResource:
        """Return what the proxy's policy is on."""
        number = self.agent.partition(":service-")[2].partition("@")[0]
        return iap_resource(number, self.names.region, self.names.name)

    @property
    def calls(self) -> AgentGrant:
        """Return the grant by which the proxy may call the service: without it nothing that comes in is answered, no proof either."""
        return AgentGrant(
            google=self.google,
            agent_of=IAP,
            role=_CALLS,
            member=self.agent,
            on=IamResource(api="run", path=f"v2/{self.names.service}"),
            known_as=f"service/{self.names.name}",
            needs=(f"service/{self.names.name}",),
        )

    def resources(self) -> list[Grant]:
        """Return everything that is wanted of it: people come in once something verified serves."""
        name = self.names.name
        needs = (f"release/{name}",)
        return [self.calls, *(_enters(self.google, name, self.on, member, needs) for member in self.members)]

    def before_proof(self, resources: Iterable[Resource]) -> list[Resource]:
        """Return all resources, with the release after the grant by which a proof is answered."""
        return [
            replace(resource, after=(*resource.after, self.calls.id))
            if isinstance(resource, Release)
            else resource
            for resource in resources
        ]

    async def findings(self) -> list[PreflightFinding]:
        """Return whether whoever deploys can prove a revision behind it: something is signed, for an address that is nobody's."""
        try:
            token = await self.google.credentials.signed_jwt(f"{ELSEWHERE}/*")
        except (ApiDisabled, NetworkError) as error:
            return [unseen("iap/proof", error)]
        except HomeportError as error:
            return [problem("iap/proof", f"no revision could be proven: {error}", error.hint)]
        return [
            ok("iap/proof", f"a revision is proven as {claims(token).get('iss')}, which signs for itself")
        ]

    async def looked_at(self, found: Findings, further: Iterable[EndpointIap] = ()) -> list[PreflightFinding]:
        """Return what can be known before anything is made, of all but a proof, beside what was `found` already, and in `further` regions, too."""
        logs_in = await organisation_findings(self.google, found, self.on)
        conditions = await self.conditions()
        known = {(one.subject, one.text) for one in logs_in}
        for there in further:
            # What a region's settings have, or its service's, another's do not; what is so of both alike is told once.
            seen = await organisation_findings(there.google, found, there.on)
            own = [one for one in seen if (one.subject, one.text) not in known]
            logs_in += [there.placed(one) for one in own]
            conditions += [there.placed(one) for one in await there.conditions()]
        return [*logs_in, *conditions]

    def placed(self, finding: PreflightFinding) -> PreflightFinding:
        """Return a finding of a further region, which says so."""
        return replace(finding, subject=f"{finding.subject} in {self.names.region}")

    async def conditions(self) -> list[PreflightFinding]:
        """Return who comes in under a condition that somebody added to the proxy's policy, which stays as it is."""
        try:
            bindings = (await policy.read(self.google, self.on)).get("bindings", ())
        except (NotFound, ApiDisabled):
            return []
        except HomeportError as error:
            return [unseen("iap/conditions", error)]
        titled = [
            (str(one["condition"].get("title") or one["condition"].get("expression")), sorted(one["members"]))
            for one in bindings
            if one["role"] == ACCESSOR and one.get("condition")
        ]
        text = "; ".join(f"{', '.join(members)} under {title!r}" for title, members in titled)
        why = "only under a condition that somebody added to Identity-Aware Proxy's policy, and that `up` leaves as it is"
        hint = "for one to come in always, take the condition out in the console, or by `gcloud iap web`"
        return [warning("iap/conditions", f"comes in {why}: {text}", hint)] if titled else []


def iap_resource(number: str, region: str, service: str) -> IamResource:
    """Return what the proxy's policy for a service of the project of that number is on."""
    path = f"v1/projects/{number}/iap_web/cloud_run-{region}/services/{service}"
    return IamResource(api="iap", path=path)


async def resource_of(google: Google, service_path: str) -> IamResource:
    """Return the same for a service of that full name; the project's number is asked for."""
    number = (await agent(google, IAP)).partition(":service-")[2].partition("@")[0]
    _, _, _, region, _, name = service_path.split("/")
    return iap_resource(number, region, name)


async def endpoint_iap(google: Google, names: Names, members: tuple[str, ...]) -> EndpointIap:
    """Return it. Raises what keeps the project's number from being read."""
    return EndpointIap(google=google, names=names, agent=await agent(google, IAP), members=members)


async def unwanted_entrants(iap: EndpointIap) -> list[Grant]:
    """Return the grants of those who may come in and are not named any more."""
    try:
        live = await policy.read(iap.google, iap.on)
    except (NotFound, ApiDisabled):  # As before the first `up`, which turns the API on.
        return []
    return _entering(iap.google, iap.names.name, iap.on, live, iap.members, ())


async def entrants_left(google: Google, names: Names) -> list[Grant]:
    """Return the grants of all who may come in to the endpoint's service. Raises what keeps the proxy's policy from being read."""
    return await entrants_of_service(google, names.service, names.name, ())


async def entrants_of_service(
    google: Google, service: str, known_as: str, needs: tuple[str, ...]
) -> list[Grant]:
    """
    Return the grants of all who may come in to a service of that full name, which go before what they need.

    Raises what keeps the proxy's policy from being read, an API that is off among it: that has no say in who is in the policy.
    """
    on = await resource_of(google, service)
    try:
        live = await policy.read(google, on)
    except NotFound:
        return []
    return _entering(google, known_as, on, live, (), needs)


async def found_entrants(google: Google, name: str, inventory: Inventory) -> tuple[list[Grant], list[Unread]]:
    """
    Return who may come in to the endpoint's services, for them to be taken out before the service goes, and what could not be read.

    No page tells whether the policy goes with the service: one of the same name would let them in again.
    """
    found: list[Grant] = []
    unread: list[Unread] = []
    for thing in inventory.of(name):
        if thing.kind != "service" or IAP_LABEL not in thing.body.get("labels", {}):
            continue
        path = f"projects/{google.project}/locations/{thing.region}/services/{thing.name}"
        try:
            found += await entrants_of_service(google, path, thing.name, (f"service/{thing.name}",))
        except HomeportError as error:
            what = f"who comes in to {thing.name} through Identity-Aware Proxy"
            unread.append(Unread(kind="grant", region=thing.region, what=what, error=error))
    return found, unread


def _entering(
    google: Google, name: str, on: IamResource, live: Json, named: Collection[str], needs: tuple[str, ...]
) -> list[Grant]:
    """Return the grants of a policy by which somebody comes in who is not named; those under a condition are others'."""
    folded = {policy.folded(member) for member in named}
    return [
        _enters(google, name, on, member, needs)
        for binding in live.get("bindings", ())
        if binding["role"] == ACCESSOR and not binding.get("condition")
        for member in binding.get("members", ())
        if policy.folded(member) not in folded
    ]


def _enters(google: Google, name: str, on: IamResource, member: str, needs: tuple[str, ...]) -> Grant:
    return Grant(
        google=google,
        role=ACCESSOR,
        member=member,
        on=on,
        known_as=f"iap/{name}",
        needs=needs,
        under_any_condition=True,  # Such as the console's access levels, which a grant without one would cancel.
    )


__all__ = [
    "ACCESSOR",
    "COME_IN",
    "EndpointIap",
    "endpoint_iap",
    "entrants_left",
    "entrants_of_service",
    "found_entrants",
    "resource_of",
    "unwanted_entrants",
]
