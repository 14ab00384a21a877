"""What would have to be done: data, not text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from homeport.reconcile.resource import Change, Outputs, Resource


class Kind(StrEnum):
    """What is done with a resource."""

    CREATE = "create"
    UPDATE = "update"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step of a plan."""

    kind: Kind
    resource: Resource
    summary: str
    changes: tuple[Change, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The step as `--json` prints it."""
        changes = [{"path": c.path, "before": c.before, "after": c.after} for c in self.changes]
        return {"kind": self.kind, "id": self.resource.id, "summary": self.summary, "changes": changes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Actions in an order in which they can be done, and what the reader should know before saying yes."""

    name: str
    """Of the endpoint."""
    target: str
    actions: tuple[Action, ...]
    facts: tuple[tuple[str, str], ...] = field(default=())
    """What will be so, defaults included: label and value."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def pending(self) -> tuple[Action, ...]:
        """The actions that do something."""
        return tuple(action for action in self.actions if action.kind is not Kind.NONE)

    def as_json(self) -> dict[str, Any]:
        """The plan as `--json` prints it."""
        return {
            "name": self.name,
            "target": self.target,
            "changes_pending": bool(self.pending),
            "actions": [action.as_json() for action in self.actions],
            "facts": dict(self.facts),
            "warnings": list(self.warnings),
        }


async def make_plan(name: str, target: str, resources: Iterable[Resource]) -> Plan:
    """The plan that makes `resources` so. Reads all of them at once and changes nothing."""
    order = in_order(resources)
    lives = await asyncio.gather(*(resource.read() for resource in order))
    outputs: dict[str, Any] = {}
    actions = []
    for resource, live in zip(order, lives, strict=True):
        action = action_for(resource, live, outputs)
        actions.append(action)
        if action.kind is Kind.NONE:
            outputs[resource.id] = live
    return Plan(name=name, target=target, actions=tuple(actions))


def action_for(resource: Resource, live: Any | None, outputs: Outputs) -> Action:
    """What has to be done with one resource, given what is live."""
    if live is None:
        return Action(kind=Kind.CREATE, resource=resource, summary=resource.summary(outputs))
    changes = resource.diff(live, outputs)
    kind = Kind.UPDATE if changes else Kind.NONE
    return Action(kind=kind, resource=resource, summary=resource.summary(outputs), changes=changes)


def in_order(resources: Iterable[Resource]) -> list[Resource]:
    """The resources, each after all that it needs. Raises `ValueError` for a need that is missing or a cycle."""
    from graphlib import TopologicalSorter

    by_id = {resource.id: resource for resource in resources}
    for resource in by_id.values():
        missing = set(resource.needs) - set(by_id)
        if missing:
            raise ValueError(f"{resource.id} needs {missing.pop()}, which is not among the resources")
    return [by_id[id_] for id_ in TopologicalSorter({r.id: r.needs for r in by_id.values()}).static_order()]
