"""An answer whose body may still be on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Protocol

import aiohttp
from multidict import CIMultiDict

from homeport.relay.headers import as_text

_MOST_AHEAD = 128 * 1024
"""Bytes of a body that are read before somebody wants them."""


class Source(Protocol):
    """Where an answer comes from."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Read no more."""


class DirectAnswer:
    """An answer, whose body may be on its way: what is used here of aiohttp's `ClientResponse`, and of its `content`."""

    def __init__(self, connection: Source) -> None:
        self._connection: Source | None = connection
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: aiohttp.ClientError | None = None
        self._more: asyncio.Future[None] | None = None

    @property
    def ok(self) -> bool:
        """Tell whether it is none of refusal or failure."""
        return self.status < 400

    @cached_property
    def headers(self) -> CIMultiDict[str]:
        """Return the headers by any spelling of their names."""
        return CIMultiDict((name.decode("latin-1"), as_text(value)) for name, value in self.raw_headers)

    @property
    def content(self) -> DirectAnswer:
        """Return the body, to be read piece by piece."""
        return self

    def at_eof(self) -> bool:
        """Tell whether all of the body was read."""
        return self._ended and not self._pieces

    async def readany(self) -> bytes:
        """Return what is there, once something is; b'' at the end. Raises `aiohttp.ClientError` where the rest does not come."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._more = asyncio.get_running_loop().create_future()
            try:
                await self._more
            finally:
                self._more = None
        pieces = self._pieces
        self._pieces, self._size = [], 0
        if self._connection is not None:
            self._connection.resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        while piece := await self.readany():
            yield piece

    async def read(self) -> bytes:
        """Return all of the body."""
        return b"".join([piece async for piece in self.iter_any()])

    def close(self) -> None:
        """Read no more of it: where it has not ended its connection is closed."""
        if self._connection is not None:
            self._connection.abort()

    def feed(self, piece: bytes) -> bool:
        """Take a piece of the body; return whether there is room for more."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()
        return self._size <= _MOST_AHEAD

    def end(self, error: aiohttp.ClientError | None = None) -> None:
        """Take it that no more comes, for this reason where that is none of its end."""
        self._connection, self._ended, self._error = None, error is None, error
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
