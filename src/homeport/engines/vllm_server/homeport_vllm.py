"""
Starts vLLM's server in the Python that runs this file; the arguments are those of the `vllm` command.

It stands alone, imports nothing of homeport, and has a folder of its own: it runs in vLLM's environment, where
homeport may not be installed. With HOMEPORT_KEY_ON_STDIN in the environment, one line of JSON is read from
standard input, {"api_key": …}, so that the key is in nobody's argv or environment, and every path but
/health wants it: vLLM's own --api-key leaves paths such as /invocations and /metrics open.
"""

from __future__ import annotations

import hmac
import json
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Scope = MutableMapping[str, Any]  # ASGI's own types
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPEN_PATHS = frozenset({"/health"})
_key = b""
"""Empty until it was read: then nobody is let in, as in a worker that vLLM starts without us."""


class RequireKey:
    """ASGI middleware: whoever does not send the key as a bearer token or `x-api-key` gets 401."""

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan" or scope.get("path") in OPEN_PATHS or _has_key(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            body = json.dumps(
                {"error": {"message": "Invalid API key", "type": "authentication_error", "code": 401}}
            )
            headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": body.encode()})
        else:
            await send({"type": "websocket.close", "code": 1008})


def _has_key(scope: _Scope) -> bool:
    headers = dict(scope.get("headers", ()))
    given = headers.get(b"authorization", b"").removeprefix(b"Bearer ") or headers.get(b"x-api-key", b"")
    return _key != b"" and hmac.compare_digest(given, _key)


def main() -> None:
    """Run `vllm` with this process's arguments."""
    global _key  # noqa: PLW0603 - vLLM makes the middleware itself, with nothing but the app
    if os.environ.get("HOMEPORT_KEY_ON_STDIN"):
        _key = json.loads(sys.stdin.readline())["api_key"].encode()
        sys.argv += ["--middleware", "homeport_vllm.RequireKey"]
        # vLLM imports the middleware by name; it must find this module, which holds the key, not a second copy.
        sys.modules["homeport_vllm"] = sys.modules["__main__"]
    from vllm.entrypoints.cli.main import main as vllm

    vllm()


if __name__ == "__main__":
    main()
