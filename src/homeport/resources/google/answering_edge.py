"""A load balancer that was seen to answer: what asks it for the model is led there then, and not before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.base import FixedResource
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.traffic import edge_address_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringEdge(FixedResource):
    """
    That the address of `door` answers with the model behind it.

    A service of the endpoint that asks at that address changes between this and the door: it would find nothing there before,
    and nothing at the service's own address after.
    """

    door: ClosedDoor
    kind: ClassVar[str] = "answering edge"

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"answering-edge/{self.door.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of the service, its release, and all of the load balancer."""
        return self.door.after_parts

    async def read(self) -> Json | None:
        """Return the service, once its door is closed for that address: it was seen to answer before."""
        live = await self.door.read()
        return live if live is not None and edge_address_of(live) == self.door.address else None

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{self.door.address} answers, before what asks it is led there"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Wait until it answers. Raises `OperationFailed` where it never does."""
        return await self.door.answered(outputs, progress)


__all__ = ["AnsweringEdge"]
