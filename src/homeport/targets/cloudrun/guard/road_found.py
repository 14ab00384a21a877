"""What one of Google's roads took for an endpoint, found again: by its mark in lists, or left by another state of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from homeport.errors import ApiDisabled, HomeportError, NoCredentials, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.reconcile import Resource
from homeport.resources.google import load_balancer as lb
from homeport.resources.google import model_armor as armor
from homeport.resources.google import service_extensions as extensions
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.service_agent import NETWORK_SERVICES, AgentGrant, agent
from homeport.spec import Guard
from homeport.targets.cloudrun.edge.names import EdgeNames
from homeport.targets.cloudrun.guard.road import GuardRoad, grants
from homeport.targets.cloudrun.guard.road_kinds import ROAD_KINDS
from homeport.targets.cloudrun.inventory import Inventory, Thing, Unread, refuse_incomplete, take_inventory
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import ROAD_LABEL

MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = dict.fromkeys(
    extensions.COLLECTIONS,
    lambda google, name, thing: extensions.part(google, name, thing.kind, thing.name, {}, thing.region),
)
"""How a resource is made of what was found: enough of it to be read and taken away."""
NEEDS: Mapping[str, frozenset[str]] = {
    extensions.TRAFFIC: frozenset({lb.RULE}),
    extensions.AUTHZ: frozenset(),
    extensions.POLICY: frozenset({lb.RULE, extensions.AUTHZ}),
}
"""By kind, the kinds of what a thing is made after, and so taken away before."""


async def unwanted_road(
    google: Google,
    names: Names,
    road: GuardRoad | None,
    labels: Mapping[str, str],
    *,
    template: Guard | None,
    leftovers: Sequence[Resource],
) -> list[Resource]:
    """
    Return what a road took for another state of the file, to be taken away; `template` is the `[guard]` whose template is wanted.

    It is looked for only where the service says in its `labels` that it had one: for all others nobody needs a permission on it.
    `leftovers` are what goes of the load balancer, before whose rule an extension goes. Raises `Incomplete` where it is not known
    whether others need its grants.
    """
    if ROAD_LABEL not in labels:
        return []
    called, region, name = names.guard, names.region, names.name
    wanted = {part.id for part in road.parts} if road else set()
    gone: dict[str, RestResource] = {}
    for kind in extensions.COLLECTIONS:
        part = extensions.part(google, name, kind, called, {}, region)
        if part.id not in wanted:
            gone[part.id] = part
    rule, asked = _rule(google, names, leftovers), f"{extensions.AUTHZ.replace(' ', '-')}/{called}"
    after = {extensions.TRAFFIC: (rule,), extensions.POLICY: (rule, asked)}
    parts: list[Resource] = [
        replace(part, after=tuple(need for need in after.get(part.kind, ()) if need == rule or need in gone))
        for part in gone.values()
    ]
    if template is None or template.template is not None:
        parts.append(armor.template(google, name, called, region, ()))
    held = await _held(google) if road is None else []
    if held:
        used, unread = await used_elsewhere(google, name)
        refuse_incomplete(unread, f"it is not known whether grants that {name} had for its screen can go")
        held = [] if used else held
    ids = tuple(grant.id for grant in held)
    parts = [
        replace(part, after=(*part.after, *ids)) if isinstance(part, RestResource) else part for part in parts
    ]
    return [*parts, *held]


def _rule(google: Google, names: Names, leftovers: Sequence[Resource]) -> str:
    """Return the id under which the forwarding rule goes, which is another where a wanted one of another place has its name."""
    usual = lb.part(google, names.name, lb.RULE, EdgeNames(name=names.name).main, {}, region=names.region)
    for resource in leftovers:
        if isinstance(resource, RestResource) and resource.address.path == usual.address.path:
            return resource.id
    return usual.id


async def _held(google: Google) -> list[AgentGrant]:
    """Return the grants of the account of Service Extensions that are there."""
    every = grants(google, await agent(google, NETWORK_SERVICES), needs=())
    return [grant for grant in every if await grant.read() is not None]


async def found_grants(
    google: Google, name: str, inventory: Inventory
) -> tuple[list[AgentGrant], tuple[Unread, ...]]:
    """
    Return the grants of the account of Service Extensions, where an endpoint has a road and nothing else of the project needs them,
    and what could not be read: they stay then, since others may need them.

    They go before that, which tells of them: a second `down` finds them as the first did.
    """
    own = [thing for thing in inventory.of(name) if thing.kind in extensions.COLLECTIONS]
    if not own:
        return [], ()
    try:
        member = await agent(google, NETWORK_SERVICES)
        used, unread = await used_elsewhere(google, name)
    except NoCredentials:
        raise
    except HomeportError as error:
        return [], (_unknown(error),)
    if used or unread:
        return [], unread
    return grants(google, member, needs=tuple(_id(thing) for thing in own)), ()


async def used_elsewhere(google: Google, name: str) -> tuple[bool, tuple[Unread, ...]]:
    """
    Tell whether an extension of the project that is not the endpoint's calls Model Armor, and what could not be read of that: the
    account is the same for all of them.

    All regions are asked, and `global`, since others' are anywhere. One where Google knows no such list has none.
    """
    try:
        regions = [region["name"] async for region in google.pages("compute", _regions(google), "items")]
    except ApiDisabled:
        return False, ()
    except NoCredentials:
        raise
    except HomeportError as error:
        return False, (_unknown(error),)
    kinds = tuple(kind for kind in ROAD_KINDS if kind.kind in {extensions.TRAFFIC, extensions.AUTHZ})
    try:
        found = await take_inventory(google, regions=(*regions, "global"), kinds=kinds, everywhere=False)
    except NoCredentials:
        raise
    except HomeportError as error:
        return False, () if isinstance(error, NotFound) else (_unknown(error),)
    used = any(
        thing.body.get("labels", {}).get(LABEL) != name and _asks(thing.body) for thing in found.things
    )
    errors = [failure.error for failure in found.unread if not isinstance(failure.error, NotFound)]
    return used, () if used else tuple(_unknown(error) for error in errors[:1])


def _unknown(error: HomeportError) -> Unread:
    what = "whether other extensions of the project call Model Armor, so that its grants on the project stay"
    return Unread(kind="grant", region="", what=what, error=error)


def _asks(body: Mapping[str, Json]) -> bool:
    services = [str(body.get("service", ""))]
    services += [
        str(extension.get("service", ""))
        for chain in body.get("extensionChains") or ()
        for extension in chain.get("extensions") or ()
    ]
    return any(service.startswith("modelarmor.") for service in services)


def _regions(google: Google) -> str:
    return f"compute/v1/projects/{google.project}/regions"


def _id(thing: Thing) -> str:
    return f"{thing.kind.replace(' ', '-')}/{thing.name}"


__all__ = ["MAKE", "NEEDS", "found_grants", "unwanted_road", "used_elsewhere"]
