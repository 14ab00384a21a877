"""HTTP/1.1 of the servers on loopback: uvicorn's on the parser of llhttp, and what that leaves to its user."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from homeport.relay.joined_writes import JoinedWrites
from homeport.relay.presence import PRESENCE, WHOLE, Presence
from homeport.relay.transfer_coding import tells_its_end

_HEAD_BYTES = 64 * 1024
"""What h11 takes for a request's head, too; llhttp knows no limit."""
_HEAD_S = 60.0
"""So long may one take to come, as nginx has it; uvicorn waits for ever."""
_TOO_SLOW = b"the head of a request may take %d s" % _HEAD_S

_WAITING = 4
"""So many requests behind one that is answered are read ahead; with more nothing is read, and so nobody is seen to leave."""


class BoundedProtocol(HttpToolsProtocol):
    """
    Refuses a head without an end, and a target that is no path: uvicorn would take what follows its host.

    A client that has sent a second request before its first was answered is seen to leave all the same: uvicorn reads no more
    then, and tells only the newest of its requests. What is refused behind requests that wait is refused after their answers,
    where uvicorn writes its 400 at once, before or into them.

    A request that would rather be one of another protocol, as Java's client asks for HTTP/2 by default, is answered in this one,
    which RFC 9110 7.8 allows: llhttp would take its body for the other protocol's, and uvicorn for none.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: uvicorn's own
        super().__init__(*args, **options)
        self._in_head, self._head_bytes, self._fed_bytes = True, 0, 0
        self._why = ""
        self._refusal: str | None = None
        """What is said, once all before it is answered, of what came last; nothing is read after that."""
        self._presence = Presence()
        self._answered: RequestResponseCycle | None = None
        self._newest: RequestResponseCycle | None = None
        self._slow: asyncio.TimerHandle | None = None
        """Ends the wait for a head that does not come, or not to its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a connection, whose answers' heads go out with what is there of their bodies."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the work for a client that hung up."""
        super().connection_lost(exc)
        self._have_head()
        # uvicorn has told the newest request alone.
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        self._presence.end()

    def data_received(self, data: bytes) -> None:
        """Parse what came. Answers 400, and closes, where a head is longer than 64 KiB."""
        if self._is_refusing():
            return
        self._fed_bytes = len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if not self._in_head or self._is_refusing() or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _HEAD_BYTES:
            self.send_400_response("the head of a request may have 64 KiB")
        elif self._head_bytes > 0 and self._slow is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin with the request. Raises `ValueError`, which ends in a 400, for a target that is no path."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._why = "this is no proxy for other addresses: CONNECT goes nowhere"
                raise ValueError(self._why)
            return  # It comes again, see `_parse`.
        self._in_head = False
        self._have_head()
        if not self.url.startswith(b"/"):
            self._why = "this is no proxy for other addresses: ask for a path, such as /v1/models"
            raise ValueError(self._why)
        self._ensure_plain_body()
        self.scope["state"][PRESENCE] = self._presence
        super().on_headers_complete()
        self._newest = self.cycle
        if 0 < len(self.pipeline) <= _WAITING:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """Expect another head; what came together with the end of this one is not counted to it."""
        if self.parser.should_upgrade():
            return
        self._in_head, self._head_bytes = True, -self._fed_bytes
        self.scope["state"][WHOLE] = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or say why there is none."""
        super().on_response_complete()
        self._refuse_in_turn()

    def send_400_response(self, msg: str) -> None:
        """Answer why, and close: as soon as all that was asked before is answered, and never into an answer."""
        self._refusal = self._why or msg
        cycle = self._newest
        if cycle is not None and cycle.more_body and not cycle.response_complete:
            # It is the body of this one that cannot be read.
            if self.pipeline and self.pipeline[0][0] is cycle:
                self.pipeline.popleft()
            elif cycle.response_started:
                self.transport.close()
            else:
                super().send_400_response(self._refusal)
        self._refuse_in_turn()

    def _parse(self, data: bytes) -> None:
        """Parse what came; a head that asks for another protocol once more without that wish, on a parser that has not heard of it."""
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as wish:
                data = self._head_without_wish() + data[wish.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn has it.

    def _ensure_plain_body(self) -> None:
        """Raise `ValueError` where there is another coding than that into chunks, or none that tells the end of a request."""
        if any(name == b"transfer-encoding" for name, _ in self.headers):
            with suppress(ValueError):
                if tells_its_end(self.headers):
                    return
            self._why = "a body may come in chunks, and in no other coding of its transfer"
            raise ValueError(self._why)

    def _head_without_wish(self) -> bytes:
        lines = [
            self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode(),
            *(name + b": " + value for name, value in self.headers if name != b"upgrade"),
        ]
        return b"\r\n".join([*lines, b"", b""])

    def _await_head(self) -> None:
        self._slow = self.loop.call_later(_HEAD_S, self._give_up)

    def _have_head(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _give_up(self) -> None:
        """Close a connection that holds on to half a head, or to none; while another request is answered it may."""
        self._slow = None
        if self._answered is not None and not self._answered.response_complete:
            self._await_head()
        elif not self.transport.is_closing():
            if self._head_bytes > 0:
                fields = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
                self.transport.write(
                    b"HTTP/1.1 408 Request Timeout\r\n" + fields % len(_TOO_SLOW) + _TOO_SLOW
                )
            self.transport.close()

    def _is_refusing(self) -> bool:
        return self._refusal is not None

    def _refuse_in_turn(self) -> None:
        if self._refusal is None or self.pipeline or self.transport.is_closing():
            return
        if self._answered is None or self._answered.response_complete:
            super().send_400_response(self._refusal)
