"""What is left of an endpoint's metrics in Cloud Monitoring once its file wants none, found by its mark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from homeport.engines.metric_names import MetricNames
from homeport.google import Google
from homeport.observe.panels import Watched
from homeport.reconcile import Resource
from homeport.resources.google.budget import BUDGET
from homeport.resources.google.monitoring import (
    CHANNEL,
    COLLECTIONS,
    DASHBOARD,
    PART,
    POLICY,
    UPTIME,
    MonitoringPart,
    labels_key,
    monitoring_part,
)
from homeport.resources.google.rest import RestResource
from homeport.spec import Observe
from homeport.targets.cloudrun.former_budget import former_budget
from homeport.targets.cloudrun.inventory import Thing, refuse_incomplete, take_inventory
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.observe.kinds import OBSERVE_KINDS
from homeport.targets.cloudrun.observe.sidecar import Observing, configuration
from homeport.targets.cloudrun.service_labels import BUDGET_LABEL, OBSERVE_LABEL, TRACES_LABEL


def _make(google: Google, name: str, thing: Thing) -> MonitoringPart:
    return monitoring_part(google, name, thing.kind, "", {}, known_as=thing.name)


MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = dict.fromkeys(COLLECTIONS, _make)
"""How a resource is made of what was found: enough of it to be read and taken away."""
NEEDS: Mapping[str, frozenset[str]] = {
    DASHBOARD: frozenset(("service",)),
    CHANNEL: frozenset(("service",)),
    POLICY: frozenset(("service", CHANNEL)),
    UPTIME: frozenset(("service",)),
    BUDGET: frozenset(("service", CHANNEL)),
}
"""What each is made after, and so taken away before; a service goes all the same where one of these stays: it costs, and they do not."""


async def unwanted_observing(
    google: Google, names: Names, observing: Observing | None, labels: Mapping[str, str]
) -> list[Resource]:
    """
    Return what another state of the file's `[observe]` has left, to be taken away: all of it where there is none.

    It is looked for where the service says in its `labels` that its metrics were sent once: of all others nothing more is asked. Raises
    `Incomplete` where something could not be read.
    """
    if OBSERVE_LABEL not in labels:
        return []
    parts = await _parts(google, names, {thing.part for thing in observing.parts} if observing else set())
    if BUDGET_LABEL in labels and (observing is None or observing.observe.budget is None):
        parts = [replace(former_budget(google, names), after=_channels(parts)), *parts]
    if observing is None:
        return [*parts, *settings_of_metrics(google, names)]
    wanted_ids = {grant.id for grant in observing.grants()} if TRACES_LABEL in labels else set()
    return [*parts, *(grant for grant in _rights(google, names) if wanted_ids and grant.id not in wanted_ids)]


def settings_in_region(google: Google, names: Names, labels: Mapping[str, str]) -> list[Resource]:
    """Return the settings of the sidecar in a further region; none where the first one's service never had one, by its `labels`."""
    return settings_of_metrics(google, names) if OBSERVE_LABEL in labels else []


def settings_of_metrics(google: Google, names: Names) -> list[Resource]:
    """Return what there is before a service whose metrics go away: the settings of its sidecar, and what its account may do."""
    place = configuration(google, names.name, names.metrics_secret, names.region)
    # What lets the account read the settings goes with these: until the new revision serves, instances of the old one start.
    return [replace(place, wanted={}), *_rights(google, names)]


def _rights(google: Google, names: Names) -> list[Resource]:
    """Return what its account may do on the project, with whatever table it had."""
    every = Observe(traces=True)
    was = Observing(google=google, names=names, observe=every, watched=Watched(names.name, MetricNames()))
    return [replace(grant, needs=()) for grant in was.grants()]


async def _parts(google: Google, names: Names, wanted_parts: set[str]) -> list[Resource]:
    inventory = await take_inventory(google, kinds=OBSERVE_KINDS)
    refuse_incomplete(inventory.unread, f"it is not known whether alerts of {names.name} are left over")
    leftovers = [
        MAKE[thing.kind](google, names.name, thing)
        for thing in inventory.of(names.name)
        if thing.body.get(labels_key(thing.kind), {}).get(PART) not in wanted_parts
    ]
    channels = _channels(leftovers)
    return [replace(part, wanted={}, after=channels if part.kind == POLICY else ()) for part in leftovers]


def _channels(parts: Iterable[Resource]) -> tuple[str, ...]:
    return tuple(part.id for part in parts if part.kind == CHANNEL)
