"""The proxy on a socket of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from homeport import addresses
from homeport.endpoint import Endpoint
from homeport.progress import Progress, Silent
from homeport.relay.served import served
from homeport.secret import Secret

HOST = addresses.LOOPBACK


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
