"""The console as an ASGI application: a page, and what it asks for. Requests for more than files have to show the key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from homeport import door
from homeport.console.views import Views
from homeport.errors import HomeportError, Incomplete, NotFound, NotRunning
from homeport.printable import json_text
from homeport.secret import Secret

App = Callable[[Any, Any, Any], Awaitable[None]]  # Any: ASGI
_MOST_DIGITS = 9
_LARGEST_BODY = 2**20
_STILL_THERE_S = 5.0
STATIC: Mapping[str, str] = MappingProxyType(
    {
        "index.html": "text/html; charset=utf-8",
        "style.css": "text/css; charset=utf-8",
        "fit.js": "text/javascript; charset=utf-8",
        "app.js": "text/javascript; charset=utf-8",
        "dom.js": "text/javascript; charset=utf-8",
        "server.js": "text/javascript; charset=utf-8",
        "chart.js": "text/javascript; charset=utf-8",
        "endpoints.js": "text/javascript; charset=utf-8",
        "endpoint.js": "text/javascript; charset=utf-8",
        "playground.js": "text/javascript; charset=utf-8",
        "plan.js": "text/javascript; charset=utf-8",
        "benches.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
        "vendor/uPlot.iife.min.js": "text/javascript; charset=utf-8",
        "vendor/uPlot.min.css": "text/css; charset=utf-8",
        "vendor/uPlot.LICENSE": "text/plain; charset=utf-8",
    }
)
"""All files that there are, with their types: no path is ever looked up."""
HEADERS = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
            "trusted-types 'none'"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
)


def application(views: Views, key: Secret) -> App:
    """Return the ASGI application, behind homeport's door."""
    pages = _ConsolePages(views)
    endpoint_path = "/api/{on}/{name}"
    routed = Starlette(
        routes=[
            Route("/api/live", pages.live),
            Route("/api/plan", pages.plan),
            Route("/api/benches", pages.benches),
            Route("/api/fit", pages.fit),
            Route(f"{endpoint_path}/status", pages.status),
            Route(f"{endpoint_path}/logs", pages.logs),
            Route(f"{endpoint_path}/chat", pages.chat, methods=["POST"]),
            Route(f"{endpoint_path}/verify", pages.verify, methods=["POST"]),
            Route(f"{endpoint_path}/rollback", pages.rollback, methods=["POST"]),
            Route("/", _file),
            Route("/{path:path}", _file),
        ],
        exception_handlers={HomeportError: _refusal, HTTPException: _not_here, _BadRequest: _bad},
    )
    return _guarded(routed, key)


class _BadRequest(Exception):
    """A request that the page would not make."""


class _ConsolePages:
    """What is answered, by path."""

    def __init__(self, views: Views) -> None:
        self._views = views

    async def live(self, _: Request) -> Response:
        return _stream(self._views.live())

    async def plan(self, request: Request) -> Response:
        return _json(await self._views.plan(request.query_params.get("on", "local")))

    async def benches(self, _: Request) -> Response:
        return _json(await self._views.benches())

    async def fit(self, request: Request) -> Response:
        query = request.query_params
        return _json(
            await self._views.fit(query.get("model"), _count(query, "context"), _count(query, "parallel"))
        )

    async def status(self, request: Request) -> Response:
        return _json(await self._views.status(**request.path_params))

    async def logs(self, request: Request) -> Response:
        return _stream(self._views.logs(**request.path_params))

    async def chat(self, request: Request) -> Response:
        return _stream(self._views.chat(**request.path_params, asked=await _read_body(request)))

    async def verify(self, request: Request) -> Response:
        await _read_body(request)
        return _stream(self._views.verify(**request.path_params))

    async def rollback(self, request: Request) -> Response:
        body = await _read_body(request)
        return _json(await self._views.rollback(**request.path_params, to=str(body.get("to", ""))))


def _count(query: Mapping[str, str], key: str) -> int | None:
    text = query.get(key)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < len(text) < _MOST_DIGITS:
        raise _BadRequest(f"{key} is no number that it could be")
    return int(text)


def _json(data: Any) -> Response:  # Any: JSON
    return Response(json_text(data), media_type="application/json")


def _stream(events: AsyncIterator[Any]) -> Response:  # Any: JSON
    return StreamingResponse(_stream_events(events), media_type="text/event-stream")


async def _stream_events(events: AsyncIterator[Any]) -> AsyncIterator[str]:  # Any: JSON
    """Yield server-sent events; an error is the last one. A reader who has gone is noticed within some seconds."""
    coming = asyncio.ensure_future(anext(events))
    try:
        while True:
            await asyncio.wait({coming}, timeout=_STILL_THERE_S)
            if not coming.done():
                yield ": still there\n\n"
                continue
            yield _event(coming.result())
            coming = asyncio.ensure_future(anext(events))
    except StopAsyncIteration:
        yield _event({}, "end")
    except HomeportError as error:
        yield _event(error.as_json(), "refused")
        yield _event({}, "end")
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _event(data: Any, kind: str = "message") -> str:  # Any: JSON
    # One line: what a model says may hold what ends an event.
    line = json.dumps(json.loads(json_text(data)), ensure_ascii=True)
    return f"event: {kind}\ndata: {line}\n\n"


async def _read_body(request: Request) -> dict[str, Any]:  # Any: JSON
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _BadRequest("the body is not said to be JSON")
    pieces, length = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        length += len(piece)
        if length > _LARGEST_BODY:
            raise _BadRequest(f"the body has more than {_LARGEST_BODY} bytes")
    try:
        body = json.loads(b"".join(pieces))
    except ValueError as error:
        raise _BadRequest("the body is no JSON") from error
    if not isinstance(body, dict):
        raise _BadRequest("the body is no JSON object")
    return body


async def _file(request: Request) -> Response:
    name = request.path_params.get("path") or "index.html"
    if name not in STATIC:
        raise HTTPException(404)
    content = await asyncio.to_thread(
        files("homeport.console").joinpath("static", *name.split("/")).read_bytes
    )
    return Response(content, headers={"content-type": STATIC[name]})


def _guarded(app: App, key: Secret) -> App:
    """Return the application behind the door; the page itself, which holds nothing, needs no key."""

    async def guard(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        if scope["type"] != "http":
            return
        objection = door.objection(scope["headers"])
        refusal = None
        if objection is not None:
            refusal = _respond_with_error(objection.why, status=objection.status)
        elif scope["path"].startswith("/api/") and not door.has_key(scope["headers"], key):
            refusal = _respond_with_error(
                "this wants the key in the link that `homeport console` printed", status=401
            )

        async def with_headers(message: Any) -> None:  # Any: ASGI
            if message["type"] == "http.response.start":
                security_headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *security_headers]}
            await send(message)

        await (refusal or app)(scope, receive, with_headers)

    return guard


def _respond_with_error(error: str, hint: str = "", *, status: int) -> JSONResponse:
    return JSONResponse({"error": error, "hint": hint}, status_code=status)


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HomeportError)
    missing = isinstance(error, NotFound | NotRunning)
    status = 404 if missing else 503 if isinstance(error, Incomplete) else 409
    return Response(json_text(error.as_json()), status_code=status, media_type="application/json")


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _respond_with_error(f"there is no {request.url.path[:80]} here", status=error.status_code)


async def _bad(_: Request, error: Exception) -> Response:
    return _respond_with_error(str(error), status=400)
