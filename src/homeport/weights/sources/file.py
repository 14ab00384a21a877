"""`file:` weights: the user's own, used where they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from homeport import names
from homeport.errors import SpecError, WeightsError
from homeport.own_path import expanded
from homeport.progress import Progress
from homeport.weights import checkpoint, other_content, settings_files
from homeport.weights.checkpoint import ensure_leads_somewhere, is_dangling
from homeport.weights.manifest import Format, Pin, PinnedFile
from homeport.weights.selection import IN_ITS_PLACE, choose, is_part
from homeport.weights.sources.base import SourceKind

_MOST_POINTER = 1024
"""Bytes: Git LFS takes no larger file for one of its pointers."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A GGUF file, or a folder with a GGUF or safetensors in it."""

    path: Path
    """Absolute."""
    ours: ClassVar[bool] = False

    @property
    def text(self) -> str:
        return f"file:{self.path}"

    @property
    def lock(self) -> str:
        # As a name of a file, which has at most 255 bytes, and a letter up to four.
        return f"file-{self.path.name[-50:]}-{hashlib.sha256(bytes(self.path)).hexdigest()[:8]}"

    def pin(self, wanted: Format) -> Pin:
        """Return the files with their sizes; their checksums come when they are read."""
        try:
            folder, chosen = self._files(wanted)
            for name in chosen:
                ensure_leads_somewhere(folder / name)
            needed = checkpoint.whole(
                chosen, wanted, lambda name: (folder / name).read_bytes(), where=str(self.path)
            )
            files = tuple(self._pinned(folder, name) for name in needed)
        except OSError as error:
            raise WeightsError(
                f"{self.path} cannot be read: {error.strerror}",
                hint="name a file or folder that is there and that you may read",
            ) from error
        return Pin(source=self.text, revision="", files=files)

    def folder(self, root: Path, pin: Pin) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    def needs(self, pin: Pin, folder: Path) -> int:
        return 0

    def fetch(self, pin: Pin, folder: Path, progress: Progress) -> Mapping[str, str]:
        """Fetch nothing. Raises `WeightsError` where a file is missing."""
        missing = [file.path for file in pin.files if not (folder / file.path).is_file()]
        if missing:
            raise WeightsError(
                f"there is no {folder / missing[0]}", hint=f"put it there, or change {self.text}"
            )
        return {}

    def discard(self, path: Path, *, keep_shared: bool = False) -> None:
        raise WeightsError(
            f"{path} is not what it was", hint="put the original back; homeport did not fetch it"
        )

    def sweep(self, folder: Path) -> None: ...

    def _pinned(self, folder: Path, name: str) -> PinnedFile:
        """Pin one file. A link may stay in the folder, or lead to the blobs of a hub's cache that the folder is part of."""
        path = folder / names.judge(name, where=str(folder))
        if path != self.path:  # The file that the user named is meant, wherever it leads.
            real = folder.resolve()
            cache = [real.parent.parent / "blobs"] if real.parent.name == "snapshots" else []
            names.inside(path, (real, *cache), where=str(folder))
        size = path.stat().st_size
        _ensure_content(path, size)
        return PinnedFile(path=name, size=size, sha256=None)

    def _files(self, wanted: Format) -> tuple[Path, list[str]]:
        if self.path.is_dir():
            paths = [
                path.relative_to(self.path).as_posix()
                for path in self.path.rglob("*")
                if path.is_file() or is_dangling(path)
            ]
            return self.path, choose(paths, wanted, where=str(self.path), one=IN_ITS_PLACE)
        ensure_leads_somewhere(self.path)
        if not self.path.exists():
            raise WeightsError(
                f"there is no {self.path}", hint="sources that are relative start at homeport.toml"
            )
        if wanted == "safetensors":
            raise WeightsError(
                f"{self.path} is one file, and this engine loads a folder of safetensors",
                hint="name the folder, or choose an engine that loads a GGUF (engine.kind)",
            )
        folder, name = self.path.parent, self.path.name
        if self.path.suffix != ".gguf":
            raise WeightsError(f"{self.path} is not a GGUF file", hint="its name should end in .gguf")
        beside = [path.name for path in folder.glob("*.gguf*")] if is_part(name) else [name]
        return folder, choose(beside, wanted, file=name, where=str(folder))


def _ensure_content(path: Path, size: int) -> None:
    """Raise `WeightsError` for a file that only points to its content, and for a tokenizer or a configuration without any."""
    with path.open("rb") as file:
        begins = file.read(other_content.MOST_BYTES) if size < _MOST_POINTER else b""
    if other_content.told(begins) is other_content.POINTER:
        raise other_content.POINTER.refusal(str(path))
    read_by_servers = settings_files.is_read(path)
    if not size and (read_by_servers or path.suffix == ".model"):
        raise WeightsError(f"{path} is empty", hint="fetch the model's files again")
    if read_by_servers:
        settings_files.ensure_whole(path, size)


def read(source: str, base: Path) -> FileSource:
    """Return the file or folder that `source` names, from `base` where it is relative. Raises `SpecError`."""
    path = source.removeprefix("file:")
    if not path:
        raise SpecError(f"{source!r} names no weights", hint=f"such as {EXAMPLE}")
    # Two slashes mean one here, and no host.
    full = expanded("/" + path.lstrip("/") if path.startswith("/") else path, base).absolute()
    if os.path.normpath(full) == full.anchor:
        raise SpecError(
            f"{source!r} is the root of the disk, and weights were expected",
            hint="name the folder that they lie in",
        )
    if full.name.startswith("-"):
        raise SpecError(
            f"the name of {full} begins with a dash, as an option of a program does", hint="rename the file"
        )
    return FileSource(path=full)


EXAMPLE = "file:./models/model.gguf"
KIND = SourceKind(scheme="file", grammar="file:PATH", example=EXAMPLE, read=read, here=True, cloud=None)
