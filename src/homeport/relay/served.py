"""An application of ASGI, served on a socket that is open already."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from homeport.backoff import Backoff
from homeport.extras import missing

_KEPT_ALIVE_S = 75
"""Clients keep connections for a minute at most; the server must not close first."""
_LAST_WORDS_S = 0.1
"""What is answered in a moment is still sent; what takes longer is broken off."""


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
        server.end()
        answering = list(server.server_state.tasks)
        await serving
        await asyncio.gather(*answering, return_exceptions=True)


def _server(app: Callable[[Any, Any, Any], Awaitable[None]]) -> Any:  # Any: ASGI; see below
    try:
        import uvicorn

        from homeport.relay.protocol import BoundedProtocol
    except ImportError as error:
        raise missing("serving HTTP needs uvicorn and httptools", "cloudrun") from error

    class Server(uvicorn.Server):  # A class that exists only where uvicorn is installed: so Any.
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Ctrl-C is for the owner of the event loop.
            yield

        # uvicorn looks ten times a second whether it shall end, and waits for a tenth of one where nothing is answered.
        def end(self) -> None:
            self.should_exit = True
            ended.set()

        async def main_loop(self) -> None:
            await ended.wait()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await _close(self, sockets or [])

    ended = asyncio.Event()

    config = uvicorn.Config(
        app, http=BoundedProtocol, ws="none", lifespan="off", log_config=None, log_level="critical", access_log=False,
        proxy_headers=False, server_header=False, date_header=False,
        timeout_keep_alive=_KEPT_ALIVE_S, timeout_graceful_shutdown=0,
    )  # fmt: skip
    return Server(config)


async def _close(server: Any, heard: list[socket.socket]) -> None:  # Any: as above
    for listening in [*server.servers, *heard]:
        listening.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    last = Backoff(what="the last answers", within=_LAST_WORDS_S, first=0.001, factor=2, longest=0.02)
    while (state.connections or state.tasks) and await last.pause():
        pass
    for task in state.tasks:
        task.cancel()
