"""Parts of load balancers that were found by their mark, as resources that can be taken away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google import load_balancer as lb
from homeport.resources.google import managed_certificate as manager
from homeport.resources.google.network import network, proxy_subnetwork
from homeport.resources.google.rest import RestResource
from homeport.targets.cloudrun.edge.kinds import EDGE_KINDS, REGIONAL_EDGE_KINDS
from homeport.targets.cloudrun.edge.load_balancer import EndpointEdge, every_part
from homeport.targets.cloudrun.edge.names import EdgeNames
from homeport.targets.cloudrun.inventory import NETWORKS, Thing, refuse_incomplete, take_inventory
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import EDGE_LABEL, REGIONAL_EDGE_LABEL, edge_labels


def _of_compute(google: Google, name: str, thing: Thing) -> RestResource:
    return lb.part(google, name, thing.kind, thing.name, {}, region=thing.region)


def _of_manager(google: Google, name: str, thing: Thing) -> RestResource:
    return manager.managed(google, name, thing.kind, thing.name, {}, region=thing.region)


def _network(google: Google, name: str, thing: Thing) -> RestResource:
    return network(google, name, thing.name)


def _subnetwork(google: Google, name: str, thing: Thing) -> RestResource:
    return proxy_subnetwork(google, name, thing.name, thing.region, "")


MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {
    **dict.fromkeys(lb.COLLECTIONS, _of_compute),
    **{kind: _of_manager for kind in manager.COLLECTIONS if kind != manager.ENTRY},
}
"""How a resource is made of what was found: enough of it to be read and taken away."""
_NETWORKS: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {
    "network": _network,
    "subnetwork": _subnetwork,
}
"""Those of the proxies of a regional one: `down` finds them with all others."""


def needs_by_kind(google: Google, names: Names) -> Mapping[str, frozenset[str]]:
    """Return, by kind, the kinds of what a part is made after, and so taken away before: read off what `up` makes."""
    needs: dict[str, frozenset[str]] = {}
    for edge in every_part(google, names):
        kinds = {part.id: part.kind for part in edge}
        for part in edge:
            needed_kinds = frozenset(
                "service" if need.startswith("service/") else kinds.get(need, "") for need in part.needs
            )
            needs[part.kind] = needs.get(part.kind, frozenset()) | (needed_kinds - {"", part.kind})
    # An entry goes with its map: what goes after or before the one goes so with the other, too.
    entry = needs.pop(manager.ENTRY, frozenset())
    needs[manager.MAP] = (needs.get(manager.MAP, frozenset()) | entry) - {manager.MAP}
    return {
        kind: frozenset(manager.MAP if need == manager.ENTRY else need for need in needed_kinds)
        for kind, needed_kinds in needs.items()
    }


async def unwanted_parts(
    google: Google, names: Names, edge: EndpointEdge | None, labels: Mapping[str, str]
) -> list[Resource]:
    """
    Return the parts that another state of the file has left, to be taken away: all of it without `[edge]`.

    They are looked for where the file wants a load balancer, or the service says in its `labels` that it had one. Raises
    `Incomplete` where something could not be read.
    """
    wanted_parts = {part.id: part for part in edge.parts.resources()} if edge else {}
    had = {*labels, *(edge_labels(edge.parts.edge.kind) if edge else ())}
    kinds = [*(EDGE_KINDS if EDGE_LABEL in had else ())]
    kinds += [*REGIONAL_EDGE_KINDS, *NETWORKS] if REGIONAL_EDGE_LABEL in had else []
    if not kinds:
        return []
    inventory = await take_inventory(
        google, regions=(names.region,), kinds=tuple({kind.path: kind for kind in kinds}.values())
    )
    refuse_incomplete(
        inventory.unread, f"it is not known whether a load balancer of {names.name} is left over"
    )
    wanted_paths = {part.address.path for part in wanted_parts.values()}
    leftovers: dict[str, RestResource] = {}
    for thing in inventory.of(names.name):
        if thing.kind in _NETWORKS and thing.name != EdgeNames(name=names.name).main:
            continue  # The endpoint's own.
        resource = {**MAKE, **_NETWORKS}[thing.kind](google, names.name, thing)
        if resource.address.path in wanted_paths:
            continue
        # The same name in another region is another thing.
        id_ = (
            f"{resource.id} in {thing.region or 'global'}"
            if resource.id in {*wanted_parts, *leftovers}
            else resource.id
        )
        leftovers[id_] = replace(resource, id=id_)
    needs = needs_by_kind(google, names)
    return [
        replace(
            resource,
            after=tuple(
                other for other, each in leftovers.items() if each.kind in needs.get(resource.kind, ())
            ),
        )
        for resource in leftovers.values()
    ]
