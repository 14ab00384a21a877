"""The agent's entry in Agent Registry, found again: by its mark in a list, or left by another state of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.agent_registry import KIND, registry_entry
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service import ServiceRole
from homeport.targets.cloudrun.inventory import Thing
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import REGISTRY_LABEL

MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {
    KIND: lambda google, name, thing: registry_entry(google, name, thing.name, thing.region, {}),
}
"""How a resource is made of what was found: enough of it to be read and taken away."""
NEEDS: Mapping[str, frozenset[str]] = {KIND: frozenset({"service"})}
"""It goes before the agent: what nobody answers any more is not to be found."""


async def unwanted_entry(google: Google, names: Names, *, wanted: bool) -> list[Resource]:
    """
    Return the entry that another state of the file has made, to be taken away.

    It is looked for only where the agent's service says that it had one once: for all others nobody needs a permission on it.
    """
    own = names.companion(ServiceRole.AGENT)
    if wanted:
        return []
    try:
        live = await google.get("run", f"v2/{names.full(own)}")
    except (NotFound, ApiDisabled):
        return []
    if REGISTRY_LABEL not in live.get("labels", {}):
        return []
    return [replace(registry_entry(google, names.name, own, names.region, {}), after=(f"service/{own}",))]
