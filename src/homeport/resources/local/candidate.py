"""A new engine on a spare port, while it is verified; what a swap that was ended from outside left of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from homeport.home import LOCK, is_held
from homeport.progress import Progress
from homeport.reconcile.resource import Change, Outputs
from homeport.resources.base import BaseResource
from homeport.resources.local import endpoint_record
from homeport.resources.local.stopping import running_processes, stop


def folder_of(endpoint: Path) -> Path:
    """Return the folder of the candidate of the endpoint whose folder this is."""
    return endpoint / "candidate" / endpoint.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(BaseResource):
    """The candidate of one endpoint, which nobody wants to stay. Live is a list of its processes."""

    kind = "candidate"
    goes_first = True

    name: str
    endpoint: Path
    """The endpoint's folder."""

    @property
    def id(self) -> str:
        return f"candidate/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    async def read(self) -> list[psutil.Process] | None:
        folder = folder_of(self.endpoint)
        if not folder.exists():
            return None
        processes = running_processes(folder)
        return processes if processes or endpoint_record.read(folder) is not None else None

    def is_managed(self, live: list[psutil.Process]) -> bool:
        return True  # Only what carries our mark is found.

    def diff(self, live: list[psutil.Process], outputs: Outputs) -> tuple[Change, ...]:
        return ()

    def summary(self, outputs: Outputs) -> str:
        if is_held(self.endpoint / LOCK):
            return "an engine on a spare port, of a swap that runs now"
        return "an engine on a spare port, left by a swap that was ended before it was done"

    async def create(self, outputs: Outputs, progress: Progress) -> list[psutil.Process]:
        raise NotImplementedError("it is only ever deleted")

    async def update(
        self, live: list[psutil.Process], outputs: Outputs, progress: Progress
    ) -> list[psutil.Process]:
        return live

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        return remove(self.name, self.endpoint)


def remove(name: str, endpoint: Path) -> tuple[str, ...]:
    """End the candidate of the endpoint `name`, if there is one. Returns what went."""
    folder = folder_of(endpoint)
    if not folder.exists():
        return ()
    return tuple(f"candidate: {stopped}" for stopped in stop(name, folder))
