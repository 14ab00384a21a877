"""
Envoy as the load balancers of a rehearsal: a process with what was created, started again where that changes.

It listens on sockets in a folder of its own, which only this user can reach. A process whose configuration is out of date
ends when its last request has: counts of limits start at zero then.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from gcp_rehearsal.apis.compute.references import at
from gcp_rehearsal.cloud import Dropped
from gcp_rehearsal.errors import RehearsalError
from gcp_rehearsal.runtime.balancing import Listener, LoadBalancers, ServerlessGoal
from gcp_rehearsal.runtime.content_callouts import ContentCallouts
from gcp_rehearsal.runtime.envoy_callouts import EnvoyProcessor
from gcp_rehearsal.runtime.envoy_certificates import of_googles_own
from gcp_rehearsal.runtime.envoy_config import GOAL_HEADER, INTERNAL, NO_TAG, EnvoyConfig, Shown, Way
from gcp_rehearsal.runtime.front_end import HOPS, Front, Receive, Send, SentAnswer, read_body
from gcp_rehearsal.runtime.process_guard import ProcessGuard
from gcp_rehearsal.runtime.request_refused import RequestRefused

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud
    from gcp_rehearsal.state import StoredResource

_STARTS_WITHIN_S = 30.0
_LOOKS_EVERY_S = 0.05


@dataclass(slots=True)
class _Generation:
    """One process, and what it was told."""

    told: Mapping[str, Any]  # Any: JSON
    folder: Path
    shown: dict[str, Shown]
    """By the name of the forwarding rule."""
    process: subprocess.Popen[bytes] | None = None
    asked: int = 0
    """How many requests go through it now."""
    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)


class EnvoyFront:
    """Sends requests to the hosts of load balancers through Envoy, and takes them back from it."""

    def __init__(self, cloud: Cloud, balancers: LoadBalancers, front: Front, program: str) -> None:
        self._cloud, self._balancers, self._front, self._program = cloud, balancers, front, program
        self._secret = secrets.token_urlsafe(24)
        self._one = asyncio.Lock()
        self._now: _Generation | None = None
        self._all: list[_Generation] = []
        self._count = itertools.count()
        self._guard = ProcessGuard()
        self._base = Path(tempfile.mkdtemp(prefix="edge-"))
        self._processor = EnvoyProcessor(ContentCallouts(cloud), self._base, self._secret)

    def goal(self, headers: list[tuple[str, str]]) -> ServerlessGoal | None:
        """Return the service that Envoy chose for a request that comes from it; None for a request of somebody else's."""
        words = dict(headers).get(GOAL_HEADER, "").split(" ")
        if len(words) != 4 or not secrets.compare_digest(words[0].encode(), self._secret.encode()):
            return None
        return ServerlessGoal(words[1], "" if words[2] == NO_TAG else words[2], internal=words[3] == INTERNAL)

    async def arrived(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, goal: ServerlessGoal
    ) -> None:  # Any: ASGI
        """Hand on to Cloud Run what Envoy let through."""
        headers = [header for header in scope["headers"] if header[0].lower() != GOAL_HEADER.encode()]
        await self._front({**scope, "headers": headers}, receive, send, goal)

    async def __call__(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, host: str, *, within: bool
    ) -> None:  # Any: ASGI
        """Answer one request through Envoy, by TLS. Raises `Dropped` where the handshake fails."""
        listener = self._balancers.secure(host, within=within)
        if listener is None:
            raise Dropped
        answer = SentAnswer(send)
        try:
            body = await read_body(receive, {})
            generation = await self._current(scope["server"][1])
        except RequestRefused as why:
            await answer.refuse(why)
            return
        except RehearsalError as why:
            await answer.refuse(RequestRefused(502, "Bad Gateway", f"{why}; {why.hint}"))
            return
        generation.asked += 1
        try:
            through = self._through(generation, listener, scope, body, answer)
            await self._front.until_gone(receive, through)
        except httpx2.TransportError as error:
            if not answer.begun:
                raise Dropped from error
        finally:
            generation.asked -= 1
            self._end_those_out_of_date()

    def close(self) -> None:
        """End every process."""
        for generation in self._all:
            _end(generation, self._guard)
        self._all.clear()
        self._now = None
        self._guard.close()
        self._processor.close()
        shutil.rmtree(self._base, ignore_errors=True)

    async def _through(
        self, generation: _Generation, listener: Listener, scope: Mapping[str, Any], body: bytes, answer: SentAnswer
    ) -> None:  # fmt: skip  # Any: ASGI
        client = self._client(generation, listener)
        sent = [
            (key, value)
            for key, value in scope["headers"]
            if key.decode("latin-1").lower() not in HOPS - {"host"}
        ]
        host = next(value.decode("latin-1") for key, value in sent if key.lower() == b"host")
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        if "://" in path:
            path = f"/{path.partition('://')[2].partition('/')[2]}"
        query = scope["query_string"].decode("latin-1")
        url = f"https://{host.partition(':')[0]}{path}{f'?{query}' if query else ''}"
        sent = [header for header in sent if header[0].lower() != b"content-length"]
        async with client.stream(scope["method"], url, headers=sent, content=body or None) as response:
            headers = [
                (key, value) for key, value in response.headers.raw if key.decode().lower() not in HOPS
            ]
            await answer.begin(response.status_code, headers)
            await answer.pieces(response.aiter_raw())

    async def _current(self, port: int) -> _Generation:
        """Return a process that has what is in the cloud now."""
        async with self._one:
            config = EnvoyConfig(
                self._cloud, self._balancers, Way(port=port, secret=self._secret, folder=self._base)
            )
            self._processor.learn(self._balancers.listeners())
            document = config.whole(self._shown(Path("@")))
            if self._now is not None and self._now.told == document and _runs(self._now):
                return self._now
            folder = self._base / str(next(self._count))
            folder.mkdir()
            shown = self._shown(folder)
            generation = _Generation(
                document, folder, {exposed.listener.rule.name: exposed for exposed in shown}
            )
            (folder / "envoy.json").write_text(json.dumps(config.whole(shown)))
            self._all.append(generation)
            try:
                await asyncio.to_thread(self._start, generation)
            finally:
                # It holds a private key, which must not stay where the rehearsal is killed.
                (folder / "envoy.json").unlink()
            self._now = generation
            self._end_those_out_of_date()
            return generation

    def _shown(self, folder: Path) -> list[Shown]:
        """Return the listeners that Envoy can listen for: those whose certificates have come."""
        shown = []
        for number, listener in enumerate(
            sorted(self._balancers.listeners(), key=lambda listener: listener.rule.name)
        ):
            place = folder / f"{number}.sock"
            if not listener.secure:
                shown.append(Shown(listener=listener, socket=place))
                continue
            pair = self._pair(listener)
            if pair is not None:
                shown.append(Shown(listener=listener, socket=place, certificate=pair[0], key=pair[1]))
        return shown

    def _pair(self, listener: Listener) -> tuple[str, str] | None:
        hosts = sorted(host for host in listener.hosts if self._balancers.has_certificate(listener, host))
        if not hosts:
            return None
        for named in listener.proxy.body.get("sslCertificates") or ():
            own: StoredResource | None = at(self._cloud, str(named))
            if own is not None and own.hidden.get("key"):
                return str(own.body["certificate"]), str(own.hidden["key"])
        return of_googles_own(tuple(hosts))

    def _start(self, generation: _Generation) -> None:
        with (generation.folder / "log").open("wb") as log:
            generation.process = subprocess.Popen(
                [self._program, "-c", str(generation.folder / "envoy.json"), "--concurrency", "1", "--disable-hot-restart",
                 "--log-level", "warning", "--drain-time-s", "1"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._guard.watch(generation.process.pid)
        until = time.monotonic() + _STARTS_WITHIN_S
        while not all(_listens(exposed.socket) for exposed in generation.shown.values()):
            if generation.process.poll() is not None or time.monotonic() > until:
                output = (generation.folder / "log").read_text(errors="replace").strip().splitlines()
                self._all.remove(generation)
                _end(generation, self._guard)
                raise RehearsalError(
                    f"Envoy does not take what was created: {output[-1] if output else 'it says nothing'}",
                    hint="take envoy off the PATH: the rehearsal's own front answers then",
                )
            time.sleep(_LOOKS_EVERY_S)

    def _client(self, generation: _Generation, listener: Listener) -> httpx2.AsyncClient:
        name = listener.rule.name
        if name not in generation.clients:
            shown = generation.shown[name]
            # Whose certificate it is was checked when it was made; here it must hold for the name, and not be over.
            trusted = ssl.create_default_context(cadata=shown.certificate)
            trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            transport = httpx2.AsyncHTTPTransport(
                uds=str(shown.socket),
                verify=trusted,
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            )
            generation.clients[name] = httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False)
        return generation.clients[name]

    def _end_those_out_of_date(self) -> None:
        for outdated in [
            generation for generation in self._all if generation is not self._now and not generation.asked
        ]:
            self._all.remove(outdated)
            _end(outdated, self._guard)


def _runs(generation: _Generation) -> bool:
    return generation.process is not None and generation.process.poll() is None


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(str(path)) == 0


def _end(generation: _Generation, guard: ProcessGuard) -> None:
    if generation.process is None:
        return
    generation.process.kill()  # It has nothing to put in order.
    generation.process.wait()
    guard.release(generation.process.pid)


__all__ = ["EnvoyFront"]
