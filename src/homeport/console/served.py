"""The console on a socket of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from homeport.console.views import Views
from homeport.errors import HomeportError
from homeport.secret import Secret


async def until_cancelled(
    views: Views, listening: socket.socket, key: Secret, ready: Callable[[str], None]
) -> None:
    """Serve until this is cancelled; `ready` hears the address. Raises `HomeportError` where a library is missing."""
    from homeport.relay.served import served

    try:
        from homeport.console.app import application
    except ImportError as error:
        raise HomeportError(
            f"the console's server is not installed ({error.name})", hint="pip install 'homeport[console]'"
        ) from error
    async with served(application(views, key), listening) as url:
        ready(url)
        await asyncio.Event().wait()
