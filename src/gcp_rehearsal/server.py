"""The rehearsal on a socket of loopback, for other programs: gcloud, Google's clients, Terraform."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gcp_rehearsal.apis.monitoring.alerting import UPTIME_CHECKS
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.cloud import Cloud, Dropped
from gcp_rehearsal.door import DOOR, RequestTarget
from gcp_rehearsal.errors import ApiError, FaultError, PortError, RehearsalError, invalid
from gcp_rehearsal.faults import parse as parse_fault
from gcp_rehearsal.runtime import metadata_server
from gcp_rehearsal.runtime.balancing import LoadBalancers
from gcp_rehearsal.runtime.launch_adaptation import HOST
from gcp_rehearsal.runtime.processes import INSTANCES, METRICS, Engines

if TYPE_CHECKING:
    from gcp_rehearsal.runtime.api_gateway_front import ApiGatewayFront
    from gcp_rehearsal.runtime.content_callouts import ContentCallouts
    from gcp_rehearsal.runtime.edge_front import EdgeFront
    from gcp_rehearsal.runtime.envoy import EnvoyFront
    from gcp_rehearsal.runtime.front_end import Front
    from gcp_rehearsal.runtime.managed_prometheus import ManagedPrometheus
    from gcp_rehearsal.runtime.uptime_probes import UptimeProbes

FAULTS = "/rehearsal/v1/faults"
"""Where faults are planted while it runs: the text of one by POST, none any more by DELETE."""
_TICK_S = 0.2
_GATEWAYS = ".gateway.dev"
_OWN_PATHS = {"storage": "storage", "upload": "storage", "download": "storage", "resumable": "storage",
              "compute": "compute", "dns": "dns", "apis": "run"}  # fmt: skip
"""APIs whose paths tell which one is meant, for clients that send no host of Google's."""

Message = dict[str, Any]  # Any: ASGI
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class App:
    """
    The cloud as an ASGI application. It is a proxy, too: clients may ask it for Google's own addresses.

    A client of the port `inside` counts as within the project's networks, everybody else as on the internet. With the
    program of an `envoy`, that stands for the load balancers. `each_time` is done a few times a second.
    """

    def __init__(
        self, cloud: Cloud, *, inside: int = 0, envoy: str = "", each_time: Callable[[], None] = lambda: None
    ) -> None:
        self._cloud, self._inside, self._program, self._each_time = cloud, inside, envoy, each_time
        self._ticking: asyncio.Task[None] | None = None
        self._balancers = LoadBalancers(cloud)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection's request."""
        if scope["type"] != "http":
            return
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        try:
            target = DOOR.request_target(scope["raw_path"].decode("latin-1"), headers, balanced=self._stands)
            within = (scope.get("server") or ("", 0))[1] == self._inside
            if target.balanced:
                await self._balanced(scope, receive, send, target.host, headers, within=within)
                return
            if target.is_service:
                await self._front(scope, receive, send, target.host, within=within)
                return
            reply = await self._reply(target.path, await _request(target, dict(headers), scope, receive))
        except ApiError as error:
            reply = self._cloud.refused("", error)
        except Dropped:
            # The server closes a connection whose promised body does not come.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            return
        body = reply.body or b""
        answered = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        if reply.status != 204:
            answered.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": answered})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    @cached_property
    def _front(self) -> Front:
        from gcp_rehearsal.runtime.front_end import Front  # With its HTTP client, which takes time to load.

        return Front(self._cloud)

    @cached_property
    def _gateways(self) -> ApiGatewayFront:
        from gcp_rehearsal.runtime.api_gateway_front import ApiGatewayFront

        return ApiGatewayFront(self._cloud)

    def _stands(self, host: str) -> bool:
        """Tell whether a load balancer or a gateway that was made here answers to a host."""
        return self._balancers.names(host) or (host.endswith(_GATEWAYS) and self._gateways.names(host))

    @cached_property
    def _edge(self) -> EdgeFront:
        from gcp_rehearsal.runtime.edge_front import EdgeFront

        return EdgeFront(self._balancers, self._front, self._callouts)

    @cached_property
    def _callouts(self) -> ContentCallouts:
        from gcp_rehearsal.runtime.content_callouts import ContentCallouts

        return ContentCallouts(self._cloud)

    @cached_property
    def _envoy(self) -> EnvoyFront:
        from gcp_rehearsal.runtime.envoy import EnvoyFront

        return EnvoyFront(self._cloud, self._balancers, self._front, self._program)

    @cached_property
    def _uptime(self) -> UptimeProbes:
        from gcp_rehearsal.runtime.uptime_probes import UptimeProbes

        return UptimeProbes(self._cloud, self._front)

    async def _balanced(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, host: str, headers: list[tuple[str, str]],
        *, within: bool,
    ) -> None:  # fmt: skip  # Any: ASGI
        if self._gateways.names(host):
            await self._gateways(scope, receive, send, host, self._front)
            return
        if not self._program:
            await self._edge(scope, receive, send, host, within=within)
            return
        goal = self._envoy.goal(headers)
        if goal is not None:
            await self._envoy.arrived(scope, receive, send, goal)
        else:
            await self._envoy(scope, receive, send, host, within=within)

    def close(self) -> None:
        """End the Envoy that it has started."""
        if "_envoy" in self.__dict__:
            self._envoy.close()

    async def _reply(self, path: str, request: Request) -> Reply:
        containers = self._cloud.containers
        if path == FAULTS:
            self._cloud.access.caller(request.headers)
            return self._faults(request)
        if path in {INSTANCES, METRICS}:
            self._cloud.access.caller(request.headers)
            return self._instances() if path == INSTANCES else self._metrics()
        address, _, rest = path.removeprefix(f"{INSTANCES}/").partition("/")
        if path.startswith(f"{INSTANCES}/") and isinstance(containers, Engines):
            account = containers.account(address)
            if account is None:
                return Reply(status=404, body=b"")
            return await metadata_server.reply(
                self._cloud, account, self._cloud.projects[0].id, f"/{rest}", request
            )
        return await self._cloud.handle(request)

    def _faults(self, request: Request) -> Reply:
        """Return the faults that are planted, with the one that a POST names; none after a DELETE. Raises `ApiError` for what is no fault."""
        if request.verb == "DELETE":
            self._cloud.faults.clear()
        elif request.verb == "POST":
            try:
                self._cloud.faults.append(parse_fault((request.body or b"").decode()))
            except (FaultError, UnicodeDecodeError) as error:
                raise invalid(str(error)) from error
        planted = {"faults": [fault.method for fault in self._cloud.faults]}
        return Reply(body=json.dumps(planted).encode(), headers={"content-type": "application/json"})

    def _instances(self) -> Reply:
        containers = self._cloud.containers
        instances = containers.report() if isinstance(containers, Engines) else []
        status = {"instances": instances, "speed": self._cloud.clock.speed}
        return Reply(body=json.dumps(status, indent=1).encode(), headers={"content-type": "application/json"})

    def _metrics(self) -> Reply:
        containers = self._cloud.containers
        text = ""
        if isinstance(containers, Engines):
            text = containers.counts.text(
                [(instance.revision, instance.works) for instance in containers.running()]
            )
        text += self._uptime.text()
        return Reply(body=text.encode(), headers={"content-type": "text/plain; version=0.0.4"})

    async def _tick(self) -> None:
        """Let time pass where nobody asks anything: instances go when they are idle."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._cloud.clock.settle()
            self._each_time()
            if next(self._cloud.store.of("monitoring", UPTIME_CHECKS), None) is not None:
                self._uptime.look()


def listen(port: int) -> socket.socket:
    """Return a socket on loopback; port 0 takes a free one. Raises `PortError`."""
    # By its protocol asyncio knows that it is TCP, and sends small pieces at once; else each waits 40 ms for the last.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # A client that is told the address may connect at once, and waits a moment.
    except OSError as error:
        listening.close()
        with socket.create_server((HOST, 0)) as other:
            free = int(other.getsockname()[1])
        raise PortError(f"port {port} cannot be had: {error.strerror}", free=free) from error
    return listening


def end_in_order() -> None:
    """Let SIGTERM end this program as Ctrl-C does, with what is to be done at its end. Before it writes what goes then."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def serve(
    cloud: Cloud,
    listening: socket.socket,
    *,
    inside: socket.socket | None = None,
    envoy: str = "",
    prometheus: str = "",
) -> None:
    """
    Answer until Ctrl-C or SIGTERM, then end what runs.

    A client of `inside` counts as within the project's networks, and so does what an instance sends through one, with or
    without it; `envoy` is the program that stands for load balancers, and `prometheus` the one that stands for Managed
    Prometheus, '' for none. Raises `RehearsalError` where the server is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise RehearsalError(
            "the rehearsal's server is not installed", hint="pip install 'homeport[rehearse]'"
        ) from error
    inside = inside or listen(0)
    if isinstance(cloud.containers, Engines):
        cloud.containers.url, cloud.containers.inside = map(_address, (listening, inside))
    measured = _measured(cloud, prometheus)
    look = measured.look if measured else lambda: None
    app = App(cloud, inside=inside.getsockname()[1], envoy=envoy, each_time=look)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        lifespan="off",
        http="h11",  # It refuses a request with two hosts, and hands on a whole address as it came.
        ws="none",
        timeout_graceful_shutdown=3,
    )
    end_in_order()  # The server hands SIGTERM on when it has ended; what follows must be done all the same.
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening, inside])
    finally:
        app.close()
        if measured is not None:
            measured.close()
        if isinstance(cloud.containers, Engines):
            cloud.containers.shutdown()


def _address(listening: socket.socket) -> str:
    return f"http://{HOST}:{listening.getsockname()[1]}"


def _measured(cloud: Cloud, program: str) -> ManagedPrometheus | None:
    """Let a Prometheus stand for Managed Prometheus; return it, None without a program or where nothing runs."""
    if not program or not isinstance(cloud.containers, Engines):
        return None
    from gcp_rehearsal.runtime.managed_prometheus import ManagedPrometheus  # With its HTTP client, as above.

    cloud.metrics = prometheus = ManagedPrometheus(cloud, cloud.containers, program, cloud.containers.url)
    return prometheus


async def _request(
    target: RequestTarget,
    headers: dict[str, str],
    scope: Mapping[str, Any],  # Any: ASGI
    receive: Receive,
) -> Request:
    headers.setdefault("x-forwarded-proto", "http")
    host = target.host
    if not host.endswith(".googleapis.com"):
        api = _OWN_PATHS.get(target.path.strip("/").partition("/")[0])
        host = f"{api}.googleapis.com" if api else host
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Dropped  # Half a body asks for nothing: that of a policy would take away what all may do.
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return Request(
        verb=scope["method"],
        host=host,
        path=target.path,
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=b"".join(pieces),
    )
