"""Objects of Cloud Storage, as bytes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl, quote, urlsplit

from homeport.errors import Conflict, GoogleError, HomeportError, NotFound, WeightsError
from homeport.google.call import ApiCall, ApiClient
from homeport.json_types import Json

_PER_SECOND = 256 * 1024
"""The slowest line that an upload is given time for."""
PIECE = 32 * 256 * 1024
"""Pieces of an upload must be multiples of 256 KiB, except for the last."""
_SESSIONS = 3
_MORE = 308


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """Options for creating an object: content type and generation precondition."""

    content_type: str = "application/octet-stream"
    if_generation_match: int | None = None
    """The generation that it must have to be replaced; 0 for one that must not exist."""


async def upload(google: ApiClient, bucket: str, name: str, data: bytes, sort: UploadOptions) -> Json:
    """
    Return the object made of `data`, sent in one piece: meant for what fits in memory.

    It is sent again after a lost answer: the same bytes twice are the same object. Raises `Conflict` where the
    object is of another generation than `sort` asks for, unless it holds these very bytes.
    """
    call = ApiCall(
        verb="POST",
        api="storage",
        path=f"upload/storage/v1/b/{bucket}/o",
        query={"uploadType": "media", "name": name, "ifGenerationMatch": sort.if_generation_match},
        content=data,
        content_type=sort.content_type,
        waits=len(data) / _PER_SECOND,
    )
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    try:
        stored = (await google.send(call)).json()
    except Conflict:
        stored = await google.get("storage", f"storage/v1/b/{bucket}/o/{quote(name, safe='')}")
        if stored.get("md5Hash") != md5:
            raise
    if stored.get("md5Hash", md5) != md5:
        raise GoogleError(
            f"gs://{bucket}/{name} arrived damaged: its MD5 is {stored['md5Hash']}, not {md5}",
            request=f"POST storage.googleapis.com/{call.path}",
            hint="run the same command again",
        )
    return stored


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine that is to be an object."""

    bucket: str
    name: str
    path: Path
    sha256: str | None
    """What it must be; None for whatever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An object that was made of a file."""

    size: int
    sha256: str
    crc32c: str
    """As Google writes it: base64, most significant byte first."""


async def upload_file(google: ApiClient, file: LocalFile, tell: Callable[[int], None]) -> Sent:
    """
    Return the object made of a file of any size, sent piece by piece; a broken connection costs no more than
    a piece.

    `tell` is given the bytes that have arrived since it was last called; less than 0 where an upload starts over.
    The last piece is only sent once the sha256 of the whole is the right one: raises `WeightsError` where it is
    another or the file cannot be read.
    """
    for number in range(_SESSIONS):
        sent = 0

        def count(more: int) -> None:
            nonlocal sent
            sent += more
            tell(more)

        try:
            return await _session(google, file, count)
        except NotFound:
            # Google forgets a session now and then, and the bytes with it. A bucket that is missing is NotFound, too.
            if number == _SESSIONS - 1 or not sent:
                raise
            tell(-sent)
    raise AssertionError("the last session returns or raises")


async def _session(google: ApiClient, file: LocalFile, tell: Callable[[int], None]) -> Sent:
    about = {"metadata": {"sha256": file.sha256}} if file.sha256 else {}
    begun = await google.send(
        ApiCall(
            verb="POST",
            api="storage",
            path=f"upload/storage/v1/b/{file.bucket}/o",
            query={"uploadType": "resumable", "name": file.name},
            body=about,
        )
    )
    where = urlsplit(begun.headers["location"])
    hashed, at = hashlib.sha256(), 0
    with _opened(file.path) as opened:
        piece = await _piece(opened, file.path)
        while True:
            after = await _piece(opened, file.path)
            hashed.update(piece)
            end = at + len(piece)
            if not after and file.sha256 not in {None, hashed.hexdigest()}:
                raise WeightsError(
                    f"{file.path} has the sha256 {hashed.hexdigest()}, should have {file.sha256}",
                    hint="it has changed since it was looked at: run the same command again",
                )
            stored = await _send(google, where.path, where.query, piece, at, "*" if after else end)
            tell(len(piece))
            if not after:
                return Sent(size=end, sha256=hashed.hexdigest(), crc32c=stored["crc32c"])
            piece, at = after, end


async def _send(google: ApiClient, path: str, query: str, piece: bytes, at: int, total: int | str) -> Json:
    """Return the object after its last piece. The same piece sent twice is one piece: what is there is not taken again."""
    have, end = at, at + len(piece)
    while True:
        rest = piece[have - at :]
        call = ApiCall(
            verb="PUT",
            api="storage",
            path=path.lstrip("/"),
            query=dict(parse_qsl(query)),
            content=rest,
            content_range=f"bytes {have}-{end - 1}/{total}" if rest else f"bytes */{total}",
            accepts=(_MORE,),
            waits=len(rest) / _PER_SECOND,
        )
        answer = await google.send(call)
        if answer.status_code != _MORE:
            return answer.json()
        reached = int(answer.headers.get("range", "").rpartition("-")[2] or -1) + 1
        if reached == end and total == "*":
            return None
        if reached <= have:
            raise GoogleError(
                f"Cloud Storage takes no more than {reached} bytes of {path}",
                request=call.text,
                hint="run the same command again",
            )
        have = reached


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


async def _piece(opened: BinaryIO, path: Path) -> bytes:
    try:
        return await asyncio.to_thread(opened.read, PIECE)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> HomeportError:
    return WeightsError(f"{path} cannot be read: {error.strerror}", hint="check the disk and its permissions")
