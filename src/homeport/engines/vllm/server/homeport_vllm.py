"""
Starts vLLM's server in the Python that runs this file; the arguments are those of the `vllm` command.

It stands alone, imports nothing of homeport, and has a folder of its own: it runs in vLLM's environment, where
homeport may not be installed. With HOMEPORT_KEY_ON_STDIN in the environment, one line of JSON is read from
standard input, {"api_key": …}, so that the key is in nobody's argv or environment, and every path but
/health wants it: vLLM's own --api-key leaves paths such as /invocations and /metrics open. Where it listens on
loopback, it answers to names of this machine only: no web page reaches it under a name of its own.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Scope = MutableMapping[str, Any]  # Any: ASGI
_Message = MutableMapping[str, Any]  # Any: ASGI
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

_AUTHORITY = re.compile(rb"([A-Za-z0-9.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?")
"""As in homeport's own `door`, which cannot be imported here."""
OPEN_PATHS = frozenset({"/health"})
_key = b""
"""Empty until it was read: then nobody is let in, as in a worker that vLLM starts without us."""


class RequireKey:
    """ASGI middleware: a request without the key, as a bearer token or `x-api-key`, gets 401."""

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan" or scope.get("path") in OPEN_PATHS or _has_key(scope):
            await self._app(scope, receive, send)
        else:
            await _refuse(scope, send, 401, "Invalid API key", "authentication_error")


class KnownHost:
    """ASGI middleware: a request under another name than one of this machine's gets 403."""

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        hosts = [value for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] == "lifespan" or (len(hosts) == 1 and _is_own_name(hosts[0])):
            await self._app(scope, receive, send)
        else:
            named = b", ".join(hosts).decode("latin-1") or "a request without a host"
            await _refuse(
                scope, send, 403, f"this port is for localhost, not for {named}", "permission_error"
            )


async def _refuse(scope: _Scope, send: _Send, status: int, message: str, kind: str) -> None:
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"error": {"message": message, "type": kind, "code": status}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _is_own_name(host: bytes) -> bool:
    authority = _AUTHORITY.fullmatch(host)
    if authority is None or (authority[2] is not None and not 0 < int(authority[2]) < 65536):
        return False
    return _is_loopback(authority[1].decode("ascii").lower())


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name[1:-1] if name.startswith("[") else name).is_loopback
    except ValueError:
        return False


def _has_key(scope: _Scope) -> bool:
    headers = dict(scope.get("headers", ()))
    presented = headers.get(b"authorization", b"").removeprefix(b"Bearer ") or headers.get(b"x-api-key", b"")
    return _key != b"" and hmac.compare_digest(presented, _key)


def main() -> None:
    """Run `vllm` with this process's arguments."""
    global _key  # noqa: PLW0603 - vLLM makes the middleware itself, with nothing but the app
    if os.environ.get("HOMEPORT_KEY_ON_STDIN"):
        _key = json.loads(sys.stdin.readline())["api_key"].encode()
        sys.argv += ["--middleware", "homeport_vllm.RequireKey"]
    if "--host" in sys.argv and _is_loopback(sys.argv[sys.argv.index("--host") + 1]):
        sys.argv += ["--middleware", "homeport_vllm.KnownHost"]
    # vLLM imports the middleware by name; it must find this module, which holds the key, not a second copy.
    sys.modules["homeport_vllm"] = sys.modules["__main__"]
    from vllm.entrypoints.cli.main import main as vllm

    vllm()


if __name__ == "__main__":
    main()
