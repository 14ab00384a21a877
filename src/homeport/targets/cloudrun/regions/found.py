"""What an endpoint has in a further region that its file names no more: it goes once the load balancer does not lead there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.dns import record
from homeport.resources.google.model_armor import ENDPOINT, host
from homeport.resources.google.rest import RestResource
from homeport.resources.google.scheduled_job import scheduled_job
from homeport.targets.cloudrun.foundations import DOMAINS, Foundations
from homeport.targets.cloudrun.guard.kinds import GUARD_KINDS
from homeport.targets.cloudrun.inventory import KINDS, SERVICES, Thing, refuse_incomplete, take_inventory
from homeport.targets.cloudrun.listed_kind import ListedKind
from homeport.targets.cloudrun.managed import MAKE
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.observe.sidecar import configuration
from homeport.targets.cloudrun.service_labels import (
    CACHE_LABEL,
    GUARD_LABEL,
    OBSERVE_LABEL,
    further_regions_of,
    repeats,
)
from homeport.targets.cloudrun.startup_cache.kinds import CACHE_KINDS, JOB
from homeport.targets.cloudrun.warm_schedule import JOBS, WarmSchedule

_KINDS = tuple(kind for kind in KINDS if kind.kind in {"service", "repository", "subnetwork", "bucket"})
_IN_SUBNETWORKS = (ENDPOINT, JOB)
"""Kinds that take addresses of the subnetwork, which goes after them."""


async def unwanted_regions(
    foundations: Foundations, wanted: Collection[str], labels: Mapping[str, str]
) -> list[RestResource]:
    """
    Return what there is in further regions that are not `wanted` any more, each region's service before the rest of it.

    They are looked for where the service of the first region says in its `labels` that there were some, and so is what its tables made
    there. Raises `Incomplete` where something could not be read.
    """
    google, names = foundations.google, foundations.names
    gone = [region for region in further_regions_of(labels) if region not in {names.region, *wanted}]
    if not gone:
        return []
    inventory = await take_inventory(
        google, regions=gone, kinds=await _kinds(google, names, labels), everywhere=False
    )
    refuse_incomplete(
        inventory.unread, f"it is not known whether anything of {names.name} is left in {', '.join(gone)}"
    )
    leftovers: list[RestResource] = []
    for region in gone:
        things = [thing for thing in inventory.of(names.name) if _place(thing) == region]
        if stands_by_itself(things, names.region):
            continue
        own = [_resource(google, names.name, thing, region) for thing in things]
        if GUARD_LABEL in labels and foundations.cloudrun.network is None:
            own.append(_way(google, names, region))
        if OBSERVE_LABEL in labels:
            secret_id = replace(names, region=region, further=True).metrics_secret
            own.append(replace(configuration(google, names.name, secret_id, region), wanted={}))
        leftovers += _in_order(own)
    return leftovers


def stands_by_itself(things: Sequence[Thing], first: str) -> bool:
    """Return True if a service among the things of a region does not repeat that of the region `first`."""
    # One that repeats nothing is an endpoint by itself, such as one of a file whose region changed; or it repeats another's.
    return any(thing.kind == SERVICES.kind and repeats(thing.body) != first for thing in things)


def before_services(parts: Sequence[Resource], leftovers: Sequence[RestResource]) -> list[Resource]:
    """Return parts of a load balancer so that they go before the services that they led to."""
    services = tuple(resource.id for resource in leftovers if resource.kind == SERVICES.kind)
    return [
        replace(part, after=(*part.after, *services)) if isinstance(part, RestResource) else part
        for part in parts
    ]


async def _kinds(google: Google, names: Names, labels: Mapping[str, str]) -> tuple[ListedKind, ...]:
    """Return what is looked for: of tables that the endpoint never had nobody needs a permission."""
    scheduled = await WarmSchedule(google=google, names=names, hours=None).exists()
    return (
        *_KINDS,
        *(GUARD_KINDS if GUARD_LABEL in labels else ()),
        *(CACHE_KINDS if CACHE_LABEL in labels else ()),
        *((JOBS,) if scheduled else ()),
    )


def _way(google: Google, names: Names, region: str) -> RestResource:
    """Return the name by which Model Armor of a region was found, in the zone that all regions share."""
    return record(google, names.name, names.zone(DOMAINS[0]), f"{host(region)}.", "A", ())


def _in_order(own: Sequence[RestResource]) -> Iterator[RestResource]:
    """Yield what a region has, each after what goes later than it does: the service goes first, the subnetwork after what is in it."""
    rest = tuple(resource.id for resource in own if resource.kind != SERVICES.kind)
    network = tuple(resource.id for resource in own if resource.kind == "subnetwork")
    for resource in own:
        after = (
            rest if resource.kind == SERVICES.kind else network if resource.kind in _IN_SUBNETWORKS else ()
        )
        yield replace(resource, after=after)


def _place(thing: Thing) -> str:
    return thing.region or str(thing.body.get("location", "")).lower()


def _resource(google: Google, name: str, thing: Thing, region: str) -> RestResource:
    scheduled = thing.kind == JOBS.kind
    made = (
        scheduled_job(google, name, thing.name, region)
        if scheduled
        else MAKE[thing.kind](google, name, thing)
    )
    return replace(made, id=f"{made.id} in {region}", wanted={})


__all__ = ["before_services", "stands_by_itself", "unwanted_regions"]
