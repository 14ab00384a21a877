"""The APIs that a project must have enabled. They stay enabled when all else is taken down: others may use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs
from homeport.resources.base import DependentResource
from homeport.resources.google.propagation import Of, Spreading, changed, found

_AT_ONCE = 20
"""How many the API enables, or tells about, in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apis(DependentResource):
    """Some APIs of the client's project, enabled."""

    google: Google
    services: tuple[str, ...]
    """Such as `run.googleapis.com`."""
    id = "apis"
    needs: tuple[str, ...] = ()
    kind = "APIs"

    async def read(self) -> Any | None:  # Any: a Spreading
        """Return those of them that are enabled; None where none is."""
        enabled: list[str] = []
        for batch in self._batches(self.services):
            names = [f"projects/{self.google.project}/services/{service}" for service in batch]
            answer = await self.google.get("serviceusage", f"{self._parent}:batchGet", names=names)
            enabled += [
                service["name"].rpartition("/")[2]
                for service in answer["services"]
                if service.get("state") == "ENABLED"
            ]
        return found(tuple(sorted(enabled)), Of.APIS) if enabled else None

    def unchanged_after_update(self, live: Any) -> Any:  # Any: a Spreading
        """Return all of it: what is enabled stays so."""
        return live

    def diff(self, live: Any, outputs: Outputs) -> tuple[Change, ...]:  # Any: a Spreading
        """Return those that are off."""
        return tuple(
            Change(path=service, before="disabled", after="enabled")
            for service in self.services
            if service not in live.live
        )

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{len(self.services)} APIs enabled: {', '.join(s.partition('.')[0] for s in self.services)}"

    async def create(self, outputs: Outputs, progress: Progress) -> Any:  # Any: a Spreading
        """Enable them all."""
        return await self._enable(self.services)

    async def update(self, live: Any, outputs: Outputs, progress: Progress) -> Any:  # Any: a Spreading
        """Enable those that are off."""
        return await self._enable(tuple(service for service in self.services if service not in live.live))

    async def _enable(self, services: tuple[str, ...]) -> Spreading:
        for batch in self._batches(services):
            body = {"serviceIds": list(batch)}
            # To enable what is enabled is no error, so that a lost answer may be asked for again.
            operation = await self.google.post(
                "serviceusage", f"{self._parent}:batchEnable", body, repeatable=True
            )
            await self.google.finish("serviceusage", operation, key=self.id)
        return changed(tuple(sorted(self.services)), Of.APIS)

    @staticmethod
    def _batches(services: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [services[start : start + _AT_ONCE] for start in range(0, len(services), _AT_ONCE)]

    @property
    def _parent(self) -> str:
        return f"v1/projects/{self.google.project}/services"
