"""Weights on this machine, as a resource."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import ClassVar, TypeVar

from homeport.progress import Progress
from homeport.reconcile.resource import Outputs
from homeport.resources.base import FixedResource
from homeport.weights import Format, Manifest
from homeport.weights.store import WeightsStore

_Got = TypeVar("_Got")


class _Stoppable:
    """Ends the thread that fetches at its next block of bytes: a thread cannot be cancelled from outside."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stopped = Event()

    def stop(self) -> None:
        self._stopped.set()

    def started(self, key: str, what: str) -> None:
        self._progress.started(key, what)

    def advanced(self, key: str, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise KeyboardInterrupt
        self._progress.advanced(key, done, total)

    def finished(self, key: str, what: str) -> None:
        self._progress.finished(key, what)

    def failed(self, key: str, what: str) -> None:
        self._progress.failed(key, what)

    def note(self, text: str) -> None:
        self._progress.note(text)


async def fetching(work: Callable[[Progress], _Got], progress: Progress) -> _Got:
    """Return what `work` returns in a thread, which ends soon where this is cancelled: when it next tells how far it is."""
    stoppable = _Stoppable(progress)
    try:
        return await asyncio.to_thread(work, stoppable)
    except asyncio.CancelledError:
        stoppable.stop()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights(FixedResource):
    """
    The files of one source, whole and checked. Live is a `Manifest`.

    The store tells what it fetched from what was there. Weights that differ from their manifest are not live at all.
    """

    reports_own_progress: ClassVar[bool] = True
    kind = "weights"

    name: str
    source: str
    format: Format
    store: WeightsStore
    expected_size: int | None = None
    """Bytes that the catalog tells, until the source has been asked."""

    @property
    def id(self) -> str:
        return f"weights/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    async def read(self) -> Manifest | None:
        return self.store.manifest(self.source, self.format)

    def unchanged_after_update(self, live: Manifest) -> Manifest:
        return live

    def summary(self, outputs: Outputs) -> str:
        pin = self.store.pinned(self.source, self.format)
        size = pin.size if pin else self.expected_size
        revision = f" at {pin.revision[:12]}" if pin else ""
        return f"{self.source}{revision}" + (f", {size / 1e6:,.0f} MB" if size else "")

    def needs_disk(self) -> tuple[int, Path]:
        """Return the bytes of disk that fetching would still take, and the folder; 0 where that is not known."""
        return self.store.needs(self.source, self.format, self.expected_size)

    async def create(self, outputs: Outputs, progress: Progress) -> Manifest:
        return await fetching(lambda stage: self.store.ensure(self.source, self.format, stage), progress)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        removed = await asyncio.to_thread(self.store.remove, self.source, self.format)
        return (f"weights {self.source}",) if removed else ()
