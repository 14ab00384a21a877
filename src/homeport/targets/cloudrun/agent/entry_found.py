"""The agent's entry in Agent Registry, found again: by its mark in a list, or left by another state of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from homeport.errors import ApiDisabled, NotFound, PermissionDenied
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.agent_registry import KIND, registry_entry
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.service import ServiceRole
from homeport.targets.cloudrun.inventory import Thing
from homeport.targets.cloudrun.label_removal import remove_label
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight.request import FormerState
from homeport.targets.cloudrun.service_labels import REGISTRY_LABEL, labels_of_service

MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {
    KIND: lambda google, name, thing: registry_entry(google, name, thing.name, thing.region, {}),
}
"""How a resource is made of what was found: enough of it to be read and taken away."""
NEEDS: Mapping[str, frozenset[str]] = {KIND: frozenset({"service"})}
"""It goes before the agent: what nobody answers any more is not to be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerEntry(RestResource):
    """
    An entry that the file wants no more, and the label of the endpoint's services that tells of it and outlives it.

    Where nobody can tell whether the entry is there, the label stays, for the next plan to look again; once it is gone, no plan
    asks for a permission on it any more. An entry of that name without the mark is somebody else's: that stays, the label goes.
    """

    services: tuple[str, ...]
    """The full names of what may have the label, that which tells of it to the end last."""
    seen: Json | None = None
    """What has its name, as it was when it was looked for; None for nothing."""
    unknown: str = ""
    """Why it is not known whether it is there; '' where it is."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the label that the model's service has until it is gone: one that is made anew would not tell of it, and the agent may go."""
        return {REGISTRY_LABEL: "agent"}

    @property
    def is_there(self) -> bool:
        """Return True if there was an entry of ours."""
        return self.seen is not None and RestResource.is_managed(self, self.seen)

    @property
    def state(self) -> FormerState:
        """Return whether there is anything to unmake but the label, as far as that is known."""
        return "unknown" if self.unknown else "there" if self.is_there else ""

    @property
    def doubt(self) -> str:
        """Return what the reader of a plan should know of it; '' for nothing."""
        entry = f"the registry entry {self.address.path.removeprefix('v1/')}"
        if self.unknown:
            return f"it is not known whether {entry} is still there, for others to find the agent: {self.unknown}"
        if self.seen is not None and not self.is_there:
            return (
                f"{entry} does not carry the mark {LABEL}={self.name} in its description, so it stays, and nothing looks for it any more: "
                "take it away by hand if it is yours"
            )
        return ""

    async def read(self) -> Json | None:
        """Return what was seen, with nothing in it where the label alone is left; None where nothing can be done. It is asked for no more: who deletes looks anew."""
        return None if self.unknown else self.seen if self.seen is not None else {}

    def is_managed(self, live: Json) -> bool:
        """Return True: the label is ours, and an entry that is not stays."""
        return True

    def summary(self, outputs: Outputs) -> str:
        """Return what goes."""
        return self._gone(entry=self.is_there)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake the entry, then the label."""
        live = await RestResource.read(self)
        ours = live is not None and RestResource.is_managed(self, live)
        if ours:
            await RestResource.delete(self, progress)
        for labelled in self.services:
            await remove_label(self.google, labelled, REGISTRY_LABEL)
        return (self._gone(entry=ours),)

    def _gone(self, *, entry: bool) -> str:
        label = (
            f"what the service {self.name} says of it"
            if entry
            else f"what the service {self.name} says of its agent's registry entry"
        )
        return f"{RestResource.summary(self, {})}, and {label}" if entry else label


async def former_entry(
    google: Google, names: Names, labels: Mapping[str, str] | None, *, wanted: bool
) -> FormerEntry | None:
    """
    Return the entry that another state of the file has made, to be taken away; None where nothing tells of one.

    It is looked for only where the model's service says in its `labels` that there was one, or the agent's where the model's is not
    there (None): of all others nothing is asked, and nobody needs a permission on it.
    """
    if wanted:
        return None
    agent = names.companion(ServiceRole.AGENT)
    told = labels if labels is not None else await labels_of_service(google, names.full(agent))
    if REGISTRY_LABEL not in (told or {}):
        return None
    entry = registry_entry(google, names.name, agent, names.region, {})
    same = {field.name: getattr(entry, field.name) for field in fields(entry)}
    same |= {"wanted": {}, "after": (f"service/{agent}",)}
    former = FormerEntry(**same, services=(names.full(agent), names.service))
    try:
        return replace(former, seen=await google.get(entry.address.api, entry.address.path))
    except NotFound:
        return former
    except (ApiDisabled, PermissionDenied) as error:
        return replace(former, unknown=f"{error}; {error.hint}" if error.hint else str(error))


__all__ = ["MAKE", "NEEDS", "FormerEntry", "former_entry"]
