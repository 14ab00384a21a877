"""Everything of an endpoint that is there, as resources that can be taken away: found by its mark."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from homeport.errors import ApiDisabled, HomeportError, NotFound
from homeport.google import Google, IamResource, policy
from homeport.reconcile import Resource
from homeport.resources.google.agent_registry import registry_entry
from homeport.resources.google.bucket import bucket
from homeport.resources.google.budget import BUDGET, found_budget
from homeport.resources.google.dns import zone
from homeport.resources.google.firewall import egress
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.network import network, subnetwork
from homeport.resources.google.repository import repository
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import secret
from homeport.resources.google.service import ROLE, Service, ServiceIdentity, ServiceRole, role_of, service
from homeport.resources.google.service_account import account
from homeport.secret import Secret
from homeport.spec import Access, CloudRun, Guard, Spec
from homeport.targets.cloudrun.agent.entry_found import MAKE as ENTRY_MAKE
from homeport.targets.cloudrun.agent.entry_found import NEEDS as ENTRY_NEEDS
from homeport.targets.cloudrun.agent.secrets import account_id, possible_secrets
from homeport.targets.cloudrun.api_gateway.found import find_api_gateway, tells_of_api_gateway
from homeport.targets.cloudrun.edge.found import MAKE as EDGE_MAKE
from homeport.targets.cloudrun.edge.found import needs_by_kind
from homeport.targets.cloudrun.foundations import Foundations
from homeport.targets.cloudrun.guard.found import MAKE as GUARD_MAKE
from homeport.targets.cloudrun.guard.road_found import MAKE as ROAD_MAKE
from homeport.targets.cloudrun.guard.road_found import NEEDS as ROAD_NEEDS
from homeport.targets.cloudrun.guard.road_found import found_grants
from homeport.targets.cloudrun.iap.entry import found_entrants
from homeport.targets.cloudrun.inventory import (
    GUARD_ROAD,
    REGIONAL_EDGE,
    REGISTRY,
    Inventory,
    Thing,
    Unread,
    take_inventory,
)
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.observe.found import MAKE as OBSERVE_MAKE
from homeport.targets.cloudrun.observe.found import NEEDS as OBSERVE_NEEDS
from homeport.targets.cloudrun.observe.sidecar import CONFIGURATION, OBSERVE, configuration
from homeport.targets.cloudrun.service_labels import BUDGET_LABEL, CACHE_LABEL
from homeport.targets.cloudrun.startup_cache.found import MAKE as CACHE_MAKE
from homeport.targets.cloudrun.startup_cache.kinds import JOB
from homeport.targets.cloudrun.warm_schedule import WORD, find_schedule

_Make = Callable[[Google, str, Thing], RestResource]


def _service(google: Google, name: str, thing: Thing) -> Service:
    identity = ServiceIdentity(endpoint=name, region=thing.region, name=thing.name)
    return replace(service(google, identity, {}), role=role_of(thing.body))


def _secret(google: Google, name: str, thing: Thing) -> RestResource:
    """Return the hub's token, or what holds the settings of the metrics' sidecar: that goes with the service."""
    if thing.body.get("labels", {}).get(ROLE) == OBSERVE:
        return configuration(google, name, thing.name, "")
    return secret(google, name, thing.name, "")


CACHES = "bucket of startup caches"
"""What goes with the service, and not only with the weights."""


def _bucket(google: Google, name: str, thing: Thing) -> RestResource:
    """Return the bucket of the weights, or that of the startup caches."""
    resource = bucket(google, name, thing.name, "")
    return replace(resource, kind=CACHES) if CACHE_LABEL in thing.body.get("labels", {}) else resource


MAKE: Mapping[str, _Make] = {
    "service": _service,
    "repository": lambda google, name, thing: repository(google, name, thing.name, thing.region),
    "subnetwork": lambda google, name, thing: subnetwork(google, name, thing.name, thing.region, ""),
    "network": lambda google, name, thing: network(google, name, thing.name),
    "firewall rule": lambda google, name, thing: egress(google, name, "", thing.name, ranges=(), allow=False),
    "private zone": lambda google, name, thing: zone(google, name, thing.name, "", ""),
    "bucket": _bucket,
    "secret": _secret,
    "service account": lambda google, name, thing: account(google, name, thing.name, ""),
    **EDGE_MAKE,
    **OBSERVE_MAKE,
    **GUARD_MAKE,
    **ROAD_MAKE,
    **CACHE_MAKE,
    **ENTRY_MAKE,
}
"""How a resource is made of what was found: enough of it to be read and taken away."""
_ACCOUNT = "service account"
"""Where these cannot be listed none goes: its grants would be left behind, and it costs nothing."""
_GRANTED_ON = ("repository", "bucket", "secret")
_GRANTS_ON = "grants on"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundResources:
    """What there is of an endpoint."""

    name: str
    regions: tuple[str, ...]
    """Where something carries its mark."""
    resources: tuple[Resource, ...]
    """
    All that carries its mark, and what has a name that today's version would give: the caller that takes it away looks at the
    mark once more, and leaves what has none.
    """
    unread: tuple[Unread, ...]
    """What could not be read: where there is any, nobody knows that this is all."""
    others: tuple[str, ...]
    """Other endpoints of homeport's in the project."""


async def find_managed(
    google: Google, name: str, *, regions: Iterable[str] = (), tables: Collection[str] = ()
) -> FoundResources:
    """
    Return what there is of the endpoint `name` in the client's project, whatever made it and wherever.

    `regions` are asked besides those of the catalog; what only some `tables` of a file make is looked for in any case with these. Raises what `take_inventory` raises.
    """
    inventory = await take_inventory(google, regions=regions, tables=tables)
    things = _resources(google, name, inventory, budgeted=BUDGET in tables)
    gateway, not_listed = await find_api_gateway(google, name, inventory)
    if not_listed:  # As with a schedule: the account tells of it, and stays until all of it can go.
        things = {id_: thing for id_, thing in things.items() if not _tells_of_gateway(inventory, thing)}
    schedule, unlisted = await find_schedule(google, name, inventory)
    if unlisted:  # What is there of it is known by its account alone, which stays until all of it can go.
        things = {id_: thing for id_, thing in things.items() if not _keeps_warm(inventory, thing)}
    else:
        things |= schedule
    grants, unread = await _grants(google, name, inventory, things)
    if _unseen_secrets((*inventory.unread, *unread)):  # As with those: it tells that a secret may let it in.
        things = {id_: thing for id_, thing in things.items() if not _runs_agent(google, name, thing)}
    of_road, unsure = await found_grants(google, name, inventory)
    entrants, untold = await found_entrants(google, name, inventory)
    return FoundResources(
        name=name,
        regions=tuple(sorted({thing.region for thing in inventory.of(name)} - {""})),
        resources=(
            *(_before(thing, grants) for thing in things.values()),
            *gateway,
            *grants,
            *of_road,
            *entrants,
        ),
        unread=(*inventory.unread, *not_listed, *unlisted, *unread, *unsure, *untold),
        others=tuple(endpoint for endpoint in inventory.endpoints if endpoint != name),
    )


def _keeps_warm(inventory: Inventory, resource: RestResource) -> bool:
    return resource.kind == _ACCOUNT and any(
        thing.kind == _ACCOUNT
        and thing.name == _short(resource)
        and WORD in str(thing.body.get("description", "")).split()
        for thing in inventory.things
    )


def _tells_of_gateway(inventory: Inventory, resource: RestResource) -> bool:
    return resource.kind == _ACCOUNT and tells_of_api_gateway(inventory, _short(resource))


def _unseen_secrets(unread: Iterable[Unread]) -> bool:
    return any(
        failure.kind == "secret" or failure.what.startswith(f"{_GRANTS_ON} secret/") for failure in unread
    )


def _runs_agent(google: Google, name: str, resource: RestResource) -> bool:
    return resource.kind == _ACCOUNT and _short(resource) == account_id(google, name)


def tables_of(spec: Spec) -> list[str]:
    """Return what of a file makes things that others do not: its tables, and the budget, which no list of the project has."""
    budget = spec.observe is not None and spec.observe.budget is not None
    kind = spec.edge.kind if spec.edge is not None else ""
    regional = kind in {"regional", "internal"}
    # An API gateway is told of by its account, which is always looked for.
    tables = [name for name, table in spec if table and not (name == "edge" and kind != "global")]
    if spec.guard is not None and not spec.guard.in_gateway:
        tables = [GUARD_ROAD, *(name for name in tables if name != "guard")]
    more = {REGIONAL_EDGE: regional, BUDGET: budget, REGISTRY: spec.registers_agent}
    return [*tables, *(table for table, is_so in more.items() if is_so)]


def _resources(google: Google, name: str, inventory: Inventory, *, budgeted: bool) -> dict[str, RestResource]:
    """Return, by id, what is there and, under today's names, what could not be listed."""
    known = {(resource.kind, _short(resource)) for resource in named(google, _names(google, name, ""))}
    mine = [
        thing for thing in inventory.things if thing.endpoint == name or (thing.kind, thing.name) in known
    ]
    resources: dict[str, RestResource] = {}
    for thing in mine:
        _add(resources, MAKE[thing.kind](google, name, thing), thing.region)
    if budgeted or any(BUDGET_LABEL in thing.body.get("labels", {}) for thing in mine):
        _add(resources, found_budget(google, name), "")
    for unread in (failure for failure in inventory.unread if failure.kind != _ACCOUNT):
        for resource in named(google, _names(google, name, unread.region)):
            if resource.kind == unread.kind:
                _add(resources, resource, unread.region)
    needs = _needs(google, name)
    return {
        id_: replace(resource, after=_after(resource, resources.values(), needs))
        for id_, resource in resources.items()
    }


def named(google: Google, names: Names) -> list[RestResource]:
    """Return what any options of a file could make today under these names, except what belongs to something else."""
    every = {
        resource.id: resource
        for resource in _foundations(google, names)
        if isinstance(resource, RestResource)
    }
    every["service"] = service(google, ServiceIdentity(endpoint=names.name, region=names.region), {})
    every["entry"] = registry_entry(google, names.name, names.companion(ServiceRole.AGENT), names.region, {})
    return [resource for resource in every.values() if resource.kind in MAKE]


def _foundations(google: Google, names: Names) -> list[Resource]:
    """Return what any options of a file could make today before a service."""
    return [
        resource
        for baked in (False, True)
        for resource in Foundations(
            google=google,
            names=names,
            cloudrun=CloudRun(),
            access=Access(isolated=True),
            token=Secret("unused"),
            baked=baked,
            streamed=True,
            guard=Guard(),
        ).resources()
    ]


def _needs(google: Google, name: str) -> Mapping[str, frozenset[str]]:
    """
    Return, by kind, the kinds of what a thing is made after, and so taken away before.

    It is read off what `up` makes, so that there is one order and not two. A service is made after all that is no
    service: it is closed before anything that keeps it closed is opened.
    """
    every = _foundations(google, _names(google, name, ""))
    kinds = {resource.id: resource.kind for resource in every}
    needs: dict[str, frozenset[str]] = {
        "service": (frozenset(kinds.values()) | {CONFIGURATION, CACHES}) - {"service"},
        # It runs in the network, as an account, and writes.
        JOB: frozenset({"network", "subnetwork", "service account", "bucket", CACHES}),
    }
    for resource in every:
        needed = frozenset(kinds[need] for need in resource.needs if need in kinds)
        needs[resource.kind] = needs.get(resource.kind, frozenset()) | needed
    for kind, needed in needs_by_kind(google, _names(google, name, "")).items():
        needs[kind] = needs.get(kind, frozenset()) | needed
    return {**needs, **OBSERVE_NEEDS, **ROAD_NEEDS, **ENTRY_NEEDS}


def _before(resource: RestResource, grants: Iterable[Grant]) -> RestResource:
    """Return a service so that it goes before what its endpoint's accounts were granted; all else as it is."""
    if not isinstance(resource, Service):
        return resource
    return replace(resource, after=(*resource.after, *(grant.id for grant in grants)))


def _add(resources: dict[str, RestResource], resource: RestResource, region: str) -> None:
    """Add a resource where it is not there yet; the same name in another region is told apart by that."""
    if any(resource.address.path == other.address.path for other in resources.values()):
        return
    id_ = resource.id if resource.id not in resources else f"{resource.id} in {region}"
    resources[id_] = replace(resource, id=id_, wanted={})


def _after(
    resource: RestResource, every: Iterable[RestResource], needs: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    """
    Return the ids of what goes after a resource: all of the kinds that it needs, since more than one network is rare; and after
    a service that calls the model's, that, and the load balancer with its screen by which it does.
    """
    kinds = needs.get(resource.kind, frozenset())
    if _calls(resource):
        return tuple(o.id for o in every if o.kind in kinds or _serves(o) or _leads(o))
    return tuple(o.id for o in every if o.kind in kinds and not (_leads(resource) and _calls(o)))


def _leads(resource: RestResource) -> bool:
    return resource.kind in EDGE_MAKE or resource.kind in ROAD_MAKE


def _serves(resource: RestResource) -> bool:
    return isinstance(resource, Service) and resource.role == ServiceRole.MODEL


def _calls(resource: RestResource) -> bool:
    return isinstance(resource, Service) and resource.role != ServiceRole.MODEL


async def _grants(
    google: Google, name: str, inventory: Inventory, things: Mapping[str, RestResource]
) -> tuple[list[Grant], list[Unread]]:
    """Return what the endpoint's accounts were granted on the project, and on what stays or goes later than they."""
    emails = _emails(google, name, inventory)
    on = [("apis", f"project/{google.project}", f"v3/projects/{google.project}", "cloudresourcemanager")]
    on += [
        (id_, id_, resource.address.path, resource.address.api)
        for id_, resource in things.items()
        if resource.kind in _GRANTED_ON and _is_marked(inventory, name, resource)
    ]
    secret_ids = await possible_secrets(google, name, inventory)
    on += [
        ("apis", f"secret/{secret_id}", f"v1/projects/{google.project}/secrets/{secret_id}", "secretmanager")
        for secret_id in sorted(secret_ids)
        if f"secret/{secret_id}" not in things
    ]
    answers = await asyncio.gather(
        *(_bindings(google, IamResource(api=api, path=path)) for _, _, path, api in on)
    )
    grants: list[Grant] = []
    unread: list[Unread] = []
    for (need, known_as, path, api), bindings in zip(on, answers, strict=True):
        if isinstance(bindings, HomeportError):
            unread.append(Unread(kind="grant", region="", what=f"{_GRANTS_ON} {known_as}", error=bindings))
            continue
        grants += [
            Grant(
                google=google,
                role=role,
                member=member,
                on=IamResource(api=api, path=path),
                known_as=known_as,
                needs=(need, f"service-account/{emails[_alive(member)]}"),
            )
            for role, member in bindings
            if _alive(member) in emails
        ]
    return grants, unread


async def _bindings(google: Google, on: IamResource) -> Sequence[tuple[str, str]] | HomeportError:
    """Return (role, member) of every grant without a condition, as homeport makes them; the error where they cannot be read."""
    try:
        live = await policy.read(google, on)
    except (NotFound, ApiDisabled):
        return ()
    except HomeportError as error:
        return error
    return [
        (str(binding["role"]), str(member))
        for binding in live.get("bindings", ())
        if not binding.get("condition")
        for member in binding.get("members", ())
    ]


def _emails(google: Google, name: str, inventory: Inventory) -> Mapping[str, str]:
    """Return, by member of a policy, the ids of the endpoint's accounts: those that carry its mark, and those
    of today's names that are gone and have left their grants. An account of somebody else's that is called so
    is none of them.
    """
    accounts = [thing for thing in inventory.things if thing.kind == _ACCOUNT]
    ours = {thing.name for thing in accounts if thing.endpoint == name}
    if not any(unread.kind == _ACCOUNT for unread in inventory.unread):
        names = _names(google, name, "")
        ours |= {names.builder, names.carrier, names.runner} - {thing.name for thing in accounts}
    member = _names(google, name, "").email
    return {f"serviceaccount:{member(id_)}".casefold(): id_ for id_ in ours}


def _alive(member: str) -> str:
    """Return a member as it was before it was deleted: policies go on naming it `deleted:MEMBER?uid=NUMBER`."""
    return member.removeprefix("deleted:").partition("?uid=")[0].casefold()


def _is_marked(inventory: Inventory, name: str, resource: RestResource) -> bool:
    return any((thing.kind, thing.name) == (resource.kind, _short(resource)) for thing in inventory.of(name))


def _short(resource: RestResource) -> str:
    return resource.address.path.rpartition("/")[2].partition("@")[0]


def _names(google: Google, name: str, region: str) -> Names:
    return Names(name=name, project=google.project, region=region)
