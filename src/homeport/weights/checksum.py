"""SHA-256 of files that may be larger than memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from homeport.errors import WeightsError

BLOCK = 1 << 20
"""Bytes read at once: large enough for the disk, small enough for a bar and for an interrupt."""


def sha256_of(path: Path, tell: Callable[[int], None]) -> str:
    """Return the sha256 of the file's bytes; `tell` is given the count of each block. Raises `WeightsError`."""
    hashed = hashlib.sha256()

    def take(block: bytes) -> None:
        hashed.update(block)
        tell(len(block))

    feed(path, take)
    return hashed.hexdigest()


def git_blob_of(path: Path, size: int) -> str:
    """Return the checksum that git names a file of `size` bytes by. Raises `WeightsError`."""
    hashed = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    feed(path, hashed.update)
    return hashed.hexdigest()


def feed(path: Path, take: Callable[[bytes], None]) -> None:
    """Give every block of the file to `take`. Raises `WeightsError` where it cannot be read."""
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        while True:
            try:
                block = file.read(BLOCK)
            except OSError as error:
                raise _unreadable(path, error) from error
            if not block:
                return
            take(block)


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(
        f"{path} cannot be read: {error.strerror}", hint="check the disk and the file's permissions"
    )
