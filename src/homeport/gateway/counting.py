"""The gateway as an ASGI application that only counts: what comes goes on as it is, piece by piece, and so does its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from homeport.endpoint import Endpoint
from homeport.gateway.apis import APIS, TextApi, is_asked
from homeport.gateway.callers import caller_of
from homeport.gateway.exchange import PARSERS, send_json
from homeport.gateway.framing import Event, Parser
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.settings import OWN_CALLER, OWN_HEALTH
from homeport.gateway.spans import RequestSpan, Spans
from homeport.gateway.usage import TokenUsage, has_text, tells_error
from homeport.json_types import Json
from homeport.relay.direct_answer import DirectAnswer
from homeport.relay.headers import answered, as_text, onward
from homeport.relay.messages import Headers, Receive, Scope, Send
from homeport.relay.onward import NO_TRACE, Onward
from homeport.relay.presence import WHOLE, ClientGone, hung_up, unless_gone
from homeport.relay.upstream import UNANSWERED, Upstream

_LONGEST = 4 * 2**20
"""Bytes of a whole answer that are kept to read its tokens; of a longer one they are not known."""
_HOST, _TRACE = frozenset({b"host"}), frozenset({b"traceparent", b"tracestate"})


class CountingApp:
    """Stands before one endpoint, and counts what passes."""

    def __init__(self, endpoint: Endpoint, metrics: GatewayMetrics, spans: Spans | None = None) -> None:
        """Open no connection yet; needs a running event loop."""
        self._upstream, self._metrics, self._spans = Upstream(endpoint), metrics, spans

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._upstream.aclose()
        if self._spans is not None:
            await self._spans.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == OWN_HEALTH and scope["method"] in {"GET", "HEAD"}:
            await send_json(send, 200, {"status": "ok"})
            return
        if scope["path"] == OWN_CALLER and scope["method"] == "GET" and self._metrics.tells_callers:
            await send_json(send, 200, {"caller": caller_of(scope["headers"])})
            return
        if scope["method"] == "TRACE":
            refusal = {"message": NO_TRACE, "type": "invalid_request_error", "code": None}
            await send_json(send, 405, {"error": refusal})
            return
        api = APIS.get(scope["path"]) if scope["method"] == "POST" else None
        asked = is_asked(scope["method"], scope["path"])
        coming, count = _Coming(receive), _Count(api, asked, self._metrics, self._spans)
        with suppress(ClientGone):
            await unless_gone(self._pass(scope, coming, send, count), coming.gone())

    async def _pass(self, scope: Scope, coming: _Coming, send: Send, count: _Count) -> None:
        count.begin(scope)
        try:
            await self._exchange(scope, coming, send, count)
        except asyncio.CancelledError:
            count.error = count.error or ("" if count.is_whole else "client_gone")
            raise
        finally:
            count.end()

    async def _exchange(self, scope: Scope, coming: _Coming, send: Send, count: _Count) -> None:
        try:
            response = await self._upstream.send(await _request(scope, coming, count.span))
        except (*UNANSWERED, ConnectionResetError) as error:
            if coming.is_gone:
                count.error = "client_gone"
                return
            count.error = "engine"
            why = f"the engine did not answer: {str(error) or type(error).__name__}"
            await send_json(send, 502, {"error": {"message": why, "type": "api_error", "code": None}})
            return
        try:
            count.answers(response)
            headers = answered(response.status, response.raw_headers)
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            async for piece in response.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                count.take(piece)
        except UNANSWERED:
            # The server closes a connection whose answer does not end, so the client sees a break for a break.
            count.error = count.error or ("client_gone" if coming.is_gone else "engine")
            return
        except asyncio.CancelledError:
            if response.content.at_eof() or count.is_told:
                # Who has the last byte may hang up before the end of it is seen here.
                count.finish()
            raise
        finally:
            response.close()
        count.finish()
        await send({"type": "http.response.body", "body": b""})


class _Coming:
    """The body of a request, as it comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._settled = asyncio.Event()
        """All of it has come, or no more will."""
        self.is_gone = False
        """The client has hung up."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it. Raises `ConnectionResetError` where the client goes before its end."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.is_gone = True
                self._settled.set()
                raise ConnectionResetError("the client is gone")
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                self._settled.set()
                return

    async def to_send(self, scope: Scope) -> AsyncIterator[bytes] | bytes:
        """Return it as bytes where all of it is there, which costs less to send than what comes. Raises as `pieces`."""
        if WHOLE not in scope.get("state", {}):
            return self.pieces()
        return b"".join([piece async for piece in self.pieces()])

    def empty(self) -> None:
        """Note that the request has none."""
        self._settled.set()

    async def gone(self) -> None:
        """Wait until the client hangs up."""
        await self._settled.wait()
        if not self.is_gone:
            await hung_up(self._receive)
            self.is_gone = True


@dataclass(slots=True)
class _Count:
    """What is counted of one request; nothing of one that is for no model, and of an API that is not known here only who asked."""

    api: TextApi | None
    asked: bool
    metrics: GatewayMetrics
    spans: Spans | None = None
    error: str = ""
    span: RequestSpan | None = None
    _headers: Headers = ()
    _begun: float = 0.0
    _usage: TokenUsage = field(default_factory=TokenUsage)
    _parser: Parser | None = None
    _whole: bytearray | None = None
    """The answer that comes as a whole, as far as it has come."""
    _first_s: float | None = None
    is_told: bool = False
    """The stream has said that it is over."""
    is_whole: bool = False
    """All of the answer has been read."""

    def begin(self, scope: Scope) -> None:
        """Count a request."""
        self._headers = scope["headers"]
        if self.api is not None:
            self._begun = _now()
            self.metrics.begun()
            self.span = self.spans.begin(scope["headers"], self.api) if self.spans else None

    def answers(self, response: DirectAnswer) -> None:
        """Take the head of its answer."""
        if not self.asked:
            return
        # Where an API is not known, a redirection takes no token either.
        if response.status >= (400 if self.api else 300):
            self.error = str(response.status)
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if packed not in {"", "identity"}:
            return
        if kind in PARSERS:
            self._parser = PARSERS[kind]()
        elif kind == "application/json":
            self._whole = bytearray()

    def take(self, piece: bytes) -> None:
        """Take a piece that has gone on."""
        if self._parser is not None:
            try:
                self._note(self._parser.feed(piece))
            except (ValueError, RecursionError):
                self._parser = None  # No stream that is known here: it passes, and is not understood.
        elif self._whole is not None:
            self._whole += piece
            if len(self._whole) > _LONGEST:
                self._whole = None

    def finish(self) -> None:
        """Read what is known only at the end. It waits for nothing, so that nothing comes between the answer and its count."""
        self.is_whole = True
        try:
            if self._parser is not None:
                self._note(self._parser.rest())
            elif self._whole:
                parsed = json.loads(bytes(self._whole))
                if isinstance(parsed, dict):
                    self._usage.note(parsed)
                    self._judge(parsed)
        except (ValueError, RecursionError):
            return

    def end(self) -> None:
        """Count its end."""
        if self.api is not None:
            seconds = _now() - self._begun
            self.metrics.ended(self.api.operation, seconds, self.error, self._usage, self._headers)
            if self.spans and self.span:
                self.spans.end(self.span, error=self.error, usage=self._usage, first_s=self._first_s)
        elif self.asked:
            self.metrics.passed(self.error, self._usage, self._headers)

    def _note(self, events: list[Event]) -> None:
        for event in events:
            self.is_told = self.is_told or event.body is None or _ends(event.body)
            if event.body is None:
                continue
            self._usage.note(event.body)
            self._judge(event.body)
            if has_text(event.body):
                self._first()
                if self.api is not None:
                    self.metrics.went_on()

    def _judge(self, body: Mapping[str, Json]) -> None:
        if not self.error and tells_error(body):
            self.error = "engine"

    def _first(self) -> None:
        """Note the time to the first text of a stream: of an answer that comes as a whole it would be all its time."""
        if self.api is not None and self._first_s is None and not self.error:
            self._first_s = _now() - self._begun
            self.metrics.first_text(self.api.operation, self._first_s)


def _ends(body: Mapping[str, Json]) -> bool:
    """Return True if nothing comes after this event of a stream."""
    return body.get("done") is True or body.get("type") in {"message_stop", "response.completed"}


async def _request(scope: Scope, coming: _Coming, span: RequestSpan | None) -> Onward:
    names = {name for name, _ in scope["headers"]}
    chunked = b"transfer-encoding" in names
    has_body = chunked or b"content-length" in names
    if not has_body:
        coming.empty()
    query = scope["query_string"]
    return Onward(
        method=scope["method"],
        target=as_text(scope["raw_path"] + (b"?" + query if query else b"")),
        headers=[
            (name.decode("ascii"), as_text(value))
            for name, value in onward(scope["headers"], _HOST | _TRACE if span else _HOST)
        ]
        + (span.onward if span else []),
        body=await coming.to_send(scope) if has_body else None,
        chunked=chunked,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
