"""The weights on this machine: fetched once, kept whole, shared by all endpoints."""

from __future__ import annotations

from pathlib import Path

from homeport.progress import Progress, Silent
from homeport.weights.manifest import Damage, Format, Manifest, Pin


class Store:
    """
    All weights under one root. Its methods block: call them in a thread. Any number of processes may use
    the same root at once, and any of them may be killed at any moment.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def pinned(self, source: str, format: Format) -> Pin | None:
        """What an earlier run pinned `source` to, without asking anyone; None where none has."""
        raise NotImplementedError

    def manifest(self, source: str, format: Format) -> Manifest | None:
        """
        The weights, where they are here and no file has changed since it was last hashed; else None.

        Costs a few `stat` calls: it compares sizes and modification times.
        """
        raise NotImplementedError

    def ensure(self, source: str, format: Format, progress: Progress) -> Manifest:
        """
        The weights, fetched or mended as need be; only what is missing or broken is fetched.

        Raises `SpecError`, `NetworkError`, `GatedModel`, `UnknownModel`, `WeightsError`, `EngineMissing`,
        `DiskFull`, `StateError`.
        """
        raise NotImplementedError

    def check(self, source: str, format: Format, progress: Progress | None = None) -> list[Damage]:
        """
        Every file read and compared with its checksum. What is damaged is forgotten, so that `ensure` mends it.

        Raises `WeightsError` where the weights were never here.
        """
        raise NotImplementedError

    def repin(self, source: str, format: Format) -> Pin:
        """What `source` means today; the next `ensure` brings that. Raises what `Source.pin` raises."""
        raise NotImplementedError

    def remove(self, source: str, format: Format) -> bool:
        """
        Remove the weights that homeport fetched, with all partial downloads; whether there were any.

        What the user or another tool put there stays.
        """
        raise NotImplementedError

    def all(self) -> list[Manifest]:
        """Every manifest, whether or not its files are still whole."""
        raise NotImplementedError


__all__ = ["Silent", "Store"]
