"""
Cloud Run's front end: who may call, to which revision, when an instance is free.

Its answers are in the words of Google's documents and of public reports: without a token 403, with one that
cannot be verified 401, for a stranger 403. They were not compared with live ones.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

import httpx2

from gcp_rehearsal.apis.iam.tokens import verify_id_token
from gcp_rehearsal.apis.iap.standing import stands_before
from gcp_rehearsal.apis.run import revisions, services
from gcp_rehearsal.cloud import Dropped
from gcp_rehearsal.credentials import GCLOUD
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.facts import cloud_run
from gcp_rehearsal.faults import REQUESTS
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.runtime.balancing import ServerlessGoal
from gcp_rehearsal.runtime.iap_front import through_iap
from gcp_rehearsal.runtime.instance import Instance
from gcp_rehearsal.runtime.launch_adaptation import HOST
from gcp_rehearsal.runtime.processes import Engines
from gcp_rehearsal.runtime.request_queue import NoInstance, NotStarted
from gcp_rehearsal.runtime.request_refused import RequestRefused
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

Message = dict[str, Any]  # Any: ASGI
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HOPS = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
}
_FROM_BALANCERS = frozenset({"INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"})
_FROM_INTERNAL_BALANCERS = frozenset({"INGRESS_TRAFFIC_INTERNAL_ONLY"})
"""What an internal Application Load Balancer is let in by besides, by Google's page on ingress settings."""
_SIGNATURE = "SIGNATURE_REMOVED_BY_GOOGLE"


class Front:
    """Answers requests to the hosts of services, `*.run.app`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._random = Random()  # noqa: S311 - traffic, not secrets
        self._client = httpx2.AsyncClient(
            trust_env=False,
            verify=False,  # It speaks to containers of this machine, in clear.
            timeout=None,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def __call__(
        self,
        scope: Mapping[str, Any],  # Any: ASGI
        receive: Receive,
        send: Send,
        asked: str | ServerlessGoal,
        *,
        within: bool = False,
    ) -> None:
        """
        Answer one request for a host, which comes from `within` the project's networks or from outside; or for the goal
        of a load balancer.
        """
        self._cloud.clock.settle()
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        answer = SentAnswer(send)
        try:
            if isinstance(asked, ServerlessGoal):
                service, tag = self._balanced(asked)
            else:
                service, tag = self._service(asked.partition(":")[0], within=within)
            await self._strike(service)
            if stands_before(self._cloud, service):
                headers = through_iap(self._cloud, service, str(scope.get("path", "")), headers)
            else:
                headers = self._admitted(service, headers)
            revision = self._revision(service, tag)
            body = await read_body(receive, dict(headers))
            seconds = float(str(revision.body.get("timeout", "300s")).removesuffix("s"))
            await self.until_gone(receive, self._within(seconds, revision, scope, (headers, body), answer))
        except RequestRefused as why:
            await answer.refuse(why)

    async def _strike(self, service: StoredResource) -> None:
        """Let the faults strike that are planted for requests to a service. Raises `RequestRefused` or `Dropped`."""
        _, _, _, region, _, name = service.name.split("/")
        planted = [fault for fault in self._cloud.faults if fault.of_requests]
        for fault in [one for one in planted if one.strikes(f"{REQUESTS}.{region}.{name}")]:
            if fault.delay:
                await self._cloud.clock.sleep(fault.delay)
            if fault.drop:
                raise Dropped
            if fault.status:
                raise RequestRefused(fault.status, "Error", "The rehearsal was told to refuse it.")

    def _service(self, host: str, *, within: bool) -> tuple[StoredResource, str]:
        tag, split, rest = host.partition("---")
        for service in self._cloud.store.of("run", services.COLLECTION):
            if f"https://{rest if split else host}" in service.body.get("urls", ()):
                everywhere = service.body.get("ingress", "INGRESS_TRAFFIC_ALL") == "INGRESS_TRAFFIC_ALL"
                if not everywhere and not within:
                    break
                return service, tag if split else ""
        raise _not_found()

    def _balanced(self, goal: ServerlessGoal) -> tuple[StoredResource, str]:
        service = self._cloud.store.get("run", goal.service)
        ingress = service.body.get("ingress", "INGRESS_TRAFFIC_ALL") if service else ""
        admitted = _FROM_BALANCERS | (_FROM_INTERNAL_BALANCERS if goal.internal else frozenset())
        if service is None or ingress not in admitted:
            raise _not_found()
        return service, goal.tag

    def _admitted(self, service: StoredResource, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the headers as they are handed on, if the sender may call. Raises `EndpointError`."""
        access, may = self._cloud.access, "run.routes.invoke"
        if service.body.get("invokerIamDisabled") or access.anybody(may, "run", service.name):
            return headers
        by_name = dict(headers)
        name = "x-serverless-authorization" if "x-serverless-authorization" in by_name else "authorization"
        scheme, _, token = by_name.get(name, "").partition(" ")
        if not token:
            raise _forbidden()
        try:
            claims = verify_id_token(self._cloud, token) if scheme.lower() == "bearer" else {}
        except (ApiError, ValueError, KeyError):
            claims = {}
        caller = Caller(str(claims.get("email", "")))
        if not claims or claims.get("aud") not in self._audiences(service, caller):
            text = "The access token could not be verified"
            raise RequestRefused(
                401, "Unauthorized", "Your client does not have permission to the requested URL.",
                challenge=f'Bearer error="invalid_token" error_description="{text}"',
            )  # fmt: skip
        if not access.held(caller, [may], "run", service.name, service.project):
            raise _forbidden()
        if name != "authorization" and self._cloud.strips_proof:
            return [(key, value) for key, value in headers if key != name]
        unsigned = f"{scheme} {token.rpartition('.')[0]}.{_SIGNATURE}"
        return [(key, unsigned if key == name else value) for key, value in headers]

    @staticmethod
    def _audiences(service: StoredResource, caller: Caller) -> set[str]:
        urls = set(service.body.get("urls", ()))
        tags = {status["uri"] for status in service.body.get("trafficStatuses", ()) if status.get("uri")}
        own = {GCLOUD} if caller.member.startswith("user:") else set()
        return urls | tags | set(service.body.get("customAudiences", ())) | own

    def _revision(self, service: StoredResource, tag: str) -> StoredResource:
        statuses = service.body.get("trafficStatuses", ())
        if tag:
            chosen = next((status for status in statuses if status.get("tag") == tag), None)
        else:
            weights = [status.get("percent", 0) for status in statuses]
            chosen = self._random.choices(statuses, weights)[0] if any(weights) else None
        ready = service.body.get("latestReadyRevision", "").rpartition("/")[2]
        name = (chosen or {}).get("revision", "").rpartition("/")[2] or ready
        revision = self._cloud.store.get("run", f"{service.name}/revisions/{name}") if chosen else None
        if revision is None or not revisions.is_ready(revision):
            raise _not_found()
        return revision

    async def _within(
        self, seconds: float, revision: StoredResource, scope: Mapping[str, Any],  # Any: ASGI
        request: tuple[list[tuple[str, str]], bytes], answer: SentAnswer,
    ) -> None:  # fmt: skip
        engines = self._cloud.containers
        if not isinstance(engines, Engines) or not engines.runs(revision.body):
            raise RequestRefused(
                503, "Service Unavailable", "This image is not run here: the rehearsal pretends that it is."
            )
        pool = engines.pool(revision.body)
        try:
            instance = await pool.acquire()
        except NoInstance:
            text = "The request was aborted because there was no available instance."
            raise RequestRefused(429, "Rate exceeded.", text) from None
        except NotStarted:
            text = "The request failed because the instance could not start successfully."
            raise RequestRefused(503, "Service Unavailable", text) from None
        try:
            await self._answered_by(seconds, instance, scope, request, answer)
            engines.counts.add(revision.body, answer.status)
        except RequestRefused as why:
            engines.counts.add(revision.body, why.status)
            raise
        finally:
            pool.release(instance)

    async def _answered_by(
        self, seconds: float, instance: Instance, scope: Mapping[str, Any],  # Any: ASGI
        request: tuple[list[tuple[str, str]], bytes], answer: SentAnswer,
    ) -> None:  # fmt: skip
        """Let an instance answer within `seconds`. Raises `RequestRefused` where it does not."""
        try:
            async with asyncio.timeout(seconds):
                await self._forward(instance, scope, request, answer)
        except TimeoutError:
            raise RequestRefused(504, "Gateway Timeout", "upstream request timeout") from None
        except httpx2.HTTPError:
            text = (
                "The request failed because either the HTTP response was malformed or connection to the instance "
                "had an error."
            )
            raise RequestRefused(503, "Service Unavailable", text) from None

    async def _forward(
        self, instance: Instance, scope: Mapping[str, Any],  # Any: ASGI
        request: tuple[list[tuple[str, str]], bytes], answer: SentAnswer,
    ) -> None:  # fmt: skip
        headers, body = request
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        if path.startswith(("http://", "https://")):
            path = f"/{path.partition('://')[2].partition('/')[2]}"
        query = scope["query_string"].decode("latin-1")
        # The body was read whole: its length is what it is, whatever the client said of it.
        sent = [(key, value) for key, value in headers if key not in HOPS and key != "content-length"]
        sent += [("host", dict(headers).get("host", "")), ("x-forwarded-proto", "https")]
        if "traceparent" not in dict(headers):
            # As Cloud Run, which fills it in; here no request is sampled, there few are.
            sent.append(("traceparent", f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"))
        url = f"http://{HOST}:{instance.port}{path}{f'?{query}' if query else ''}"
        async with self._client.stream(scope["method"], url, headers=sent, content=body or None) as response:
            response_headers = [
                (key, value) for key, value in response.headers.raw if key.decode().lower() not in HOPS
            ]
            paths = instance.place.paths
            if paths.moved and response.headers.get("content-type", "").startswith("application/json"):
                # The container says its own paths, and so must what it is here.
                content = paths.as_in_the_cloud(await response.aread())
                reply_headers = [
                    header
                    for header in response_headers
                    if header[0].lower() not in {b"content-length", b"content-encoding"}
                ]
                await answer.begin(
                    response.status_code, [*reply_headers, (b"content-length", str(len(content)).encode())]
                )
                await answer.whole(content)
                return
            await answer.begin(response.status_code, response_headers)
            await answer.pieces(response.aiter_raw())

    @staticmethod
    async def until_gone(receive: Receive, work: Any) -> None:  # Any: a coroutine
        """Do `work`, unless the client hangs up: then it is cancelled, and so is the request to the instance."""
        doing = asyncio.create_task(work)
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait([doing, gone], return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                await doing
        finally:
            for task in (doing, gone):
                task.cancel()
            await asyncio.gather(doing, gone, return_exceptions=True)


class SentAnswer:
    """What is sent back; a refusal only where nothing was sent before."""

    def __init__(self, send: Send) -> None:
        self._send, self.begun, self.status = send, False, 0

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.begun, self.status = True, status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def pieces(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def whole(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body})

    async def refuse(self, why: RequestRefused) -> None:
        if self.begun:
            return  # The connection is closed in the middle of the answer, as Cloud Run does.
        if why.own:
            await self.begin(why.status, [(b"content-type", b"text/html"), *why.own])
            await self._send({"type": "http.response.body", "body": why.text.encode()})
            return
        page = (
            f"<html><head>\n<title>{why.status} {why.title}</title>\n</head>\n<body>\n<h1>Error: {why.title}</h1>\n"
            f"<h2>{why.text}</h2>\n</body></html>\n"
        ).encode()
        headers = [
            (b"content-type", b"text/html; charset=UTF-8"),
            (b"content-length", str(len(page)).encode()),
        ]
        if why.challenge:
            headers.append((b"www-authenticate", why.challenge.encode()))
        await self.begin(why.status, headers)
        await self._send({"type": "http.response.body", "body": page})


def _not_found() -> RequestRefused:
    return RequestRefused(404, "Page not found", "The requested URL was not found on this server.")


def _forbidden() -> RequestRefused:
    return RequestRefused(
        403, "Forbidden", "Your client does not have permission to get URL from this server."
    )


async def read_body(receive: Receive, headers: Mapping[str, str]) -> bytes:
    """Return the whole body of a request. Raises `RequestRefused` for one that is larger than Cloud Run takes."""
    largest = cloud_run.service_limits().largest_request_bytes
    too_large = RequestRefused(
        413, "Request Entity Too Large", "Your client issued a request that was too large."
    )
    if headers.get("content-length", "0").isdigit() and int(headers.get("content-length", "0")) > largest:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > largest:
            raise too_large
        if not message.get("more_body"):
            return bytes(body)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
