"""A private service as Cloud Run would have it, on loopback: who calls is checked, it sleeps, and it breaks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2

from homeport.endpoint import Endpoint
from homeport.errors import NoCredentials
from homeport.progress import Progress
from homeport.proxy import listen, running
from homeport.relay.served import served
from homeport.secret import Secret

_T = TypeVar("_T")
NAME, MODEL = "home", "gemma-4-e4b"
KEY = "hp-the-key-of-the-proxy"
SHOWN = {"Authorization": f"Bearer {KEY}"}
HOST = "home-123.us-central1.run.app"
BASE_URL = f"https://{HOST}/v1"
YOU = "you@example.com"
PAGES = {401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Page not found", 413: "413 Request Entity Too Large",
         429: "Rate exceeded.", 503: "503 Service Unavailable"}  # fmt: skip


def id_token(number: int, email: str = YOU) -> str:
    """A token in the shape of a JWT."""
    said = json.dumps({"email": email, "number": number}).encode()
    return f"head.{base64.urlsafe_b64encode(said).rstrip(b'=').decode()}.signature"


class Passport:
    """An identity whose tokens are numbered, and made again when asked to."""

    def __init__(self, *, email: str = YOU, none: bool = False) -> None:
        self.email, self.none, self.number = email, none, 1

    async def token(self) -> Secret:
        if self.none:
            raise NoCredentials("nobody is logged in to Google Cloud", hint="gcloud auth login")
        return Secret(id_token(self.number, self.email))

    async def renewed(self, stale: Secret) -> Secret:
        if stale == await self.token():
            self.number += 1
        return await self.token()

    async def who(self) -> str:
        return self.email


@dataclass
class Seen:
    """A request as it reached the engine, past the front."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)
    peer: tuple[str, int] | None = None

    def header(self, name: str) -> str | None:
        found = [value.decode() for key, value in self.headers if key == name.encode()]
        return ", ".join(found) if found else None


class Service:
    """The front and the engine. What it does next is up to the test."""

    def __init__(self) -> None:
        self.taken = id_token(1)
        """The one token that is good."""
        self.lets_in = True
        """Whether the caller holds the role."""
        self.starting: deque[int] = deque()
        """What it answers before it is awake."""
        self.retry_after = "0"
        self.awake = asyncio.Event()
        """Requests are held until then."""
        self.awake.set()
        self.asked = 0
        """Requests that came as far as the front: each would wake it."""
        self.seen: list[Seen] = []
        self.arrived = asyncio.Event()
        """Set when a piece of a body, be it empty, is at the engine."""
        self.tokens: list[str | None] = []
        self.hosts: list[str | None] = []
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        """What /v1/pieces answers with, one by one; None ends it."""
        self.gone = asyncio.Event()
        """Set when a client of /v1/pieces is gone before the end."""
        self.reply: Sequence[bytes] = ()
        self.reply_headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        self.asked += 1
        seen = Seen(scope["method"], _target(scope), scope["headers"], peer=scope["client"])
        self.tokens.append(seen.header("authorization"))
        self.hosts.append(seen.header("host"))
        status = self._front(seen)
        if status != 200:
            await self._page(send, status)
            return
        await self.awake.wait()
        self.seen.append(seen)
        engine = {"/v1/pieces": self._pieces, "/v1/broken": self._broken, "/v1/refused": self._refused,
                  "/v1/chat/completions": self._chat, "/v1/models": self._models}  # fmt: skip
        await engine.get(scope["path"], self._echo)(seen, receive, send)

    def _front(self, seen: Seen) -> int:
        token = (seen.header("authorization") or "").removeprefix("Bearer ")
        if not token or not self.lets_in:
            return 403
        if token != self.taken:
            return 401
        if int(seen.header("content-length") or 0) > 32 * 2**20:
            return 413
        return self.starting.popleft() if self.starting else 200

    async def _page(self, send: Any, status: int) -> None:
        page = f"<html><head><title>{PAGES[status]}</title></head><body>…</body></html>".encode()
        headers = [(b"content-type", b"text/html; charset=UTF-8")]
        if status in {429, 503} and self.retry_after:
            headers.append((b"retry-after", self.retry_after.encode()))
        await _whole(send, status, headers, page)

    async def _read(self, seen: Seen, receive: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            seen.body += message["body"]
            self.arrived.set()
            if not message.get("more_body"):
                return

    async def _echo(self, seen: Seen, receive: Any, send: Any) -> None:
        """Answers with `reply`, or with what was sent."""
        await self._read(seen, receive)
        headers = self.reply_headers or [(b"content-type", b"application/octet-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in self.reply or [bytes(seen.body)]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _pieces(self, seen: Seen, receive: Any, send: Any) -> None:
        await self._read(seen, receive)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        leaving = asyncio.ensure_future(receive())
        while True:
            piece = asyncio.ensure_future(self.pieces.get())
            await asyncio.wait({leaving, piece}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                piece.cancel()
                self.gone.set()
                return
            body = piece.result()
            await send({"type": "http.response.body", "body": body or b"", "more_body": body is not None})
            if body is None:
                leaving.cancel()
                return

    async def _broken(self, seen: Seen, receive: Any, send: Any) -> None:
        await self._read(seen, receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: half", "more_body": True})

    async def _refused(self, seen: Seen, receive: Any, send: Any) -> None:
        await self._read(seen, receive)
        body = json.dumps({"error": {"message": "the engine's own"}}).encode()
        await _whole(send, 403, [(b"content-type", b"application/json")], body)

    async def _models(self, seen: Seen, receive: Any, send: Any) -> None:
        listed = {"object": "list", "data": [{"id": "of-the-engine", "object": "model"}]}
        await _whole(send, 200, [(b"content-type", b"application/json")], json.dumps(listed).encode())

    async def _chat(self, seen: Seen, receive: Any, send: Any) -> None:
        await self._read(seen, receive)
        asked = json.loads(seen.body)
        words = asked["messages"][-1]["content"].split()
        if not asked.get("stream"):
            answer = _chunk({"role": "assistant", "content": " ".join(words)}, "message", "stop")
            await _whole(send, 200, [(b"content-type", b"application/json")], json.dumps(answer).encode())
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in words:
            event = f"data: {json.dumps(_chunk({'content': word}, 'delta', None))}\n\n".encode()
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


@asynccontextmanager
async def reached(service: Service, identity: Passport | None = None) -> AsyncIterator[Endpoint]:
    """The endpoint of a service that runs, called by `identity`. It has the address that it would have in the cloud."""
    async with served(service, listen(0)) as url:
        yield Endpoint(name=NAME, base_url=BASE_URL, model=MODEL, identity=identity or Passport(), via=url)


@asynccontextmanager
async def proxied(
    service: Service,
    identity: Passport | None = None,
    *,
    key: str = KEY,
    models: Sequence[str] = (MODEL,),
    progress: Progress | None = None,
) -> AsyncIterator[str]:
    """The address of a proxy before a service that runs."""
    end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        endpoint = await _begun(group, reached(service, identity), end)
        before = running(
            endpoint, listen(0), key=Secret(key), models=models, progress=progress, cold_start="about 95 s"
        )
        try:
            yield await _begun(group, before, end)
        finally:
            end.set()


async def _begun(group: asyncio.TaskGroup, stage: AbstractAsyncContextManager[_T], end: asyncio.Event) -> _T:
    """What `stage` gives. It is left at the `end`, by itself: servers take their time, and need not do so in turn."""
    begun: asyncio.Future[_T] = asyncio.get_running_loop().create_future()

    async def held() -> None:
        async with stage as given:
            begun.set_result(given)
            await end.wait()

    group.create_task(held())
    return await begun


def scene(
    play: Callable[[Service, httpx2.AsyncClient], Coroutine[Any, Any, None]],
    service: Service | None = None,
    **options: Any,
) -> Service:
    """The service after `play`, which has a client of a proxy before it, and its key. Options are those of `proxied`."""
    service = service or Service()

    async def played() -> None:
        async with (
            proxied(service, **options) as url,
            httpx2.AsyncClient(
                base_url=url, trust_env=False, verify=False, timeout=60, headers=SHOWN
            ) as client,
        ):
            await play(service, client)

    asyncio.run(played())
    return service


async def _whole(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _target(scope: Any) -> bytes:
    query = scope["query_string"]
    return bytes(scope["raw_path"] + (b"?" + query if query else b""))


def _chunk(content: dict[str, str], key: str, finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, key: content, "finish_reason": finish}
    kind = "chat.completion" if key == "message" else "chat.completion.chunk"
    return {"id": "c", "object": kind, "created": 0, "model": MODEL, "choices": [choice]}
