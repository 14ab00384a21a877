"""The agent's entry in Agent Registry, found again: by its mark in a list, or left by another state of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from homeport.errors import ApiDisabled, NotFound, PermissionDenied
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.agent_registry import KIND, registry_entry
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.service import ServiceRole
from homeport.targets.cloudrun.inventory import Thing
from homeport.targets.cloudrun.label_removal import labelled, remove_label
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import REGISTRY_LABEL

MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {
    KIND: lambda google, name, thing: registry_entry(google, name, thing.name, thing.region, {}),
}
"""How a resource is made of what was found: enough of it to be read and taken away."""
NEEDS: Mapping[str, frozenset[str]] = {KIND: frozenset({"service"})}
"""It goes before the agent: what nobody answers any more is not to be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerEntry(RestResource):
    """
    An entry that the file wants no more, and the label of the model's service, which outlives it.

    Where nobody can tell whether the entry is there, the label stays, for the next plan to look again; once it is gone, no plan
    asks for a permission on it any more. An entry of that name without the mark is somebody else's: that stays, the label goes.
    """

    service: str
    """The full name of the model's service."""
    unknown: str = ""
    """Why it is not known whether the entry is there; '' where it is."""
    foreign: bool = False
    """Whether what has its name does not carry its mark."""

    @property
    def doubt(self) -> str:
        """Return what the reader of a plan should know of it; '' for nothing."""
        entry = f"the registry entry {self.address.path.removeprefix('v1/')}"
        if self.unknown:
            return f"it is not known whether {entry} is still there, for others to find the agent: {self.unknown}"
        if self.foreign:
            return (
                f"{entry} does not carry the mark {LABEL}={self.name} in its description, so it stays, and nothing looks for it any more: "
                "take it away by hand if it is yours"
            )
        return ""

    async def read(self) -> Json | None:
        """Return the entry, or the label alone where there is none of ours; None where nothing can or need be done."""
        if self.unknown:
            return None
        live = await RestResource.read(self)
        if live is not None and self.is_managed(live):
            return live
        if await labelled(self.google, self.service, REGISTRY_LABEL) is None:
            return None
        return {"description": f"{LABEL}={self.name}"}

    def summary(self, outputs: Outputs) -> str:
        """Return what goes."""
        label = f"what the service {self.name} says of it"
        return label if self.foreign else f"{RestResource.summary(self, outputs)}, and {label}"

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake the entry, then the label."""
        live = await RestResource.read(self)
        if live is not None and self.is_managed(live):
            await RestResource.delete(self, progress)
        await remove_label(self.google, self.service, REGISTRY_LABEL)
        return (self.summary({}),)


async def unwanted_entry(
    google: Google, names: Names, labels: Mapping[str, str], *, wanted: bool
) -> list[FormerEntry]:
    """
    Return the entry that another state of the file has made, to be taken away.

    It is looked for only where the model's service says in its `labels` that there was one: of all others nothing is asked, and
    nobody needs a permission on it.
    """
    if wanted or REGISTRY_LABEL not in labels:
        return []
    own = names.companion(ServiceRole.AGENT)
    entry = registry_entry(google, names.name, own, names.region, {})
    unknown, foreign = "", False
    try:
        foreign = not entry.is_managed(await google.get(entry.address.api, entry.address.path))
    except NotFound:
        pass
    except (ApiDisabled, PermissionDenied) as error:
        unknown = f"{error}; {error.hint}" if error.hint else str(error)
    same = {field.name: getattr(entry, field.name) for field in fields(entry)}
    same |= {"wanted": {}, "after": (f"service/{own}",)}
    return [FormerEntry(**same, service=names.service, unknown=unknown, foreign=foreign)]


__all__ = ["MAKE", "NEEDS", "FormerEntry", "unwanted_entry"]
