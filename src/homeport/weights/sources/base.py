"""What every source of weights can do, and what a kind of source says of itself. `registry.py` knows the kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from homeport.progress import Progress
from homeport.weights.manifest import Format, Pin


class NamedSource(Protocol):
    """Weights as the user named them."""

    @property
    def text(self) -> str:
        """Return the source in its canonical words, from which `registry.read` makes the same source again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """One kind of source: each module of them has its own as `KIND`."""

    scheme: str
    """What stands before the colon, such as `hf`."""
    grammar: str
    """Such as `hf:ORG/NAME[@REVISION][:FILE]`."""
    example: str
    read: Callable[[str, Path], NamedSource]
    """Makes the source of the user's words; relative paths start from the folder. Raises `SpecError`."""
    here: bool
    """Whether this machine can fetch from it: what `read` makes is a `WeightsSource`."""
    cloud: Callable[[str, str], str] | None
    """
    What a build in the cloud is told to fetch, given the source's words and the revision; None where no build can reach
    it, and this machine uploads the files.
    """


class WeightsSource(Protocol):
    """Where weights come from. Its methods block; the store calls them with the weights' lock held."""

    ours: ClassVar[bool]
    """Whether the files are homeport's to fetch, mend and remove; the user's own files are not."""

    @property
    def text(self) -> str:
        """Return the source in its canonical words, from which `registry.parse` makes the same source again."""

    @property
    def lock(self) -> str:
        """Return the name of the lock file. Sources that may touch the same files have the same one."""

    def pin(self, wanted: Format) -> Pin:
        """
        Return what the source means now, for an engine that loads `wanted`. Reads only.

        Raises `NetworkError`, `GatedModel`, `UnknownModel`, `WeightsError`, `EngineMissing`.
        """

    def folder(self, root: Path, pin: Pin) -> Path:
        """Return where the files of `pin` belong, given the root of the store."""

    def needs(self, pin: Pin, folder: Path) -> int:
        """Return the bytes of disk that `fetch` would still take; partial downloads count as had."""

    def fetch(self, pin: Pin, folder: Path, progress: Progress) -> Mapping[str, str]:
        """
        Bring every file of `pin` that is not in `folder`; what an earlier try left is taken up again.

        Returns the sha256 of each file that it brought, by path. A file appears under its name only whole
        and checked against whatever the source publishes. Raises what `pin` raises, `DiskFull`, `StateError`.
        """

    def discard(self, path: Path, *, keep_shared: bool = False) -> None:
        """
        Remove one file, so that `fetch` brings it again. With `keep_shared` its bytes stay where something
        else uses them, too: for a file that is unwanted rather than damaged.
        """

    def sweep(self, folder: Path) -> None:
        """Remove what is left of downloads to `folder`, and the folder if nothing is in it."""
