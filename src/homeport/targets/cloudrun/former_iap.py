"""Identity-Aware Proxy that the file no longer wants: who came in is taken out, and after that what the service says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from homeport.errors import ApiDisabled, PermissionDenied
from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import Outputs, Resource
from homeport.resources.base import FixedResource
from homeport.resources.google.rest import LABEL
from homeport.targets.cloudrun.iap import EndpointIap, entrants_left, unwanted_entrants
from homeport.targets.cloudrun.iap_switch import IapSwitch, at_the_end
from homeport.targets.cloudrun.invokers import unexpected_invokers
from homeport.targets.cloudrun.label_removal import labelled, remove_label
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import IAP_LABEL, read_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerIap(FixedResource):
    """
    The service's label, which outlives the proxy: while somebody may still come in by its policy, the next plan looks there.

    Once nobody may, no plan needs to see that policy any more. Who comes in under a condition was let in by others: that
    stays, and is nothing to look for. Where that policy cannot be read, both stay, for the next plan to look again.
    """

    google: Google
    names: Names
    unknown: str = ""
    """Why it is not known who comes in by the policy; '' where it is."""
    needs: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "label"

    @property
    def id(self) -> str:
        """Return what it is known as."""
        return f"label/{IAP_LABEL}/{self.names.name}"

    @property
    def doubt(self) -> str:
        """Return what the reader of a plan should know of it; '' for nothing."""
        if not self.unknown:
            return ""
        return (
            f"it is not known who may still come in to the service {self.names.name} by Identity-Aware Proxy's policy, so that stays as it is, "
            f"and lets them in if the proxy is turned on by hand: {self.unknown}"
        )

    async def read(self) -> Any | None:  # Any: JSON
        """Return the service while it has the label; None where nobody can tell whether that can go."""
        if self.unknown:
            return None
        return await labelled(self.google, self.names.service, IAP_LABEL)

    def is_managed(self, live: Any) -> bool:  # Any: JSON
        """Return True where the service is this endpoint's."""
        return bool(live["labels"].get(LABEL) == self.names.name)

    def summary(self, outputs: Outputs) -> str:
        """Return what it is."""
        return f"what the service {self.names.name} says of Identity-Aware Proxy"

    async def create(self, outputs: Outputs, progress: Progress) -> Any:  # Any: JSON
        """Make nothing: the service is labelled as it is made."""
        raise AssertionError

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Take the label away, unless somebody was let in since the plan was made: then the next one finds it."""
        if await entrants_left(self.google, self.names):
            return ()
        await remove_label(self.google, self.names.service, IAP_LABEL)
        return (self.summary({}),)


async def unwanted_iap(
    google: Google, names: Names, iap: EndpointIap | None, labels: Mapping[str, str], *, last: bool
) -> list[Resource]:
    """
    Return what is to go of Identity-Aware Proxy: who may come in and is not named any more, and where the file has none at all, the service's label of it.

    Only a service that says that it had the proxy is asked about, and one that has it. With `last` nobody is taken out before all
    else is done.
    """
    if iap is not None:
        return [*await unwanted_entrants(iap)]
    if IAP_LABEL not in labels:
        return []
    try:
        entrants = await entrants_left(google, names)
    except (ApiDisabled, PermissionDenied) as error:
        told = f"{error}; {error.hint}" if error.hint else str(error)
        return [FormerIap(google=google, names=names, unknown=told)]
    label = FormerIap(google=google, names=names)
    going = [replace(grant, needs=(label.id,)) for grant in entrants]
    return [*(map(at_the_end, going) if last else going), label]


async def unwanted_ways_in(
    google: Google,
    names: Names,
    callers: Collection[str],
    iap: EndpointIap | None,
    switch: IapSwitch | None,
) -> list[Resource]:
    """Return who may call a further region's service, or come in to it, and is not named any more; its own labels say whether it had the proxy."""
    invokers = await unexpected_invokers(google, names, callers)
    labels = await read_labels(google, names) or {}
    entrants = await unwanted_iap(google, names, iap, labels, last=switch is not None)
    return [*(switch.last(invokers) if switch else invokers), *entrants]
