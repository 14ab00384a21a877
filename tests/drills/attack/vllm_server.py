"""homeport's middleware before a stand-in for vLLM, on a socket: what it says first is one line of JSON."""

from __future__ import annotations

import json
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

import homeport.engines
from attack.stage import WORDS

sys.path.insert(0, str(Path(homeport.engines.__file__).parent / "vllm" / "server"))
import homeport_vllm  # type: ignore[import-not-found]


async def _engine(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:  # Any: ASGI
    if scope["type"] != "http":
        return
    body = (
        b"" if scope["path"] in homeport_vllm.OPEN_PATHS else json.dumps({"data": [{"id": WORDS}]}).encode()
    )
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until SIGTERM."""
    key = secrets.token_hex(24)
    homeport_vllm._key = key.encode()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(json.dumps({"port": listening.getsockname()[1], "key": key}), flush=True)
        config = uvicorn.Config(
            homeport_vllm.KnownHost(homeport_vllm.RequireKey(_engine)),
            log_config=None,
            log_level="critical",
            lifespan="off",
            ws="none",
        )
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
