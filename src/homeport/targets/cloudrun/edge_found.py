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
from homeport.targets.cloudrun.edge import EndpointEdge, every_part
from homeport.targets.cloudrun.edge_kinds import EDGE_KINDS, REGIONAL_EDGE_KINDS
from homeport.targets.cloudrun.edge_names import EdgeNames
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
        kinds = {one.id: one.kind for one in edge}
        for one in edge:
            found = frozenset(
                "service" if need.startswith("service/") else kinds.get(need, "") for need in one.needs
            )
            needs[one.kind] = needs.get(one.kind, frozenset()) | (found - {"", one.kind})
    # An entry goes with its map: what goes after the one goes after the other, and what goes before it, too.
    entry = needs.pop(manager.ENTRY, frozenset())
    needs[manager.MAP] = (needs.get(manager.MAP, frozenset()) | entry) - {manager.MAP}
    return {
        kind: frozenset(manager.MAP if one == manager.ENTRY else one for one in found)
        for kind, found in needs.items()
    }


async def unwanted_parts(
    google: Google, names: Names, edge: EndpointEdge | None, labels: Mapping[str, str]
) -> list[Resource]:
    """
    Return the parts that another state of the file has left, to be taken away: all of it without `[edge]`.

    They are looked for where the file wants a load balancer, or the service says in its `labels` that it had one. Raises
    `Incomplete` where something could not be read.
    """
    wanted = {one.id: one for one in edge.parts.resources()} if edge else {}
    had = {*labels, *(edge_labels(edge.parts.edge.kind) if edge else ())}
    kinds = [*(EDGE_KINDS if EDGE_LABEL in had else ())]
    kinds += [*REGIONAL_EDGE_KINDS, *NETWORKS] if REGIONAL_EDGE_LABEL in had else []
    if not kinds:
        return []
    inventory = await take_inventory(
        google, regions=(names.region,), kinds=tuple({one.path: one for one in kinds}.values())
    )
    refuse_incomplete(
        inventory.unread, f"it is not known whether a load balancer of {names.name} is left over"
    )
    there = {one.address.path for one in wanted.values()}
    found: dict[str, RestResource] = {}
    for thing in inventory.of(names.name):
        if thing.kind in _NETWORKS and thing.name != EdgeNames(name=names.name).main:
            continue  # The endpoint's own.
        made = {**MAKE, **_NETWORKS}[thing.kind](google, names.name, thing)
        if made.address.path in there:
            continue
        # The same name in another region is another thing.
        id_ = f"{made.id} in {thing.region or 'global'}" if made.id in {*wanted, *found} else made.id
        found[id_] = replace(made, id=id_)
    needs = needs_by_kind(google, names)
    return [
        replace(
            one, after=tuple(other for other, each in found.items() if each.kind in needs.get(one.kind, ()))
        )
        for one in found.values()
    ]
