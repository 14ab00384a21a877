"""A door to a Google that answers from a script, for tests."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from homeport.google import Google, Settings
from homeport.google.credentials import Credentials, FixedToken
from homeport.google.validation import Validator
from homeport.progress import Silent
from homeport.secret import Secret

TOKEN = "ya29.a-token-that-nobody-may-see"
YOU = "you@example.com"
Reply = httpx2.Response | Exception
Handler = Callable[[httpx2.Request], Reply]


class Script:
    """Answers requests one after the other, and remembers them. The last answer is given for ever."""

    def __init__(self, *replies: Reply | Handler) -> None:
        self._replies = list(replies)
        self.requests: list[httpx2.Request] = []
        self.times: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if callable(reply) and not isinstance(reply, httpx2.Response | Exception):
            reply = reply(request)
        if isinstance(reply, Exception):
            raise reply
        # An answer that is given for ever must be new each time: it is read once.
        return httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]

    def body(self, number: int) -> Any:  # Any: JSON
        return json.loads(self.requests[number].content)


def says(body: Any = None, status: int = 200, **headers: str) -> httpx2.Response:  # Any: JSON
    """An answer in JSON; underscores in names of headers become hyphens."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json={} if body is None else body, headers=sent)


def refuses(
    status: int, message: str, *, name: str = "", details: list[Any] | None = None, **headers: str
) -> httpx2.Response:  # Any: JSON
    """A refusal in the newer envelope."""
    error = {"code": status, "message": message, "status": name, "details": details or []}
    return says({"error": error}, status, **headers)


def older(status: int, message: str, reason: str) -> httpx2.Response:
    """A refusal in the envelope of Compute, Storage and DNS."""
    one = {"domain": "global", "reason": reason, "message": message}
    return says({"error": {"code": status, "message": message, "errors": [one]}}, status)


def info(reason: str, **metadata: str) -> Mapping[str, Any]:  # Any: JSON
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}


def door(
    script: Callable[[httpx2.Request], Any]
    | httpx2.AsyncBaseTransport,  # Any: an answer, or one that is awaited
    *,
    settings: Settings | None = None,
    credentials: Credentials | None = None,
    validator: Validator | None = None,
    project: str = "p",
) -> Google:
    """Google, whose answers the script gives."""
    transport = script if isinstance(script, httpx2.AsyncBaseTransport) else httpx2.MockTransport(script)
    return Google(
        credentials or Credentials(FixedToken(Secret(TOKEN), YOU)),
        project=project,
        transport=transport,
        settings=settings or Settings(),
        validator=validator,
    )


def jwt(lasts: float = 3600, **claims: object) -> str:
    """An ID token that ends in so many seconds; nobody has signed it."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part({'exp': int(time.time() + lasts), **claims})}.unsigned"


class Heard(Silent):
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def started(self, key: str, what: str) -> None:
        self.told.append(("started", key, what))

    def finished(self, key: str, what: str) -> None:
        self.told.append(("finished", key, what))

    def failed(self, key: str, what: str) -> None:
        self.told.append(("failed", key, what))

    def note(self, text: str) -> None:
        self.told.append(("note", text))
