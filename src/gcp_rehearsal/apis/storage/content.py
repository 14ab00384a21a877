"""The bytes of objects: files on this machine's disk, with the checksums that Cloud Storage gives."""

from __future__ import annotations

import base64
import hashlib
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gcp_rehearsal.errors import invalid

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_PIECE = 1 << 20
_POLYNOMIAL = 0x82F63B78


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one object holds."""

    path: Path
    size: int
    crc32c: str
    """As Google writes checksums: base64, most significant byte first."""
    md5: str
    """'' for what was composed of several objects."""

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes from `start` up to, without, `end`."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if end is None else end - start)

    def copied(self) -> Content:
        """Keep the same bytes under a file of their own; they are not written again."""
        twin = self.path.with_name(uuid.uuid4().hex)
        os.link(self.path, twin)
        return Content(path=twin, size=self.size, crc32c=self.crc32c, md5=self.md5)

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


class Writing:
    """Content that is still coming in."""

    def __init__(self, cloud: Cloud) -> None:
        folder = cloud.folder / "objects"
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / uuid.uuid4().hex
        self._path.touch()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = 0
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        with self._path.open("ab") as file:
            file.write(data)
        for start in range(0, len(data), _PIECE):
            piece = bytes(data[start : start + _PIECE])
            self._md5.update(piece)
            self._crc = extend(self._crc, piece)
        self.size += len(data)

    def done(self, claimed: Mapping[str, str], *, composed: bool = False) -> Content:
        """
        Return what has come in.

        Raises `ApiError` 400, and forgets the bytes, where a checksum that the caller claims (`md5Hash`, `crc32c`)
        is another.
        """
        md5 = base64.b64encode(self._md5.digest()).decode()
        crc = base64.b64encode(self._crc.to_bytes(4, "big")).decode()
        for field, title, calculated in (("md5Hash", "MD5 hash", md5), ("crc32c", "CRC32C", crc)):
            if claimed.get(field) and claimed[field] != calculated:
                self.discard()
                raise invalid(
                    f'Provided {title} "{claimed[field]}" doesn\'t match calculated {title} "{calculated}".'
                )
        return Content(path=self._path, size=self.size, crc32c=crc, md5="" if composed else md5)

    def discard(self) -> None:
        """Delete what was written: nobody wants it any more."""
        self._path.unlink(missing_ok=True)


def written(cloud: Cloud, data: bytes, claimed: Mapping[str, str]) -> Content:
    """Store these bytes and return them as content. Raises `ApiError` 400 where a checksum that the caller
    claims is another.
    """
    writing = Writing(cloud)
    writing.write(data)
    return writing.done(claimed)


def claims(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums that a caller claims in headers, by the names that an object's metadata have for them."""
    checksums: dict[str, str] = {}
    for part in headers.get("x-goog-hash", "").split(","):
        kind, _, value = part.strip().partition("=")
        if kind in {"md5", "crc32c"}:
            checksums["md5Hash" if kind == "md5" else kind] = value
    if headers.get("content-md5"):
        checksums["md5Hash"] = headers["content-md5"]
    return checksums


def extend(crc: int, data: bytes) -> int:
    """Return the CRC32C of what has the CRC32C `crc`, with `data` appended."""
    return _extender()(crc, data)


@cache
def _extender() -> Callable[[int, bytes], int]:
    try:
        fast: Callable[[int, bytes], int] = import_module("google_crc32c").extend
    except ImportError:
        return _slow
    return fast


def _slow(crc: int, data: bytes) -> int:
    table, crc = _table(), crc ^ 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    values = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        values.append(value)
    return tuple(values)
