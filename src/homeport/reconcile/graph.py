"""What needs what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from homeport.reconcile.resource import Resource


def in_order(resources: Iterable[Resource]) -> list[Resource]:
    """Return the resources, each after all that it needs. Raises `ValueError` for a need that is missing or a cycle."""
    listed = list(resources)
    ids = {resource.id for resource in listed}
    for resource in listed:
        missing = [need for need in resource.needs if need not in ids]
        if missing:
            raise ValueError(f"{resource.id} needs {missing[0]}, which is not among the resources")
    return in_order_among_themselves(listed)


def in_order_among_themselves(resources: Iterable[Resource]) -> list[Resource]:
    """Return the resources, each after all of them that it needs; what else is needed is something that stays as it is."""
    by_id = {resource.id: resource for resource in resources}
    graph = {id_: [need for need in resource.needs if need in by_id] for id_, resource in by_id.items()}
    return [by_id[id_] for id_ in TopologicalSorter(graph).static_order()]


def all_needs(resources: Iterable[Resource]) -> Mapping[str, frozenset[str]]:
    """Return, by id, what each of the resources needs among themselves, directly or through others."""
    needs_of: dict[str, frozenset[str]] = {}
    for resource in in_order_among_themselves(resources):
        direct = frozenset(need for need in resource.needs if need in needs_of)
        needs_of[resource.id] = direct.union(*(needs_of[need] for need in direct))
    return needs_of
