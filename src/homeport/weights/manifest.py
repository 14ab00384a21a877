"""What weights are made of: pinned files before they are fetched, a manifest when they are here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from homeport import names
from homeport.json_types import JsonObject

Format = Literal["gguf", "safetensors"]
"""Which kind of weights an engine loads: one GGUF file, or a folder of safetensors with its configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """One file of a pinned source."""

    path: str
    """Relative to the weights' folder, with forward slashes."""
    size: int
    """Bytes; 0 where the source does not tell before the file has arrived."""
    sha256: str | None
    """Known before the download where the source publishes it; else None until the file has arrived."""
    generation: int | None = None
    """Of an object in a bucket: another content has another one."""
    crc32c: str | None = None
    """Of an object in a bucket, as Google writes it: base64, most significant byte first."""
    md5: str | None = None
    """Of an object in a bucket, as Google writes it; None for one that was uploaded in parts and joined there."""

    def __post_init__(self) -> None:
        """Refuse a path that leads out of its folder, wherever it comes from: a source, a record on disk, a test."""
        names.judge(self.path, where="a pinned source")

    @property
    def checksum(self) -> str | None:
        """Return what stands for the file's bytes: the sha256, or what a bucket tells, with its kind before it."""
        checksums = (("md5", self.md5), ("crc32c", self.crc32c))
        return self.sha256 or next((f"{kind}:{value}" for kind, value in checksums if value), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a source meant when it was asked, and means from then on."""

    source: str
    """As the user wrote it, such as `hf:google/gemma-3-270m-it`."""
    revision: str
    """A commit, a package version, or for a local file the sha256 of its bytes ('' until they were read)."""
    files: tuple[PinnedFile, ...]

    def __post_init__(self) -> None:
        """Refuse a revision that is no name of a folder, and files that would be written over each other."""
        if self.revision:
            names.component(self.revision, where=f"the revision of {names.shown(self.source)}")
        names.distinct((file.path for file in self.files), where=names.shown(self.source))

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Weights that are on this machine, whole."""

    pin: Pin
    """With the size and sha256 of every file."""
    folder: Path
    """Where the files are."""

    @property
    def digest(self) -> str:
        """Return one sha256 over the paths and checksums of all files: the identity of these weights.

        It is what `sha256sum` prints for the files in the order of their paths, hashed; for those of a bucket with
        what the bucket tells in place of the sha256.
        """
        return digest(self.pin.files)

    @property
    def gguf(self) -> Path | None:
        """Return the GGUF file (the first part of a split one), or None where the weights are a folder of safetensors."""
        names = sorted(file.path for file in self.pin.files if file.path.endswith(".gguf"))
        return self.folder / names[0] if names else None

    def to_json(self) -> str:
        """Return the manifest as a JSON document, which `from_json` reads."""
        from pydantic import RootModel

        return RootModel[Manifest](self).model_dump_json(indent=1)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Return the manifest that `to_json` wrote. Raises `ValueError` where the text is not one, or `WeightsError`."""
        from pydantic import RootModel

        return RootModel[Manifest].model_validate_json(text).root


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One file that is not what its manifest says."""

    path: Path
    what: str
    """Such as "is missing" or "has the sha256 1f…, should have a3…"."""

    def __str__(self) -> str:
        return f"{self.path} {self.what}"

    def as_json(self) -> JsonObject:
        """Return the damage as `--json` prints it."""
        return {"path": str(self.path), "what": self.what}


def digest(files: tuple[PinnedFile, ...]) -> str:
    """Return one sha256 over paths and checksums; every file must have its own."""
    lines = sorted((file.path, file.checksum) for file in files)
    return hashlib.sha256("".join(f"{checksum}  {path}\n" for path, checksum in lines).encode()).hexdigest()
