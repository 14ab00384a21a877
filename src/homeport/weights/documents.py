"""What the store remembers on disk: JSON documents, written in one step."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from homeport import names
from homeport.errors import WeightsError
from homeport.home import private_folder, writing
from homeport.weights.manifest import Format, Manifest, Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class PinDocument:
    """What a source was pinned to."""

    format: Format
    pin: Pin
    ours: tuple[str, ...]
    """The files that were not there before, and so are homeport's to remove."""

    def __post_init__(self) -> None:
        """Refuse names that lead elsewhere: what is in `ours` is removed one day."""
        for path in self.ours:
            names.judge(path, where="a record of weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSignature:
    """What a file's `stat` said just before it was hashed."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestDocument:
    """A manifest, and by which signs its files are known to be unchanged."""

    format: Format
    manifest: Manifest
    seen: dict[str, FileSignature]
    """By path. A file that is not in it is not known to be whole."""


_T = TypeVar("_T", PinDocument, ManifestDocument)


def name_of(source: str, format: Format) -> str:
    """Return the file name for a source: readable, and different for different sources."""
    readable = re.sub(r"[^A-Za-z0-9._=@-]+", "-", source)[-80:].strip("-.")
    return f"{readable}-{format}-{hashlib.sha256(source.encode()).hexdigest()[:8]}.json"


def read(path: Path, kind: type[_T]) -> _T | None:
    """Return the document at `path`; None where there is none, or one that cannot be used: it is made again then."""
    try:
        document: _T = _adapters()[kind].validate_json(path.read_bytes())
    except (OSError, ValueError, WeightsError):
        return None
    return document


def write(path: Path, document: PinDocument | ManifestDocument) -> None:
    """Write the document whole or not at all. Raises `StateError` or `DiskFull`."""
    with writing(path):
        private_folder(path.parent)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            os.fchmod(handle, 0o600)  # A umask may have taken more than that.
            with os.fdopen(handle, "wb") as file:
                file.write(_adapters()[type(document)].dump_json(document, indent=1))
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(draft).unlink()


def file_signature(path: Path) -> FileSignature | None:
    """Return the signs of the file at `path` now; None where it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return FileSignature(size=stat.st_size, mtime_ns=stat.st_mtime_ns)


@cache
def _adapters() -> dict[type, Any]:  # Any: pydantic's TypeAdapter of each
    from pydantic import TypeAdapter

    return {kind: TypeAdapter(kind) for kind in (PinDocument, ManifestDocument)}
