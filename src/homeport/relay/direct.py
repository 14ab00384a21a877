"""
Requests straight to one origin, over connections that are kept, on the parser of llhttp.

It does what a proxy needs and no more: no redirect is followed, no cookie kept, nothing decoded. Where the environment names a
proxy between, the connections go through that (`forward_proxy.py`).
`bench/connection.py` is another such client: it stamps each piece and never holds one back, where here who reads sets the pace.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterable

import aiohttp
import httptools

from homeport.relay.answer_head import INTERIM, judge, no_answer
from homeport.relay.direct_answer import DirectAnswer
from homeport.relay.forward_proxy import ForwardProxy, tunnel
from homeport.relay.limits import FIELD_BYTES, FIELDS, HEAD_BYTES
from homeport.relay.messages import Headers

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods of RFC 9110 9.2.2 that may be asked twice, without TRACE, which nobody sends on."""
_ATTEMPT = re.compile(r"\[Errno (\d+)\] Connect call failed")


class DirectConnection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, pool: DirectPool) -> None:
        self._pool, self._loop = pool, pool.loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.Future[DirectAnswer] | None = None
        self._answer: DirectAnswer | None = None
        self._in_head, self._since_body, self._framed, self._paused = True, 0, False, False
        self._head_alone = self._keeps = False
        """The answer is one to a HEAD: it has no body, whatever its head says of one. What its head says of the connection."""
        self._sending: asyncio.Task[None] | None = None
        """Writes the body of the request, where that is still on its way."""
        self._room = asyncio.Event()
        """The transport takes more."""
        self._room.set()
        self._why = ""
        """Why what came is refused here; the parser would only name the callback that did it."""
        self._timer: asyncio.TimerHandle | None = None
        self.heard = 0.0
        """When something came last, or was sent."""
        self.answered = False
        """Whether anything came back of the last request."""

    def usable(self) -> bool:
        """Tell whether it can take a request."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(
        self, message: bytes, more: AsyncIterable[bytes] | None = None, *, head_alone: bool = False
    ) -> DirectAnswer:
        """Return the answer once its head is there, be it before all of `more` has gone. Raises `aiohttp.ClientError`."""
        assert self._transport is not None
        head: asyncio.Future[DirectAnswer] = self._loop.create_future()
        answer = DirectAnswer(self)
        self._answer, self._head = answer, head
        self._in_head, self._since_body, self._framed, self.answered = True, 0, False, False
        self.heard, self._head_alone = self._loop.time(), head_alone
        if self._timer is None:
            self._timer = self._loop.call_later(self._pool.patience_s, self._look)
        self._transport.write(message)
        if more is not None:
            self._sending = self._loop.create_task(self._send(more))
        try:
            return await head
        except BaseException:
            answer.close()  # Where it has ended, the connection is another's by now.
            raise

    def resume(self) -> None:
        """Read on, where there was too much to be read."""
        if self._paused and self._transport is not None:
            self._paused = False
            self.heard = self._loop.time()
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close it, whatever is on its way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what came; close where that is no answer, or none was asked for."""
        if self._answer is None:
            self.abort()
            return
        self.heard, self.answered = self._loop.time(), True
        self._since_body += len(data)
        try:
            if self._head_alone:
                self._feed_head(data)
            else:
                self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(no_answer(self._why or error))
            return
        if self._since_body > HEAD_BYTES:
            self._fail(aiohttp.ClientPayloadError("the head of an answer is longer than 1 MiB"))

    def connection_lost(self, error: Exception | None) -> None:
        """End the answer: with an error, unless its end is that of the connection."""
        self._transport = None
        self._pool.forget(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is not None:
            self._sending.cancel()
        if self._answer is not None and not self._in_head and not self._framed and error is None:
            answer, self._answer = self._answer, None
            answer.end()
            return
        why = (
            f"the connection broke: {str(error) or type(error).__name__}"
            if error
            else "the connection was closed"
        )
        self._fail(aiohttp.ServerDisconnectedError(f"{why} before the end of the answer"))

    def pause_writing(self) -> None:
        """Let the body of the request wait."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Let it go on."""
        self._room.set()

    def on_message_begin(self) -> None:
        """Refuse an answer that nobody asked for: it would be taken for that to the next request."""
        if self._answer is None:
            raise ValueError("nothing was asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; one after the body goes no further."""
        if not self._in_head:
            return
        assert self._answer is not None
        fields = self._answer.raw_headers
        if len(name) + len(value) > FIELD_BYTES or len(fields) == FIELDS:
            self._why = f"its head has a field of more than {FIELD_BYTES} bytes, or more than {FIELDS} fields"
            raise ValueError(self._why)
        fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the answer over; one in between, such as 100, is passed over."""
        answer = self._answer
        assert answer is not None
        status = self._parser.get_status_code()
        if status in INTERIM:
            answer.raw_headers = []
            return
        try:
            self._framed = judge(status, answer.raw_headers)
        except ValueError as error:
            self._why = str(error)
            raise
        self._in_head, answer.status = False, status
        self._keeps = self._parser.should_keep_alive() or (
            self._head_alone and self._stays(answer.raw_headers)
        )
        answer.raw_headers = [(name, value.rstrip(b" \t")) for name, value in answer.raw_headers]
        if self._head is not None and not self._head.done():
            self._head.set_result(answer)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._since_body = 0
        if self._answer is not None and not self._answer.feed(body) and not self._paused:
            assert self._transport is not None
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Let the connection be used again, if it may be."""
        if not self._in_head and not self._head_alone:
            self._finish(keeps=self._keeps)

    def _feed_head(self, data: bytes) -> None:
        """Parse the answer to a HEAD: line by line, since the parser would wait for the body that the head tells of."""
        fed = 0
        while fed < len(data) and self._in_head:
            end = data.find(b"\n", fed) + 1 or len(data)
            self._parser.feed_data(data[fed:end])
            fed = end
        if not self._in_head:
            self._parser = httptools.HttpResponseParser(self)
            self._finish(keeps=self._keeps and fed == len(data))

    def _finish(self, *, keeps: bool) -> None:
        answer, self._answer = self._answer, None
        self.resume()
        if answer is not None:
            answer.end()
        self._in_head = True
        if (
            self._sending is not None
        ):  # Answered before all was read: what is left of it would be the next request.
            self.abort()
        elif keeps:
            self._pool.keep(self)
        elif self._transport is not None:
            self._transport.close()

    def _stays(self, headers: Headers) -> bool:
        """Return True where the connection stays, to the parser's mind unless there is a body that ends with it."""
        said = [value.lower() for name, value in headers if name.lower() == b"connection"]
        return self._parser.get_http_version() == "1.1" and not any(b"close" in value for value in said)

    async def _send(self, more: AsyncIterable[bytes]) -> None:
        try:
            async for piece in more:
                await self._room.wait()
                if self._transport is None:
                    return
                self._transport.write(piece)
                self.heard = self._loop.time()
        except Exception as error:  # noqa: BLE001 - whatever those raise whose body it is
            why = str(error) or type(error).__name__
            self._fail(aiohttp.ClientConnectionError(f"the body of the request broke off: {why}"))
        finally:
            self._sending = None

    def _look(self) -> None:
        """Give an answer up of which nothing has come for too long; somebody who does not read waits for nothing."""
        self._timer = None
        if self._answer is None:
            return
        left = self._pool.patience_s - (0.0 if self._paused else self._loop.time() - self.heard)
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._fail(aiohttp.SocketTimeoutError(f"nothing came for {self._pool.patience_s:g} s"))

    def _fail(self, error: aiohttp.ClientError) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.end(error)
            if self._head is not None and not self._head.done():
                self._head.set_exception(error)
        self.abort()


class DirectPool:
    """The connections to one origin."""

    def __init__(  # noqa: PLR0913 - where to, and how long for what
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        *,
        connect_s: float,
        patience_s: float,
        kept_s: float,
        via: ForwardProxy | None = None,
    ) -> None:
        """
        Open none yet; needs a running event loop.

        They go by the proxy `via`: with TLS through it, without to it, so that a request's target has to be a whole address.
        """
        self.loop = asyncio.get_running_loop()
        self.patience_s = patience_s
        self._where, self._tls, self._connect_s, self._kept_s = (host, port), tls, connect_s, kept_s
        self._via = via
        self._idle: list[DirectConnection] = []
        self._open: set[DirectConnection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open_connections(self) -> int:
        """Return how many are open."""
        return len(self._open)

    async def ask(
        self, method: str, message: bytes, more: AsyncIterable[bytes] | None = None
    ) -> DirectAnswer:
        """
        Return the answer to a request, written out as it goes; what is still on its way of it is `more`.

        One that is there as a whole and may be asked twice is, where a connection that was kept had been closed by then.
        Raises `aiohttp.ClientError`.
        """
        head_alone = method == "HEAD"
        while self._idle:
            kept = self._idle.pop()
            if not kept.usable():
                continue
            if (
                self.loop.time() - kept.heard > self._kept_s
            ):  # Who is late to sweep is late to read of its end, too.
                kept.abort()
                continue
            try:
                return await kept.ask(message, more, head_alone=head_alone)
            except aiohttp.ServerDisconnectedError:
                if kept.answered or more is not None or method not in _IDEMPOTENT:
                    raise
        return await (await self._connected()).ask(message, more, head_alone=head_alone)

    def keep(self, connection: DirectConnection) -> None:
        """Take back a connection whose answer has ended."""
        if self._closed:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = self.loop.call_later(self._kept_s, self._sweep)

    def forget(self, connection: DirectConnection) -> None:
        """Take it that this one is closed."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close all, and open none any more."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._open):
            connection.abort()

    async def _connected(self) -> DirectConnection:
        host, port = self._where
        self._refuse_if_closed()
        connection = DirectConnection(self)
        by = f" by {self._via}" if self._via else ""
        try:
            async with asyncio.timeout(self._connect_s):
                await self._connect(connection)
        except TimeoutError as error:
            raise aiohttp.ServerTimeoutError(f"no connection within {self._connect_s:g} s{by}") from error
        except aiohttp.ClientError:
            raise
        except (OSError, UnicodeError) as error:
            raise aiohttp.ClientOSError(f"no connection to {host}:{port}{by}: {_reason(error)}") from error
        self._open.add(connection)
        if self._closed:
            connection.abort()
        self._refuse_if_closed()
        return connection

    async def _connect(self, connection: DirectConnection) -> None:
        host, port, tls = *self._where, self._tls
        if self._via is not None and tls is not None:
            await tunnel(self._via, host, port, tls, connection)
            return
        if self._via is not None:
            host, port, tls = self._via.host, self._via.port, self._via.tls
        await self.loop.create_connection(lambda: connection, host, port, ssl=tls, happy_eyeballs_delay=0.25)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise aiohttp.ClientConnectionError("the connections are closed")

    def _sweep(self) -> None:
        """Close what nobody has used for long."""
        self._sweeping = None
        long_ago = self.loop.time() - self._kept_s
        for connection in [one for one in self._idle if one.heard <= long_ago]:
            self._idle.remove(connection)
            connection.abort()
        if self._idle:
            left = min(one.heard for one in self._idle) - long_ago
            self._sweeping = self.loop.call_later(left, self._sweep)


def _reason(error: OSError | UnicodeError) -> str:
    """Return why there is no connection, in place of the number and the address of each attempt."""
    numbers = dict.fromkeys(int(number) for number in _ATTEMPT.findall(str(error)))
    said = (
        ", ".join(os.strerror(number) for number in numbers) or getattr(error, "strerror", "") or str(error)
    )
    if not said and isinstance(error, ConnectionResetError):  # So asyncio tells of it.
        return "the connection was closed within the TLS handshake"
    return said or type(error).__name__
