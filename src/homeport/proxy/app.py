"""The proxy as an ASGI application."""

from __future__ import annotations

import time
from collections.abc import Sequence

from homeport import door
from homeport.catalog.cloudrun import limits
from homeport.endpoint import Endpoint
from homeport.endpoint.identity import too_large
from homeport.errors import HomeportError
from homeport.progress import Progress
from homeport.proxy import answers
from homeport.proxy.answers import ProxyAnswer
from homeport.proxy.body import Body
from homeport.proxy.waking import Waking
from homeport.relay.direct_answer import DirectAnswer
from homeport.relay.headers import answered, as_text, onward
from homeport.relay.messages import Headers, Message, Receive, Scope, Send
from homeport.relay.onward import NO_TRACE, Onward
from homeport.relay.presence import PRESENCE, WHOLE, ClientGone, unless_gone
from homeport.relay.upstream import UNANSWERED, Upstream
from homeport.secret import Secret

_OURS = frozenset({b"host", b"expect", b"x-serverless-authorization", *door.SECRET_HEADERS})
"""Headers of a request that are the proxy's to set, or that were for the proxy."""
_NO_KEY = (
    "this port wants the proxy's own key: it stands in what `homeport proxy` printed, and "
    '`eval "$(homeport env --on cloudrun)"` sets it'
)
_FRONT = frozenset({401, 403, 413, 429, 503})
"""Refusals that Cloud Run gives for the service, as a page; an engine's own are JSON."""


class ProxyApp:
    """Sends requests on to `endpoint`, and answers itself what is known of its `models`."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        key: Secret | None,
        models: Sequence[str],
        progress: Progress,
        cold_start: str = "",
    ) -> None:
        self._key = key
        self._endpoint, self._models, self._progress = endpoint, models, progress
        self._waking = Waking(endpoint.name, progress, cold_start)
        self._since = int(time.time())
        self._upstream = Upstream(endpoint)

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._upstream.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        own = self._own(scope)
        if own is not None:
            await own.send(send, head=scope["method"] == "HEAD")
            return
        body = Body(receive)
        try:
            if WHOLE in scope["state"]:
                await self._pass_whole(scope, body, send)
            else:
                await unless_gone(self._pass(scope, body, send), body.read())
        except ClientGone:
            if body.too_large and not body.answered:
                await answers.error(413, too_large()).send(send)

    def _own(self, scope: Scope) -> ProxyAnswer | None:
        against = door.objection(scope["headers"])
        if against is not None:
            return answers.error(against.status, against.why)
        looks = scope["method"] in {"GET", "HEAD"}
        keyless = self._keyless(scope) if not (looks and scope["path"] == answers.HEALTH) else None
        if keyless is not None:
            return keyless
        if scope["method"] == "TRACE":
            return answers.error(405, NO_TRACE)
        if _length(scope["headers"]) > limits().request_bytes:
            return answers.error(413, too_large())
        if looks:
            return answers.known(scope["path"], self._models, self._since)
        return None

    def _keyless(self, scope: Scope) -> ProxyAnswer | None:
        """Return what is answered to those who have not got the proxy's key, or would give it away."""
        if self._key is None:
            return None
        if not door.has_key(scope["headers"], self._key):
            return answers.error(401, _NO_KEY)
        if self._key.reveal().encode() in scope["raw_path"] + b"?" + scope["query_string"]:
            return answers.error(400, "the proxy's key belongs into a header, not into an address")
        return None

    async def _pass_whole(self, scope: Scope, body: Body, send: Send) -> None:
        """Pass a request whose body is there, as of most: no task is needed that reads and watches."""
        await body.read_piece()
        if body.too_large:
            await answers.error(413, too_large()).send(send)
            return
        with scope["state"][PRESENCE]:
            await self._pass(scope, body, send)

    async def _pass(self, scope: Scope, body: Body, send: Send) -> None:
        try:
            response = await self._waking.first_of(self._upstream.send(self._request(scope, body)))
        except HomeportError as error:
            self._progress.note(f"{scope['path']}: {error}")
            await answers.failure(error).send(send)
            return
        except UNANSWERED as error:
            text = f"{self._endpoint.base_url} could not be reached: {str(error) or type(error).__name__}"
            self._progress.note(text)
            await answers.error(502, text).send(send)
            return
        try:
            if _is_fronts(response):
                await self._explain(response, send)
                return
            body.answered = True
            await send(_head(response))
            content, more = response.content, True
            while more:
                piece = await content.readany()
                more = not content.at_eof()
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        except UNANSWERED as error:
            # The server closes a connection whose answer does not end, so the client sees a break for a break.
            why = str(error) or type(error).__name__
            self._progress.note(f"{self._endpoint.name} broke off in the middle of an answer: {why}")
        finally:
            response.close()

    async def _explain(self, response: DirectAnswer, send: Send) -> None:
        text = (await response.read()).decode(errors="replace")
        answer = await answers.explained(self._endpoint, response.status, text)
        self._progress.note(answer.body["error"]["message"])
        await answer.send(send)

    def _without_key(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return the headers without the proxy's key, under whatever name a client sends it."""
        if self._key is None:
            return headers
        key = self._key.reveal().encode()
        return [(name, value) for name, value in headers if key not in value]

    def _request(self, scope: Scope, body: Body) -> Onward:
        names = {name for name, _ in scope["headers"]}
        chunked = b"transfer-encoding" in names
        passed = self._without_key(onward(scope["headers"], _OURS))
        query = scope["query_string"]
        return Onward(
            method=scope["method"],
            target=as_text(scope["raw_path"] + (b"?" + query if query else b"")),
            headers=[(name.decode("ascii"), as_text(value)) for name, value in passed],
            body=body.to_send() if chunked or b"content-length" in names else None,
            chunked=chunked,
        )


def _length(headers: Headers) -> int:
    return max(
        (int(value) for name, value in headers if name == b"content-length" and value.isdigit()), default=0
    )


def _head(response: DirectAnswer) -> Message:
    return {
        "type": "http.response.start",
        "status": response.status,
        "headers": answered(response.status, response.raw_headers),
    }


def _is_fronts(response: DirectAnswer) -> bool:
    """Return True if it is Cloud Run that refuses, not the engine: some engines have no JSON either for what they lack."""
    kind = response.headers.get("content-type", "")
    if response.status == 404:
        return kind.startswith("text/html")
    return response.status in _FRONT and "json" not in kind
