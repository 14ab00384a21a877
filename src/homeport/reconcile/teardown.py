"""What taking an endpoint down would end and remove: data, for the person who says yes to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from homeport.errors import HomeportError
from homeport.json_types import JsonObject
from homeport.reconcile.deletion import read_at_once
from homeport.reconcile.graph import in_order_among_themselves
from homeport.reconcile.resource import Resource
from homeport.reconcile.shared_reads import read_together


@dataclass(frozen=True, slots=True, kw_only=True)
class Teardown:
    """Everything of an endpoint that is there and would go."""

    name: str
    """Of the endpoint."""
    target: str
    things: tuple[tuple[str, str], ...]
    """Id and what it is, in a few words or ''."""
    facts: tuple[tuple[str, str], ...] = ()
    """What is known of the endpoint: label and value."""
    notes: tuple[str, ...] = ()
    """What the reader should know before saying yes."""

    def as_json(self) -> JsonObject:
        """Return the teardown as `--json` prints it."""
        return {
            "name": self.name,
            "target": self.target,
            "things": dict(self.things),
            "facts": dict(self.facts),
            "notes": list(self.notes),
        }


async def teardown(name: str, target: str, resources: Iterable[Resource]) -> Teardown:
    """
    Return what `destroy` would delete of `resources`, in its order. What cannot be read is listed, too, with
    the reason.
    """
    order = list(reversed(in_order_among_themselves(resources)))
    lives = await read_together(map(read_at_once, order))
    things = []
    for resource, live in zip(order, lives, strict=True):
        if isinstance(live, HomeportError):
            things.append((resource.id, f"if it is there; not known: {live}"))
        elif isinstance(live, BaseException):
            raise live
        elif live is not None and resource.is_managed(live):
            things.append((resource.id, ""))
    return Teardown(name=name, target=target, things=tuple(things))
