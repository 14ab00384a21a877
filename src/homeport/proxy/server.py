"""The proxy on a socket of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from homeport import addresses
from homeport.endpoint import Endpoint
from homeport.errors import HomeportError
from homeport.progress import Progress, Silent
from homeport.secret import Secret

HOST = addresses.LOOPBACK
_KEPT_ALIVE_S = 75
"""Clients keep connections for a minute at most; the server must not close first."""


def listen(port: int) -> socket.socket:
    """Open a socket on loopback; port 0 takes a free one. Raises `PortTaken`, with a free port."""
    return addresses.listen(
        port, lambda free: f"homeport proxy --port {free}, or --port 0 for any; is a proxy running already?"
    )


@asynccontextmanager
async def running(
    endpoint: Endpoint,
    listening: socket.socket,
    *,
    key: Secret | None,
    models: Sequence[str] = (),
    progress: Progress | None = None,
    cold_start: str = "",
) -> AsyncIterator[str]:
    """
    Yield the proxy's address (`http://127.0.0.1:8384`) while it runs, on a socket that it closes at the end.

    `key` is what clients must show, such as `homeport.door.new_key()`; with None, every program and every user of this
    machine that reaches the port calls the endpoint in the caller's name. `models` are listed without asking the service; where none are named, the service is asked. `cold_start` says in
    words how long a start from zero takes. Raises `HomeportError` where the extra `homeport[cloudrun]` is not
    installed.
    """
    from homeport.proxy.app import ProxyApp

    app = ProxyApp(endpoint, key=key, models=models, progress=progress or Silent(), cold_start=cold_start)
    try:
        async with served(app, listening) as url:
            yield url
    finally:
        await app.aclose()


async def serve(
    endpoint: Endpoint,
    listening: socket.socket,
    *,
    key: Secret | None,
    models: Sequence[str] = (),
    progress: Progress | None = None,
    cold_start: str = "",
) -> None:
    """Run the proxy until this is cancelled. See `running`."""
    async with running(endpoint, listening, key=key, models=models, progress=progress, cold_start=cold_start):
        await asyncio.Event().wait()


@asynccontextmanager
async def served(
    app: Callable[[Any, Any, Any], Awaitable[None]],  # Any: ASGI
    listening: socket.socket,
) -> AsyncIterator[str]:
    """
    Yield the address of an ASGI application while it is served. At the end what is still being answered is
    broken off.
    """
    server = _server(app)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    host, port = listening.getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        answering = list(server.server_state.tasks)
        await serving
        await asyncio.gather(*answering, return_exceptions=True)


def _server(app: Callable[[Any, Any, Any], Awaitable[None]]) -> Any:  # Any: ASGI; see below
    try:
        import uvicorn

        from homeport.proxy.protocol import BoundedProtocol
    except ImportError as error:
        raise HomeportError(
            "the proxy's server is not installed", hint="pip install 'homeport[cloudrun]'"
        ) from error

    class Server(uvicorn.Server):  # A class that exists only where uvicorn is installed: so Any.
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Ctrl-C is for the owner of the event loop.
            yield

    config = uvicorn.Config(
        app, http=BoundedProtocol, ws="none", lifespan="off", log_config=None, log_level="critical", access_log=False,
        proxy_headers=False, server_header=False, date_header=False,
        timeout_keep_alive=_KEPT_ALIVE_S, timeout_graceful_shutdown=0,
    )  # fmt: skip
    return Server(config)
