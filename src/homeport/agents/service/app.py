"""The service of an agent as an ASGI application, on a port of loopback or behind Cloud Run's front end."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from homeport import door
from homeport.agents.service import a2a, chat
from homeport.agents.service.card import CARD, PATH, card
from homeport.agents.service.fault import RunFault, fault_of_run
from homeport.agents.service.served import ServedAgent, run
from homeport.agents.transcript import Event
from homeport.errors import HomeportError
from homeport.relay.presence import ClientGone, hung_up, unless_gone

HEALTH = "/healthz"
_LARGEST_BODY = 4 * 2**20
_STILL_THERE_S = 15.0
"""How often a stream says that it is still there, so that nothing between cuts it off."""
HEALTH_ON_CLOUD_RUN = "/health"
"""Cloud Run's front end keeps paths that end in z for itself."""
_OPEN = (HEALTH, HEALTH_ON_CLOUD_RUN, CARD)
"""What is told without a key: nothing that could be used, or that changes something."""
_NO_KEY = "this port wants the key that `homeport agent serve` printed, as a bearer token"
App = Callable[[Any, Any, Any], Awaitable[None]]  # Any: ASGI


@asynccontextmanager
async def on_port(agent: ServedAgent, listening: socket.socket) -> AsyncIterator[str]:
    """Yield the service's address while it is served, on a socket that is closed at the end."""
    from homeport.relay.served import served

    async with served(application(agent), listening) as url:
        yield url


async def until_cancelled(agent: ServedAgent, listening: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve until this is cancelled; `ready` hears the address. What still runs is ended, and its transcript says so."""
    async with on_port(agent, listening) as url:
        ready(url)
        await asyncio.Event().wait()


def application(agent: ServedAgent) -> App:
    """Return the ASGI application, behind homeport's door where the agent has a key."""
    pages = _Pages(agent)
    routed = Starlette(
        routes=[
            Route(HEALTH, pages.health),
            Route(HEALTH_ON_CLOUD_RUN, pages.health),
            Route(CARD, pages.card),
            Route("/v1/models", pages.models),
            Route("/v1/models/{name}", pages.model),
            Route("/v1/chat/completions", pages.chat, methods=["POST"]),
            Route(PATH, pages.a2a, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _not_here, chat.BadRequest: _bad_request},
    )
    return routed if agent.key is None else _guarded(routed, agent)


class _Pages:
    """What is answered, by path."""

    def __init__(self, agent: ServedAgent) -> None:
        self._agent = agent
        self._since = int(time.time())

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "about": "the agent; its model was not asked"})

    async def card(self, request: Request) -> Response:
        # Behind Cloud Run's front end the request comes by HTTP, and was sent by HTTPS.
        scheme = "http" if self._agent.key is not None else request.headers.get("x-forwarded-proto", "http")
        setup = self._agent.setup
        return JSONResponse(
            card(
                name=self._agent.name,
                model=setup.endpoint.model,
                tools=[tool.name for tool in setup.tools],
                url=f"{scheme}://{request.url.netloc}{PATH}",
            )
        )

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name != self._agent.name:
            raise chat.BadRequest(f"there is no model {name[:80]!r} here, but {self._agent.name}", 404)
        return JSONResponse(self._model())

    async def chat(self, request: Request) -> Response:
        chat_request = chat.chat_request(await _body(request), self._agent.name)
        question = chat_request.question
        if chat_request.stream:
            return _Stream(self._agent, chat_request)
        completion, reason = chat.Completion(self._agent.name), "stop"

        def listener(event: Event) -> None:
            nonlocal reason
            reason = chat.reason_of(event, reason)

        try:
            result = await unless_gone(run(self._agent, question, listener), hung_up(request.receive))
        except ClientGone:
            return Response(status_code=499)
        except HomeportError as error:
            return fault_of_run(error, question.own_settings(self._agent.setup.budget)).response()
        return JSONResponse(completion.whole(result, reason))

    async def a2a(self, request: Request) -> Response:
        try:
            sent = a2a.sent_message(await _body(request), request.headers.get("a2a-version"))
        except a2a.RpcError as error:
            return JSONResponse(error.body())
        try:
            result = await unless_gone(
                run(self._agent, sent.question, lambda _: None), hung_up(request.receive)
            )
        except ClientGone:
            return Response(status_code=499)
        except HomeportError as error:
            return JSONResponse(sent.failed(str(error), of_the_message=fault_of_run(error).of_what_was_said))
        return JSONResponse(sent.answered(result))

    def _model(self) -> dict[str, Any]:  # Any: JSON
        return {"id": self._agent.name, "object": "model", "created": self._since, "owned_by": "homeport"}


class _Stream(Response):
    """An answer in server-sent events. What the agent does meanwhile comes as reasoning, the answer in one piece."""

    def __init__(self, agent: ServedAgent, asked: chat.ChatRequest) -> None:
        super().__init__(media_type="text/event-stream")
        self._agent, self._asked = agent, asked
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._completion, self._reason = chat.Completion(agent.name), "stop"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"] + [
            (b"cache-control", b"no-cache")
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._piece(send, _event(self._completion.chunk({"role": "assistant", "content": ""})))
        try:
            await unless_gone(self._stream(send), hung_up(receive))
        except ClientGone:
            return
        await send({"type": "http.response.body", "body": b""})

    async def _stream(self, send: Any) -> None:  # Any: ASGI
        running = asyncio.ensure_future(run(self._agent, self._asked.question, self._listen))
        try:
            while not running.done() or not self._events.empty():
                waiting = asyncio.ensure_future(self._events.get())
                await asyncio.wait(
                    {running, waiting}, timeout=_STILL_THERE_S, return_when=asyncio.FIRST_COMPLETED
                )
                if waiting.done():
                    await self._piece(send, waiting.result())
                    continue
                waiting.cancel()
                if not running.done():
                    await self._piece(send, ": still there\n\n")
            await self._end(send, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _end(self, send: Any, running: asyncio.Future[Any]) -> None:  # Any: ASGI; an AgentResult
        try:
            result = running.result()
        except HomeportError as error:
            own = self._asked.question.own_settings(self._agent.setup.budget)
            await self._piece(send, _event(fault_of_run(error, own).body()))
            return
        await self._piece(send, _event(self._completion.chunk({"content": result.answer})))
        await self._piece(send, _event(self._completion.chunk({}, self._reason)))
        if self._asked.stream_options.include_usage:
            await self._piece(send, _event(self._completion.usage(result)))
        await self._piece(send, "data: [DONE]\n\n")

    def _listen(self, event: Event) -> None:
        self._reason = chat.reason_of(event, self._reason)
        steps = chat.progress_text(event)
        if steps:
            self._events.put_nowait(_event(self._completion.chunk({"reasoning_content": steps})))

    @staticmethod
    async def _piece(send: Any, text: str) -> None:  # Any: ASGI
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _body(request: Request) -> bytes:
    """Return the body. Raises `BadRequest` for one that no question needs."""
    pieces, length = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        length += len(piece)
        if length > _LARGEST_BODY:
            raise chat.BadRequest(f"the body has more than {_LARGEST_BODY} bytes", 413)
    return b"".join(pieces)


def _guarded(app: App, agent: ServedAgent) -> App:
    """Return the application behind the door: this machine's names, no web page, nobody without the key."""
    key = agent.key
    assert key is not None

    async def guard(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        if scope["type"] != "http":
            return
        objection = door.objection(scope["headers"])
        refusal = None
        if objection is not None:
            refusal = _error(objection.status, objection.why)
        elif scope["path"] not in _OPEN and not door.has_key(scope["headers"], key):
            refusal = _error(401, _NO_KEY)
        if refusal is None:
            await app(scope, receive, send)
            return
        refusal.headers["connection"] = "close"  # The body was not read.
        await refusal(scope, receive, send)

    return guard


def _event(body: Any) -> str:  # Any: JSON
    return f"data: {json.dumps(body)}\n\n"


def _error(status: int, message: str) -> JSONResponse:
    return RunFault(status=status, message=message).response()


async def _bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, chat.BadRequest)
    return _error(error.status, str(error))


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {404: f"there is no {request.url.path} here", 405: f"{request.method} is not taken here"}
    return _error(error.status_code, messages.get(error.status_code, str(error.detail)))
