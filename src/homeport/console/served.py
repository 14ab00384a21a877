"""The console on a socket of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from homeport.console.views import Views
from homeport.extras import missing
from homeport.secret import Secret


async def until_cancelled(
    views: Views, listening: socket.socket, key: Secret, ready: Callable[[str], None]
) -> None:
    """Serve until this is cancelled; `ready` hears the address. Raises `ExtraMissing` where a library is missing."""
    from homeport.relay.served import served

    try:
        from homeport.console.app import application
    except ImportError as error:
        raise missing(f"the console needs {error.name}", "console") from error
    async with served(application(views, key), listening) as url:
        ready(url)
        await asyncio.Event().wait()
