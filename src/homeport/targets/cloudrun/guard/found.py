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
from homeport.targets.cloudrun.guard.screen import ROLE
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

    It is looked for only where the service says in its `labels` that it was screened once: for all others nobody needs a permission on it.
    """
    if GUARD_LABEL not in labels:
        return []
    every = replace(wanted, guard=Guard(), access=wanted.access.model_copy(update={"isolated": True}))
    wanted_ids = {resource.id for resource in wanted.resources()}
    grants = [grant for grant in every.grants() if isinstance(grant, Grant) and grant.role == ROLE]
    return [resource for resource in (*every.screen, *grants) if resource.id not in wanted_ids]
