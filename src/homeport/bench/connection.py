"""
HTTP/1.1 connections that cost a load generator little: one request at a time, each piece stamped as it arrives.

The parser is Node's, in C (httptools). A client that builds objects for every piece of every answer spends more on one
core than a fast engine does on its GPU, and then it is the client that is measured. `relay/direct.py` is another such client: it
holds back what nobody reads yet, and keeps heads, where here each piece is handed on in the moment that it is parsed.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import httpx2

from homeport.endpoint import Endpoint
from homeport.extras import missing
from homeport.relay.limits import CONNECT_S

_READ_BYTES = 16 * 1024


class Receiver(Protocol):
    """Takes an answer while it arrives. Times are `time.monotonic()`."""

    def head(self, status: int, at: float) -> None:
        """Take the status."""

    def piece(self, data: bytes, at: float) -> None:
        """Take a piece of the body."""

    def ended(self, at: float) -> None:
        """Note that the answer is whole."""

    def broken(self, why: str, at: float) -> None:
        """Note that the connection ended before the answer did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where requests go, and what they say first."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str
    head: bytes
    """Of every request, up to the credentials."""

    @classmethod
    def of(cls, endpoint: Endpoint, path: str) -> Destination:
        """Return where `path` of the endpoint is: at `via`, where it has one, under its own name."""
        own, reached = httpx2.URL(endpoint.root_url), httpx2.URL(endpoint.via or endpoint.root_url)
        secure = reached.scheme == "https"
        lines = (
            f"POST {own.raw_path.decode('ascii').rstrip('/')}{path} HTTP/1.1",
            f"Host: {own.netloc.decode('ascii')}",
            "Content-Type: application/json",
            "Accept: text/event-stream",
            "User-Agent: homeport-bench",
        )
        return cls(
            host=reached.raw_host.decode("ascii"),
            port=reached.port or (443 if secure else 80),
            tls=ssl.create_default_context() if secure else None,
            server_name=own.raw_host.decode("ascii"),
            head="\r\n".join(lines).encode() + b"\r\n",
        )

    def request(self, token: str, body: bytes) -> bytes:
        """Return a whole request; without a `token` it has no credentials."""
        credentials = f"Authorization: Bearer {token}\r\n".encode() if token else b""
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self.head, credentials, len(body), body)


class Connections:
    """Connections to one place, used again while they are open. There are as many as there are requests at once."""

    def __init__(self, destination: Destination) -> None:
        try:
            import httptools  # noqa: F401 - told here once, instead of at the first request
        except ImportError as error:
            raise missing("measuring needs httptools", "bench") from error
        self.destination = destination
        self.reconnected = 0
        """Requests that went out again, on a new connection, since the server had closed theirs before a word of answer."""
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, request: bytes, receiver: Receiver) -> None:
        """Send a request now; `receiver` is told the rest. Raises `OSError` where nobody takes the connection."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                connection.begin(request, receiver, self._again)
                return
        await self._fresh(request, receiver)

    async def _fresh(self, request: bytes, receiver: Receiver) -> None:
        to = self.destination
        async with asyncio.timeout(CONNECT_S):  # Its error is an OSError.
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._free, self._open.discard),
                to.host,
                to.port,
                ssl=to.tls,
                server_hostname=to.server_name if to.tls else None,
            )
        self._open.add(connection)
        connection.begin(request, receiver, None)

    def _free(self, connection: _Connection) -> None:
        self._idle.append(connection)

    def _again(self, request: bytes, receiver: Receiver) -> None:
        """Send what met a connection that its server was just closing, as RFC 9110 9.2.2 lets a client do that knows."""
        self.reconnected += 1

        async def once_more() -> None:
            try:
                await self._fresh(request, receiver)
            except OSError as error:
                receiver.broken(f"no connection: {error.strerror or error}", time.monotonic())

        task = asyncio.get_running_loop().create_task(once_more())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cut(self, receiver: Receiver) -> None:
        """Close the connection whose answer `receiver` takes, without a word to it."""
        for connection in [opened for opened in self._open if opened.receiver is receiver]:
            connection.receiver = None
            connection.close()

    async def close(self) -> None:
        """Close all of them."""
        for task in self._tasks:
            task.cancel()
        for connection in [*self._open]:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # A transport closes its socket in the loop's next round.


class _Connection(asyncio.BufferedProtocol):
    """One connection. It parses what arrives, and hands on the pieces with the time at which they were read."""

    def __init__(self, free: Callable[[_Connection], None], gone: Callable[[_Connection], object]) -> None:
        self.receiver: Receiver | None = None
        self._free, self._gone = free, gone
        self._again: Callable[[bytes, Receiver], None] | None = None
        self._request = b""
        self._at = 0.0
        self._answered = False
        # Otherwise asyncio makes room for 256 KiB before each piece, whose memory the system takes and gives back each time.
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._transport: asyncio.WriteTransport | None = None

    @property
    def usable(self) -> bool:
        """Tell whether it is open."""
        return self._transport is not None and not self._transport.is_closing()

    def begin(
        self, request: bytes, receiver: Receiver, again: Callable[[bytes, Receiver], None] | None
    ) -> None:
        """Send a request; `again` takes it where the connection, used before, turns out to be closed."""
        import httptools

        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self.receiver, self._request, self._again, self._answered = receiver, request, again, False
        self._transport.write(request)

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def get_buffer(self, _: int) -> memoryview:
        """Return where what arrives is written, over what was parsed before."""
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        """Parse what arrived."""
        import httptools

        self._at = time.monotonic()
        self._answered = True
        try:
            self._parser.feed_data(self._buffer[:size])
        except httptools.HttpParserError as error:
            self._break(f"no HTTP: {error}")
            self.close()
        except AttributeError:  # An answer that nobody asked for.
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the receiver, if its answer is not whole; send the request again where no word of it came."""
        self._gone(self)
        self._at = time.monotonic()
        receiver = self.receiver
        if receiver is not None and not self._answered and self._again is not None:
            self.receiver = None
            self._again(self._request, receiver)
            return
        self._break("the connection ended in the middle" if self._answered else "the connection ended")

    def on_headers_complete(self) -> None:
        """Hand on the status."""
        if self.receiver is not None:
            self.receiver.head(self._parser.get_status_code(), self._at)

    def on_body(self, body: bytes) -> None:
        """Hand on a piece."""
        if self.receiver is not None:
            self.receiver.piece(body, self._at)

    def on_message_complete(self) -> None:
        """Hand on the end; the connection is free for another request, if the server keeps it."""
        receiver, self.receiver = self.receiver, None
        if not self._parser.should_keep_alive():
            self.close()
        else:
            self._free(self)
        if receiver is not None:
            receiver.ended(self._at)

    def _break(self, why: str) -> None:
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.broken(why, self._at)
