"""The gateway as an ASGI application."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any

from homeport.endpoint import Endpoint
from homeport.gateway import strict_json
from homeport.gateway.apis import TextApi, error_body
from homeport.gateway.callers import caller_of
from homeport.gateway.entrance import (
    ANYBODY,
    Entrance,
    HungUp,
    TurnedAway,
    api_of,
    ensure_plain,
    read_body,
)
from homeport.gateway.exchange import REFUSED_HEADER, ScreenedExchange, send_json
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.room import Room
from homeport.gateway.screener import Screener
from homeport.gateway.settings import OWN_CALLER, OWN_HEALTH
from homeport.gateway.spans import RequestSpan, Spans
from homeport.gateway.usage import TokenUsage
from homeport.gateway.verdict import Refused
from homeport.relay.headers import as_text, onward
from homeport.relay.messages import Receive, Scope, Send
from homeport.relay.onward import Onward
from homeport.relay.presence import ClientGone, hung_up, unless_gone
from homeport.relay.upstream import UNANSWERED, Upstream

OWN_PULSE = "/gateway/pulse"
"""Where the gateway tells whether the engine works, and nothing of what the engine says there of requests."""
_SENT_ON = frozenset({b"user-agent", b"traceparent", b"tracestate", b"x-request-id"})
"""Headers of a request to an API that go on; a body is written again, so that none of its others would be true."""


class GatewayApp:
    """Stands before one endpoint: screens what goes there and what comes back, and counts it."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        screener: Screener,
        entrance: Entrance = ANYBODY,
        metrics: GatewayMetrics | None = None,
        pulse: tuple[str, str] | None = None,
        spans: Spans | None = None,
    ) -> None:
        """
        Open no connection yet; needs a running event loop.

        `pulse` is the engine's: where it shows that its
        work goes on, and what that matches while it is busy.
        """
        self._upstream = Upstream(endpoint)
        self._screener, self._entrance, self._metrics = screener, entrance, metrics
        self._pulse, self._spans = pulse, spans
        self._room = Room()

    async def aclose(self) -> None:
        """Let the connections go, those of the screen included."""
        await self._upstream.aclose()
        await self._screener.aclose()
        if self._spans is not None:
            await self._spans.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == OWN_HEALTH and scope["method"] in {"GET", "HEAD"}:
            await send_json(send, 200, {"status": "ok"})
            return
        counts = self._metrics is not None and self._metrics.tells_callers
        if scope["path"] == OWN_CALLER and scope["method"] == "GET" and counts:
            await send_json(send, 200, {"caller": caller_of(scope["headers"])})
            return
        try:
            self._entrance.admit(scope)
            if scope["path"] == OWN_PULSE and scope["method"] == "GET":
                await self._show_pulse(send)
                return
            api = api_of(scope)
        except TurnedAway as away:
            await self._turn_away(None, away, send)
        except Refused as refused:
            await self._refuse(None, refused, send)
        else:
            if api is None:
                with suppress(ClientGone):
                    await unless_gone(self._pass(scope, send), hung_up(receive))
            else:
                await self._answer_screened(api, scope, receive, send)

    async def _answer_screened(self, api: TextApi, scope: Scope, receive: Receive, send: Send) -> None:
        begun = asyncio.get_running_loop().time()
        span = self._spans.begin(scope["headers"], api) if self._spans else None
        with self._room.taken() as room:
            try:
                ensure_plain(scope["headers"])
                body = strict_json.table(strict_json.loads(await read_body(receive, room)))
            except TurnedAway as away:
                self._end_early(span, str(away.status))
                await self._turn_away(api, away, send)
            except Refused as refused:
                self._end_early(span, refused.reason.value)
                await self._refuse(api, refused, send)
            except ValueError as error:
                self._end_early(span, "400")
                why = f"the body is no JSON that is read in one way only: {error}"
                await self._turn_away(api, TurnedAway(400, why), send)
            except HungUp:
                self._end_early(span, "client_gone")
                if self._metrics:
                    self._metrics.begun()
                    seconds = asyncio.get_running_loop().time() - begun
                    self._metrics.ended(api.operation, seconds, "client_gone", TokenUsage(), scope["headers"])
            else:
                exchange = ScreenedExchange(
                    api=api, screener=self._screener, upstream=self._upstream, room=room, send=send, metrics=self._metrics
                )  # fmt: skip
                with suppress(ClientGone):
                    await unless_gone(self._exchange(exchange, body, scope, span), hung_up(receive))

    def _end_early(self, span: RequestSpan | None, error: str) -> None:
        """End the span of a request that was not read to its end, or could not be."""
        if self._spans and span:
            self._spans.end(span, error=error, usage=TokenUsage(), first_s=None)

    async def _exchange(
        self, exchange: ScreenedExchange, body: dict[str, Any], scope: Scope, span: RequestSpan | None
    ) -> None:  # Any: JSON
        api = exchange.api
        headers = [
            (name.decode("ascii"), as_text(value)) for name, value in scope["headers"] if name in _SENT_ON
        ]
        if span is not None:
            span.request(body)
            headers = [header for header in headers if not header[0].startswith("trace")] + span.onward
        if self._metrics:
            self._metrics.begun()
        try:
            await exchange.run(body, headers)
        except asyncio.CancelledError:
            exchange.error = exchange.error or "client_gone"
            raise
        finally:
            if self._metrics:
                self._metrics.ended(
                    api.operation,
                    asyncio.get_running_loop().time() - exchange.begun,
                    exchange.error,
                    exchange.usage,
                    scope["headers"],
                )
            if self._spans and span:
                self._spans.end(span, error=exchange.error, usage=exchange.usage, first_s=exchange.first_s)

    async def _refuse(self, api: TextApi | None, refused: Refused, send: Send) -> None:
        if self._metrics:
            self._metrics.refused("prompt", refused.reason.value)
        again = [] if refused.status >= 500 else [(b"x-should-retry", b"false")]
        headers = [(REFUSED_HEADER, refused.reason.value.encode()), *again]
        await send_json(send, refused.status, error_body(api.dialect if api else None, refused), headers)

    async def _pass(self, scope: Scope, send: Send) -> None:
        """Send on what holds no text, and its answer as it is."""
        request = Onward(method=scope["method"], target=scope["path"], headers=[], body=None, chunked=False)
        try:
            response = await self._upstream.send(request)
        except UNANSWERED as error:
            await self._turn_away(
                None,
                TurnedAway(502, f"the engine did not answer: {str(error) or type(error).__name__}"),
                send,
            )
            return
        try:
            body = await response.read()
        except UNANSWERED:
            await self._turn_away(
                None, TurnedAway(502, "the engine broke off in the middle of its answer"), send
            )
            return
        finally:
            response.close()
        head = [(name, value) for name, value in onward([(name.lower(), value) for name, value in response.raw_headers])
                if name != b"content-length"]  # fmt: skip
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": response.status, "headers": [*head, length]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _show_pulse(self, send: Send) -> None:
        path, busy = self._pulse or ("/health", "")
        request = Onward(method="GET", target=path, headers=[], body=None, chunked=False)
        try:
            response = await self._upstream.send(request)
            text = (await response.read()).decode(errors="replace")
        except UNANSWERED:
            await self._turn_away(None, TurnedAway(502, "the engine did not answer"), send)
            return
        match = re.search(busy, text) if busy else None
        body = (match[0] if match else "").encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _turn_away(self, api: TextApi | None, away: TurnedAway, send: Send) -> None:
        kind = (
            "authentication_error"
            if away.status == 401
            else "invalid_request_error"
            if away.status < 500
            else "api_error"
        )
        if api is not None and api.dialect.native:
            await send_json(send, away.status, {"error": away.why}, [(b"x-should-retry", b"false")])
            return
        body = {"error": {"message": away.why, "type": kind, "param": None, "code": None}}
        await send_json(send, away.status, body, [(b"x-should-retry", b"false")])
