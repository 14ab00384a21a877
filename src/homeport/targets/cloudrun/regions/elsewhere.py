"""What an endpoint has in regions that its file does not name, such as after a change of `region`: it stays, and is paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from homeport.errors import HomeportError, NoCredentials
from homeport.google import Google
from homeport.targets.cloudrun.endpoints import model_and_price
from homeport.targets.cloudrun.inventory import (
    KINDS,
    SERVICES,
    Inventory,
    Thing,
    not_known_where,
    take_inventory,
)
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.regions.found import stands_by_itself
from homeport.targets.cloudrun.service_labels import further_regions_of, is_further
from homeport.targets.cloudrun.verification.revision import least_instances

_DELETE = {
    "service": "gcloud run services delete",
    "repository": "gcloud artifacts repositories delete",
    "subnetwork": "gcloud compute networks subnets delete",
}
"""In the order in which they can go."""
_PLACE = {"service": "--region", "repository": "--location", "subnetwork": "--region"}
_KINDS = tuple(kind for kind in KINDS if kind.kind in _DELETE)
"""Kinds that each region has for itself, and that cost something or hold addresses. Of the bucket, which has one name in all, preflight tells."""
_WAIT = " (the subnetwork once Cloud Run has given its addresses back, one to two hours after the service is gone)"


async def notes_of_elsewhere(
    google: Google, names: Names, wanted: Collection[str], services: Inventory | None = None
) -> list[str]:
    """
    Return what the reader of a plan should know of other regions than those `wanted`: what stays there, or that it is not known.

    What the plan takes away itself is left out. `services` are those of all regions, where they were listed already, with what
    nobody has told yet of what could not be read. Reads only. Raises `NoCredentials`.
    """
    try:
        inventory = await _inventory(google, services)
    except NoCredentials:
        raise
    except HomeportError as error:
        return [f"whether {names.name} also stands in another region is not known: {error}"]
    things = [
        thing
        for thing in inventory.of(names.name)
        # What a load balancer's proxies have cannot go before the load balancer, which is not looked for.
        if thing.region not in wanted and thing.body.get("purpose") != "REGIONAL_MANAGED_PROXY"
    ]
    going = _going(inventory, names, things)
    regions = sorted({thing.region for thing in things} - going)
    notes = await asyncio.gather(
        *(_note(google, names, [thing for thing in things if thing.region == region]) for region in regions)
    )
    unread = [one for one in inventory.unread if one.region not in {*wanted, *going}]
    return [*notes, not_known_where(f"{names.name} also stands", unread)] if unread else notes


async def _inventory(google: Google, services: Inventory | None) -> Inventory:
    """Return all things of the kinds that are told, the services as they were seen. Raises where nothing could be read, and none were."""
    if services is None:
        return await take_inventory(google, kinds=_KINDS)
    others = tuple(kind for kind in _KINDS if kind is not SERVICES)
    rest = await take_inventory(google, kinds=others, even_if_nothing=True)
    return replace(rest, things=(*services.things, *rest.things), unread=(*services.unread, *rest.unread))


def _going(inventory: Inventory, names: Names, things: Sequence[Thing]) -> set[str]:
    """Return the regions that the first one's service tells of, which the plan takes away by itself."""
    told = {
        region
        for thing in inventory.of(names.name)
        if thing.is_service_of_model and thing.region == names.region
        for region in further_regions_of(thing.body.get("labels", {}))
    }
    return {
        region
        for region in told
        if not stands_by_itself([thing for thing in things if thing.region == region], names.region)
    }


async def _note(google: Google, names: Names, things: Sequence[Thing]) -> str:
    order = list(_DELETE)
    ordered = sorted(things, key=lambda thing: (order.index(thing.kind), thing.name))
    region, name = ordered[0].region, names.name
    what = ", ".join(f"{thing.kind} {thing.name}" for thing in ordered)
    serving = next((thing for thing in ordered if thing.is_service_of_model), None)
    if serving is None:
        said = f"{name} also has something in {region}, where it does not serve: {what}"
    else:
        said = f"{name} also stands in {region} ({await _price(google, serving)}): {what}"
    keep = (
        f'write region = "{region}" into [cloudrun] to go on there; '
        if serving is not None and not is_further(serving.body)
        else ""
    )
    alone = " && ".join(
        f"{_DELETE[thing.kind]} {thing.name} {_PLACE[thing.kind]}={region} --project={names.project}"
        for thing in ordered
    )
    kinds = {thing.kind for thing in ordered}
    paid = ", and it is paid for" if kinds != {"subnetwork"} else ""
    wait = _WAIT if {"subnetwork", SERVICES.kind} <= kinds else ""
    return (
        f"{said}; this plan leaves it there{paid}: {keep}`homeport down {name} --on cloudrun` takes all of {name} away, that of "
        f"{names.region}, too, and with --purge its weights; what is named here goes with{wait}: {alone}"
    )


async def _price(google: Google, service: Thing) -> str:
    try:
        _, usd = await model_and_price(google, service.body)
    except NoCredentials:
        raise
    except HomeportError as error:
        return f"what it costs could not be read: {error}"
    least = least_instances(service.body)
    always = f", {least} at least at all times" if least else ""
    return (
        f"${usd:.2f} an hour for each instance that runs{always}"
        if usd is not None
        else f"no price is known{always}"
    )


__all__ = ["notes_of_elsewhere"]
