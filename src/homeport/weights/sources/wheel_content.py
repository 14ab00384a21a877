"""What a wheel holds, read without fetching all of it where its server allows."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

from homeport import names
from homeport.errors import WeightsError
from homeport.weights.checksum import BLOCK
from homeport.weights.download import Unexpected, retry
from homeport.weights.sources.pip import Wheel

if TYPE_CHECKING:
    from httpx2 import Client, Response

_TAIL = 1 << 17
"""Bytes asked for first. A wheel's directory and RECORD stand at its end and take a few kilobytes."""
CLOSED = frozenset({401, 403})
"""Answers of an index that wants credentials. pip has them and does not tell them."""
_PIECE = re.compile(r"(?P<name>.+\.gguf)(?:\.part(?P<number>[0-9]{1,6}))?", re.DOTALL)
_AT_ONCE = 4 << 20
"""Bytes: the directory of 30,000 files of a wheel, and ten times what any wheel with weights has."""
_ENCRYPTED = 1
_RATIO = 100
_SMALL = 1 << 20
"""Bytes. Deflate packs zeros a thousandfold, real weights by a few percent, and a small file does no harm."""
_ANOTHER = "choose another source, or tell its publisher"


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
class WheelContent:
    """What matters of one wheel."""

    size: int
    """Bytes of the wheel itself."""
    pieces: tuple[Piece, ...]


def local_path(wheel: Wheel) -> Path | None:
    """Return where the wheel is, where it is on this machine already."""
    from urllib.request import url2pathname  # Late: `up` asks for names, and seldom for a wheel.

    parts = urlsplit(wheel.url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


def peek(http: Client, wheel: Wheel) -> WheelContent | None:
    """
    Return what the wheel holds; None where its server does not serve parts of files, or none to homeport.

    Raises `NetworkError` and `WeightsError`.
    """
    path = local_path(wheel)
    if path is not None:
        return content(path, wheel)
    ranged = _Ranged(http, wheel)
    if not ranged.supported:
        return None
    return _content(cast("IO[bytes]", ranged), ranged.size, wheel)


def content(path: Path, wheel: Wheel) -> WheelContent:
    """Return what the wheel at `path` holds. Raises `WeightsError`."""
    with _reading(wheel.text), path.open("rb") as file:
        return _content(file, path.stat().st_size, wheel)


def unpack(path: Path, piece: Piece, take: Callable[[bytes], object]) -> None:
    """
    Give the bytes of `piece` to `take`, block by block, and no more than it was said to have.

    Raises `WeightsError` where the wheel is damaged: also where the bytes are not those of its RECORD.
    """
    hashed, size = hashlib.sha256(), 0
    with (
        _reading(str(path)),
        path.open("rb") as file,
        zipfile.ZipFile(_Bounded(file)) as archive,
        archive.open(piece.member) as member,
    ):
        while block := member.read(BLOCK):
            size += len(block)
            hashed.update(block)
            take(block)
    if size != piece.size or piece.sha256 not in {None, hashed.hexdigest()}:
        raise WeightsError(
            f"{names.shown(piece.member)} in {path.name} has {size:,} bytes with the sha256 {hashed.hexdigest()}; its "
            f"wheel says {piece.size:,} bytes with the sha256 {piece.sha256 or 'of any'}",
            hint=_ANOTHER,
        )


@contextlib.contextmanager
def _reading(name: str) -> Iterator[None]:
    """
    Turn what zipfile raises for a wheel that a stranger made into a `WeightsError`.

    It raises whatever its parts raise: `RuntimeError` for encryption, `NotImplementedError` for a compression that it
    does not know, `LookupError`, `struct.error`, what the decompressors raise.
    """
    try:
        yield
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, csv.Error, EOFError, OSError),
        *(NotImplementedError, RuntimeError, ValueError, LookupError, OverflowError),
    ) as error:
        raise WeightsError(f"{name} is no wheel that can be read: {error}", hint=_ANOTHER) from error


def _content(file: IO[bytes], size: int, wheel: Wheel) -> WheelContent:
    with _reading(wheel.text), zipfile.ZipFile(_Bounded(file)) as archive:
        members = archive.infolist()
        if len({info.filename for info in members}) != len(members):
            raise WeightsError(f"{wheel.text} holds a file twice under one name", hint=_ANOTHER)
        matches = [(info, match) for info in members if (match := _PIECE.fullmatch(info.filename))]
        sums = _record(archive, wheel) if matches else {}
        pieces = tuple(_piece(info, match, sums, wheel) for info, match in matches)
    return WheelContent(size=size, pieces=pieces)


def _piece(info: zipfile.ZipInfo, match: re.Match[str], sums: dict[str, str], wheel: Wheel) -> Piece:
    gguf = names.judge(match["name"].rpartition("/")[2], where=wheel.text)
    trouble = ""
    if info.flag_bits & _ENCRYPTED:
        trouble = "encrypted"
    elif stat.S_ISLNK(info.external_attr >> 16):
        trouble = "a link"
    elif info.file_size > _RATIO * max(info.compress_size, _SMALL):
        trouble = f"{info.file_size:,} bytes packed into {info.compress_size:,}, as no weights are"
    if trouble:
        raise WeightsError(f"{wheel.text} holds {gguf}, which is {trouble}", hint=_ANOTHER)
    number = int(match["number"]) if match["number"] else None
    return Piece(
        member=info.filename, gguf=gguf, number=number, size=info.file_size, sha256=sums.get(info.filename)
    )


def _record(archive: zipfile.ZipFile, wheel: Wheel) -> dict[str, str]:
    """Return the sha256 of every file, as RECORD states it; that of a file without one is not in it."""
    records = [info for info in archive.infolist() if info.filename.endswith(".dist-info/RECORD")]
    if not records:
        return {}
    if records[0].file_size > _AT_ONCE:
        raise WeightsError(f"{wheel.text} has a RECORD of {records[0].file_size:,} bytes", hint=_ANOTHER)
    sums = {}
    for row in csv.reader(archive.read(records[0]).decode().splitlines()):
        if len(row) != 3 or not row[1].startswith("sha256="):
            continue
        value = row[1].removeprefix("sha256=")
        sums[row[0]] = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).hex()
        if len(sums[row[0]]) != 64:
            raise WeightsError(f"{wheel.text} has a RECORD with a sha256 that is none: {names.shown(value)}", hint=_ANOTHER)  # fmt: skip
    return sums


class _Bounded(io.RawIOBase):
    """
    A wheel of which little is read at once.

    zipfile reads the whole directory in one piece, as long as the file says that it is, and makes an object of every
    46 bytes: a stranger's may want all memory and minutes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _AT_ONCE:
            here = self._file.tell()
            remaining = self._file.seek(0, io.SEEK_END) - here
            self._file.seek(here)
            if min(size, remaining) > _AT_ONCE or (size < 0 and remaining > _AT_ONCE):
                raise zipfile.BadZipFile(f"its directory has more than {_AT_ONCE:,} bytes")
        return self._file.read(size)


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
            span = f"bytes={self._position}-{end - 1}"
            retry(lambda: self._load(span), what=self._wheel.text)
        block = self._bytes[self._position - self._start : end - self._start]
        self._position += len(block)
        return block

    def _load(self, span: str) -> None:
        with self._http.stream(
            "GET", self._wheel.url, headers={"Range": span, "Accept-Encoding": "identity"}
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
            self._bytes = self._bounded(response)

    def _bounded(self, response: Response) -> bytes:
        """Return what the server sends, which must not be far more than was asked for."""
        content = bytearray()
        for block in response.iter_bytes():
            content += block
            if len(content) > _AT_ONCE:
                raise WeightsError(
                    f"{self._wheel.text}: the server sends more than it was asked for", hint=_ANOTHER
                )
        return bytes(content)
