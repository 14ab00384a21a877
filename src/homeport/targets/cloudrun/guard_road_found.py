"""What one of Google's roads took for an endpoint, found again: by its mark in lists, or left by another state of the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from homeport.errors import ApiDisabled
from homeport.google import Google
from homeport.json_types import Json
from homeport.reconcile import Resource
from homeport.resources.google import load_balancer as lb
from homeport.resources.google import model_armor as armor
from homeport.resources.google import service_extensions as extensions
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.service_agent import NETWORK_SERVICES, AgentGrant, agent
from homeport.spec import Guard
from homeport.targets.cloudrun.guard_road import GuardRoad, grants
from homeport.targets.cloudrun.inventory import Inventory, Thing
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
    google: Google, names: Names, road: GuardRoad | None, labels: Mapping[str, str], *, template: Guard | None
) -> list[Resource]:
    """
    Return what a road took for another state of the file, to be taken away; `template` is the `[guard]` whose template is wanted.

    It is looked for only where the service says in its `labels` that it had one: for all others nobody needs a permission on it.
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
    rule, asked = f"forwarding-rule/{name}-edge", f"{extensions.AUTHZ.replace(' ', '-')}/{called}"
    after = {extensions.TRAFFIC: (rule,), extensions.POLICY: (rule, asked)}
    parts: list[Resource] = [
        replace(part, after=tuple(need for need in after.get(part.kind, ()) if need == rule or need in gone))
        for part in gone.values()
    ]
    if template is None or template.template is not None:
        parts.append(armor.template(google, name, called, region, ()))
    if road is None and not await used_elsewhere(google, name):
        held = grants(google, await agent(google, NETWORK_SERVICES), needs=())
        parts = [
            replace(part, after=(*part.after, *(grant.id for grant in held)))
            if isinstance(part, RestResource)
            else part
            for part in parts
        ]
        parts += held
    return parts


async def found_grants(google: Google, name: str, inventory: Inventory) -> list[AgentGrant]:
    """
    Return the grants of the account of Service Extensions, where an endpoint has a road and nothing else of the project needs them.

    They go before that, which tells of them: a second `down` finds them as the first did.
    """
    own = [thing for thing in inventory.of(name) if thing.kind in extensions.COLLECTIONS]
    if not own or await used_elsewhere(google, name):
        return []
    return grants(google, await agent(google, NETWORK_SERVICES), needs=tuple(_id(thing) for thing in own))


async def used_elsewhere(google: Google, name: str) -> bool:
    """
    Tell whether an extension of the project that is not the endpoint's calls Model Armor: the account is the same for all of them.

    All regions are asked, since others' are anywhere. Raises what keeps that from being read.
    """
    try:
        regions = [region["name"] async for region in google.pages("compute", _regions(google), "items")]
    except ApiDisabled:
        return False
    kinds = (extensions.TRAFFIC, extensions.AUTHZ)
    answers = await asyncio.gather(
        *(_calls(google, kind, region, name) for kind in kinds for region in regions)
    )
    return any(answers)


async def _calls(google: Google, kind: str, region: str, name: str) -> bool:
    api, collection, _ = extensions.COLLECTIONS[kind]
    path = f"v1/projects/{google.project}/locations/{region}/{collection}"
    try:
        listed = [body async for body in google.pages(api, path, collection)]
    except ApiDisabled:
        return False
    return any(body.get("labels", {}).get(LABEL) != name and _asks(body) for body in listed)


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
