"""What another state of the file has made and a plan would take away, and of which it cannot be told whether it is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from homeport.reconcile import Plan, Resource


@runtime_checkable
class Doubtful(Protocol):
    """A resource of which a plan may not know whether it is there."""

    @property
    def doubt(self) -> str:
        """Return what the reader of a plan should know of it; '' for nothing."""


def with_doubts(plan: Plan, surplus: Iterable[Resource]) -> Plan:
    """Return the plan with a warning of each resource of `surplus` that it would take away and does not."""
    doubts = [one.doubt for one in surplus if isinstance(one, Doubtful) and one.doubt]
    return replace(plan, warnings=(*plan.warnings, *doubts))


__all__ = ["Doubtful", "with_doubts"]
