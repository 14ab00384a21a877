"""What would have to be done: data, not text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from homeport.errors import NotManaged
from homeport.json_types import Json, JsonObject
from homeport.reconcile.fact import Fact, by_key
from homeport.reconcile.graph import in_order, in_order_among_themselves
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Change, Live, Outputs, Resource
from homeport.reconcile.shared_reads import read_together

MAY_GO = Change(path="", before=None, after=KNOWN_AFTER_APPLY)
"""
Of what needs a thing that is replaced. What lives in that, such as an object in a bucket, goes with it and has
to be made again; what does not stays. Nobody knows before.
"""


class ActionKind(StrEnum):
    """What is done with a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    """Deleted, then created."""
    DELETE = "delete"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step of a plan."""

    kind: ActionKind
    resource: Resource
    summary: str
    changes: tuple[Change, ...] = ()

    def as_json(self) -> JsonObject:
        """Return the step as `--json` prints it."""
        return {
            "kind": self.kind,
            "id": self.resource.id,
            "summary": self.summary,
            "changes": [change.as_json() for change in self.changes],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Actions in an order in which they can be done, and what the reader should know before saying yes."""

    name: str
    """Of the endpoint."""
    target: str
    actions: tuple[Action, ...]
    known: Outputs = field(default_factory=dict, repr=False)
    """What the actions were found with: of what is live, that which stays as it is."""
    facts: tuple[Fact, ...] = ()
    """What will be so, defaults included."""
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What stands in the way: it cannot be applied before this is mended."""
    preflight: Mapping[str, Json] | None = None
    """What was looked at before; None where the target looks at nothing beforehand."""

    @property
    def pending(self) -> tuple[Action, ...]:
        """Return the actions that do something."""
        return tuple(action for action in self.actions if action.kind is not ActionKind.NONE)

    def as_json(self) -> JsonObject:
        """Return the plan as `--json` prints it."""
        return {
            "name": self.name,
            "target": self.target,
            "changes_pending": bool(self.pending),
            "actions": [action.as_json() for action in self.actions],
            "facts": by_key(self.facts),
            "warnings": list(self.warnings),
            "problems": list(self.problems),
            "preflight": self.preflight,
        }


async def make_plan(
    name: str, target: str, resources: Iterable[Resource], surplus: Iterable[Resource] = ()
) -> Plan:
    """
    Return the plan that makes `resources` so. Reads all of them at once and changes nothing.

    `surplus` are resources that are there for this endpoint and that are no longer wanted: they are deleted when all
    else has succeeded, or at once where they say `goes_first`. Raises one `NotManaged` for everything that bears a wanted
    name and that homeport did not make.
    """
    order = in_order(resources)
    wanted = {resource.id for resource in order}
    rest = [resource for resource in in_order_among_themselves(surplus) if resource.id not in wanted]
    lives = await read_all([*order, *rest])
    unmanaged = [resource.id for resource in order if _is_not_ours(resource, lives[resource.id])]
    if unmanaged:
        raise not_ours(unmanaged)
    known: dict[str, Live] = {}
    unsure: set[str] = set()
    actions = []
    for resource in order:
        live = lives[resource.id]
        action = action_for(resource, live, known)
        if live is not None and not unsure.isdisjoint(resource.needs):
            action = _may_go(action)
        if action.kind is ActionKind.REPLACE or MAY_GO in action.changes:
            unsure.add(resource.id)
            live = None
        actions.append(action)
        if live is not None and action.kind is ActionKind.UPDATE:
            live = resource.unchanged_after_update(live)
        if live is not None:
            known[resource.id] = live
    actions += [
        Action(kind=ActionKind.DELETE, resource=resource, summary=resource.summary(known))
        for resource in reversed(rest)
        if lives[resource.id] is not None and resource.is_managed(lives[resource.id])
    ]
    return Plan(name=name, target=target, actions=tuple(actions), known=known)


def action_for(resource: Resource, live: Live | None, outputs: Outputs) -> Action:
    """Return what has to be done with one resource, given what is live."""
    if live is None:
        return Action(kind=ActionKind.CREATE, resource=resource, summary=resource.summary(outputs))
    changes = resource.diff(live, outputs)
    if any(change.replaces for change in changes):
        kind = ActionKind.REPLACE
    else:
        kind = ActionKind.UPDATE if changes else ActionKind.NONE
    return Action(kind=kind, resource=resource, summary=resource.summary(outputs), changes=changes)


async def read_all(resources: Sequence[Resource]) -> dict[str, Live]:
    """Return what is live of each, by id, read all at once. Raises the first error when all have answered."""
    lives = await read_together(resource.read() for resource in resources)
    for live in lives:
        if isinstance(live, BaseException):
            raise live
    return {resource.id: live for resource, live in zip(resources, lives, strict=True)}


def not_ours(ids: Sequence[str]) -> NotManaged:
    """Return the error for things that bear a wanted name and were made by somebody else."""
    return NotManaged(
        f"homeport did not make {', '.join(ids)}, and does not touch what it did not make",
        hint="give the endpoint another `name` in homeport.toml, or name what exists by the key that is there for it",
    )


def _may_go(action: Action) -> Action:
    if action.kind is ActionKind.REPLACE:
        return action
    return replace(action, kind=ActionKind.UPDATE, changes=(*action.changes, MAY_GO))


def _is_not_ours(resource: Resource, live: Live | None) -> bool:
    return live is not None and not resource.is_managed(live)
