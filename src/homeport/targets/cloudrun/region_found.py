"""What an endpoint has in a further region that its file names no more: it goes once the load balancer does not lead there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.bucket import bucket
from homeport.resources.google.network import subnetwork
from homeport.resources.google.repository import repository
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service import ServiceIdentity, service
from homeport.targets.cloudrun.inventory import KINDS, SERVICES, Thing, refuse_incomplete, take_inventory
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import regions_told, repeats

_KINDS = tuple(kind for kind in KINDS if kind.kind in {"service", "repository", "subnetwork", "bucket"})


async def unwanted_regions(
    google: Google, names: Names, wanted: Collection[str], labels: Mapping[str, str]
) -> list[RestResource]:
    """
    Return what there is in further regions that are not `wanted` any more, each region's service after the rest of it.

    They are looked for where the service of the first region says in its `labels` that there were some. Raises `Incomplete` where something
    could not be read.
    """
    gone = [region for region in regions_told(labels) if region not in {names.region, *wanted}]
    if not gone:
        return []
    inventory = await take_inventory(google, regions=gone, kinds=_KINDS, everywhere=False)
    refuse_incomplete(
        inventory.unread, f"it is not known whether anything of {names.name} is left in {', '.join(gone)}"
    )
    leftovers: list[RestResource] = []
    for region in gone:
        things = [thing for thing in inventory.of(names.name) if _place(thing) == region]
        # A service that repeats nothing is an endpoint by itself, such as one of a file whose region changed; or it repeats another's.
        if any(thing.kind == SERVICES.kind and repeats(thing.body) != names.region for thing in things):
            continue
        own = [_resource(google, names.name, thing, region) for thing in things]
        rest = tuple(resource.id for resource in own if resource.kind != SERVICES.kind)
        leftovers += [
            replace(resource, after=rest) if resource.kind == SERVICES.kind else resource for resource in own
        ]
    return leftovers


def before_services(parts: Sequence[Resource], leftovers: Sequence[RestResource]) -> list[Resource]:
    """Return parts of a load balancer so that they go before the services that they led to."""
    services = tuple(resource.id for resource in leftovers if resource.kind == SERVICES.kind)
    return [
        replace(part, after=(*part.after, *services)) if isinstance(part, RestResource) else part
        for part in parts
    ]


def _place(thing: Thing) -> str:
    return thing.region or str(thing.body.get("location", "")).lower()


def _resource(google: Google, name: str, thing: Thing, region: str) -> RestResource:
    if thing.kind == SERVICES.kind:
        identity = ServiceIdentity(endpoint=name, region=region, name=thing.name)
        made: RestResource = service(google, identity, {})
    elif thing.kind == "repository":
        made = repository(google, name, thing.name, region)
    elif thing.kind == "subnetwork":
        made = subnetwork(google, name, thing.name, region, "")
    else:
        made = bucket(google, name, thing.name, region)
    return replace(made, id=f"{made.id} in {region}", wanted={})


__all__ = ["before_services", "unwanted_regions"]
