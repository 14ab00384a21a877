"""What another state of the file may have made on Cloud Run, and is to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from homeport.reconcile import Resource
from homeport.targets.cloudrun.agent.secrets import unwanted_readers
from homeport.targets.cloudrun.api_gateway.found import unwanted_api_gateway
from homeport.targets.cloudrun.edge.found import unwanted_parts
from homeport.targets.cloudrun.guard.found import unwanted_screen
from homeport.targets.cloudrun.guard.road_found import unwanted_road
from homeport.targets.cloudrun.iap.former import entrants_of, unwanted_iap, unwanted_ways_in
from homeport.targets.cloudrun.invokers import unexpected_invokers
from homeport.targets.cloudrun.left_behind import left_behind
from homeport.targets.cloudrun.observe.found import settings_in_region, unwanted_observing
from homeport.targets.cloudrun.regions.found import before_services, unwanted_regions
from homeport.targets.cloudrun.regions.in_region import surplus_in
from homeport.targets.cloudrun.service_labels import read_labels
from homeport.targets.cloudrun.startup_cache.found import unwanted_cache
from homeport.targets.cloudrun.target import CloudRunTarget


async def unwanted_of(target: CloudRunTarget) -> list[Resource]:
    """Return what another state of the file may have made, and what is to go: who may call it, services beside it."""
    invokers = await unexpected_invokers(target.google, target.names, target.callers)
    invokers = target.switch.last(invokers) if target.switch else invokers
    live_labels = await read_labels(target.google, target.names)
    labels = live_labels or {}
    parts = await unwanted_parts(target.google, target.names, target.edge, labels)
    watched = await unwanted_observing(target.google, target.names, target.observing, labels)
    parts += await unwanted_api_gateway(target.google, target.names, target.api_gateway, labels, invokers)
    parts += await unwanted_screen(target.foundations, labels)
    parts += await unwanted_road(
        target.google, target.names, target.road, labels, template=target.foundations.guard, leftovers=parts
    )
    # Who is not named may not come in for the time of a proof, either: all go last where nobody comes in that way any more.
    parts += await unwanted_iap(
        target.google, target.names, target.iap, labels, last=target.switch is not None
    )
    if live_labels is None:
        parts += await left_behind(target.foundations, observed=target.observing is not None)
    there = [each.names for each in target.further]
    gone = await unwanted_regions(target.foundations, [names.region for names in there], labels)
    parts = [*before_services(parts, gone), *gone, *await entrants_of(target.google, target.names, gone)]
    # Where there is only no room now, a cache is still wanted, and the account that writes it stays.
    parts += await unwanted_cache(target.google, target.names, there, wanted=target.keeps is not None)
    stays = target.spec.agent is not None
    readers = await unwanted_readers(target.google, target.names, target.agents_secrets, stays=stays)
    beside = [*target.beside_it.unwanted([*invokers, *readers]), *readers]
    beside += [target.former_entry] if target.former_entry else []
    own = [*invokers, *beside, *await target.warm.unwanted(), *parts, *watched, *_grants_of_builds(target)]
    return [*own, *await _in_further_regions(target, labels, own)]


async def _in_further_regions(
    target: CloudRunTarget, labels: Mapping[str, str], own: Sequence[Resource]
) -> list[Resource]:
    """
    Return what is to go of the further regions that are wanted, beside what is `own` to the first.

    The `labels` are those of the first one's service: it has what another state of the file wanted before a further one does. Of
    Identity-Aware Proxy each region's own service tells, since its label goes by itself.
    """
    gone: list[Resource] = []
    for each in target.further:
        surplus = [
            *await unwanted_ways_in(target.google, each.names, each.callers, each.iap, each.switch),
            *_grants_of_builds(each),
            *await unwanted_screen(each.foundations, labels),
            *await each.warm.unwanted(),
            *([] if each.observing else settings_in_region(target.google, each.names, labels)),
        ]
        gone += surplus_in(each.names.region, surplus, [*target.resources(), *own, *gone])
    return gone


def _grants_of_builds(target: CloudRunTarget) -> list[Resource]:
    """Return what lets builds read the bucket, where none does any more."""
    wanted_ids = {resource.id for resource in target.resources()}
    return [grant for grant in replace(target.foundations, baked=True).grants() if grant.id not in wanted_ids]
