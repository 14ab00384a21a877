"""Identity-Aware Proxy that the file no longer wants: who came in is taken out, and after that what the service says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from homeport.errors import ApiDisabled, PermissionDenied
from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import Outputs, Resource
from homeport.resources.base import FixedResource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import LABEL, RestResource
from homeport.targets.cloudrun.iap.entry import (
    EndpointIap,
    entrants_left,
    entrants_of_service,
    unwanted_entrants,
)
from homeport.targets.cloudrun.iap.switch import IapSwitch, at_the_end
from homeport.targets.cloudrun.inventory import SERVICES
from homeport.targets.cloudrun.invokers import unexpected_invokers
from homeport.targets.cloudrun.label_removal import labelled, remove_label
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight.request import FormerState
from homeport.targets.cloudrun.regions.in_region import surplus_in
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
    goes: bool = False
    """Whether the service goes all the same, and its label with it."""
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
        names = self.names
        look = f"gcloud beta iap web get-iam-policy --resource-type=cloud-run --region={names.region} --service={names.name} --project={names.project}"
        stays = (
            f"which stays when the service goes: one of that name there would let them in again, and no plan looks for it any more; see `{look}`"
            if self.goes
            else "so that stays as it is, and lets them in if the proxy is turned on by hand"
        )
        return (
            f"it is not known who may still come in to the service {names.name} in {names.region} by Identity-Aware Proxy's policy, "
            f"{stays}: {self.unknown}"
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
    entrants, unknown = await _seen(entrants_left(google, names))
    label = FormerIap(google=google, names=names, unknown=unknown)
    if unknown:
        return [label]
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


async def entrants_of(google: Google, names: Names, leftovers: Iterable[RestResource]) -> list[Resource]:
    """
    Return who may come in through Identity-Aware Proxy to services of `leftovers`, which they go before: a service of that name would let them in again.

    Where nobody can tell, that is said in their place: the service is led to by nothing any more, and goes.
    """
    gone: list[Resource] = []
    for resource in leftovers:
        if resource.kind != SERVICES.kind:
            continue
        path = resource.address.path.removeprefix("v2/")
        there = replace(names, region=path.split("/")[3])
        if IAP_LABEL not in (await read_labels(google, there) or {}):
            continue
        known_as = f"{names.name} in {there.region}"
        entrants, unknown = await _seen(entrants_of_service(google, path, known_as, (resource.id,)))
        label = FormerIap(google=google, names=there, unknown=unknown, goes=True)
        gone += [*entrants, *(surplus_in(there.region, [label], ()) if unknown else ())]
    return gone


async def state_of_entrants(google: Google, names: Names, labels: Mapping[str, str]) -> FormerState:
    """Return whether anybody may come in by the proxy's policy for a service whose file has no proxy, as far as that is known; '' where its `labels` tell of none."""
    if IAP_LABEL not in labels:
        return ""
    entrants, unknown = await _seen(entrants_left(google, names))
    return "unknown" if unknown else "there" if entrants else ""


async def _seen(looking: Awaitable[list[Grant]]) -> tuple[list[Grant], str]:
    """Return who was found to come in, and why that is not known; '' where it is."""
    try:
        return await looking, ""
    except (ApiDisabled, PermissionDenied) as error:
        return [], f"{error}; {error.hint}" if error.hint else str(error)


__all__ = ["FormerIap", "entrants_of", "state_of_entrants", "unwanted_iap", "unwanted_ways_in"]
