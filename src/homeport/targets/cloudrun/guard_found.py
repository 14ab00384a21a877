"""What Model Armor took for an endpoint, found again: by its mark in lists, or left by another state of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google import model_armor as armor
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import RestResource
from homeport.spec import Guard
from homeport.targets.cloudrun.foundations import Foundations
from homeport.targets.cloudrun.guard import ROLE
from homeport.targets.cloudrun.inventory import Thing
from homeport.targets.cloudrun.service_labels import GUARD_LABEL

MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {
    armor.TEMPLATE: lambda google, name, thing: armor.template(google, name, thing.name, thing.region, ()),
    armor.ENDPOINT: lambda google, name, thing: armor.regional_endpoint(
        google, name, thing.name, thing.region, name
    ),
}
"""How a resource is made of what was found: enough of it to be read and taken away."""


async def unwanted_screen(wanted: Foundations, labels: Mapping[str, str]) -> list[Resource]:
    """
    Return what Model Armor took for another state of the file, to be taken away.

    It is looked for where the service says in its `labels` that it was screened once: all others are asked for no permission on it.
    """
    if GUARD_LABEL not in labels:
        return []
    every = replace(wanted, guard=Guard(), access=wanted.access.model_copy(update={"isolated": True}))
    there = {one.id for one in wanted.resources()}
    grants = [one for one in every.grants() if isinstance(one, Grant) and one.role == ROLE]
    return [one for one in (*every.screen, *grants) if one.id not in there]
