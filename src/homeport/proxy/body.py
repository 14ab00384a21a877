"""The body of a request, on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

from homeport.catalog.cloudrun import limits
from homeport.relay.messages import Receive


class Body:
    """
    Pieces that go on as they come, and are kept, so that they can be sent again from the first.

    `read` must run for pieces to come.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole = False
        self._more = asyncio.Event()
        self.too_large = False
        """More came than Cloud Run takes in one request."""
        self.answered = False
        """The answer to it has begun."""

    async def read(self) -> None:
        """Take what comes; returns when the client is gone, or when it is too much."""
        while not self.too_large and await self.read_piece():
            pass

    async def read_piece(self) -> bool:
        """Take one piece; False when the client is gone instead."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            return False
        piece = message.get("body", b"")
        self._size += len(piece)
        self.too_large = self._size > limits().request_bytes
        if piece:
            self._pieces.append(piece)
        self._whole = not message.get("more_body")
        self._more.set()
        return True

    def to_send(self) -> AsyncIterable[bytes] | bytes:
        """Return it as bytes, where it came in one piece or there is none, which costs less to send than what is still on its way."""
        return b"".join(self._pieces) if self._whole and len(self._pieces) < 2 else self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = 0
        while True:
            while sent < len(self._pieces):
                yield self._pieces[sent]
                sent += 1
            if self._whole:
                return
            self._more.clear()
            await self._more.wait()
