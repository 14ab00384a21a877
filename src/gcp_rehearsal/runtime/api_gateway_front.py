"""
The front of API Gateway: it asks for a key, counts, and sends a request on to the backend in the name of its own account.

Its refusals have the words of ESPv2, the proxy that Google builds it of, as people quote them. Of several things that may be wrong with
a key the order is not known.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gcp_rehearsal.apis.apigateway.gateways import GATEWAYS, config_document
from gcp_rehearsal.apis.apigateway.openapi import CallOfApi, OpenApiDocument
from gcp_rehearsal.apis.apikeys.keys import key_of, may_call
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.runtime.front_end import Front, Message, Receive, Send
from gcp_rehearsal.state import StoredResource

_MINUTE_S = 60.0


class RefusedCall(Exception):
    """An answer of the gateway's own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class ApiGatewayFront:
    """Answers requests to the hosts of gateways, `*.gateway.dev`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._counts: Counter[tuple[str, str, str, int]] = Counter()
        """What projects have taken of the metrics of services, by minute."""

    def names(self, host: str) -> bool:
        """Tell whether some gateway has this host."""
        return self._gateway(host) is not None

    async def __call__(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, host: str, front: Front
    ) -> None:  # Any: ASGI
        """Answer one request; `front` is what the backend's host leads to."""
        self._cloud.clock.settle()
        answer = _GatewayAnswer(send)
        try:
            gateway = self._gateway(host)
            assert gateway is not None
            call, account = self._admitted(gateway, scope)
            await self._forwarded(call, account, scope, receive, answer, front)
        except RefusedCall as why:
            await answer.refuse(why)

    def _gateway(self, host: str) -> StoredResource | None:
        gateways = self._cloud.store.of("apigateway", GATEWAYS)
        return next((gateway for gateway in gateways if gateway.body.get("defaultHostname") == host), None)

    def _admitted(
        self, gateway: StoredResource, scope: Mapping[str, Any]
    ) -> tuple[CallOfApi, str]:  # Any: ASGI
        """Return what is called, and as whom it is sent on. Raises `RefusedCall`."""
        if gateway.body["effectiveStreamingMode"] != "EFFECTIVE_STREAMING_MODE_ENABLED":
            raise RefusedCall(501, "gateways without streaming are not acted out here")
        config = self._cloud.store.get("apigateway", gateway.body["apiConfig"])
        assert config is not None
        document = config_document(config)
        call = document.call(scope["method"], scope["raw_path"].decode("latin-1").partition("?")[0])
        if call is None:
            raise RefusedCall(404, "The current request is not defined by this API.")
        api = self._cloud.store.get("apigateway", config.name.partition("/configs/")[0])
        assert api is not None
        if call.keys:
            project = self._project(call, scope, str(api.body["managedService"]))
            self._count(document, call, str(api.body["managedService"]), project)
        return call, str(config.body["gatewayServiceAccount"]).rpartition("/")[2]

    def _project(self, call: CallOfApi, scope: Mapping[str, Any], service: str) -> str:  # Any: ASGI
        """Return the project whose key a request has. Raises `RefusedCall`."""
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        query = parse_qs(scope["query_string"].decode("latin-1"))
        texts = [
            headers.get(place.name, "") if place.where == "header" else query.get(place.name, [""])[0]
            for place in call.keys
        ]
        text = next(filter(None, texts), "")
        if not text:
            raise RefusedCall(
                401,
                "UNAUTHENTICATED:Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API.",
            )
        key = key_of(self._cloud, text)
        if key is None:
            raise RefusedCall(400, "INVALID_ARGUMENT:API key not valid. Please pass a valid API key.")
        if (key.project, service) not in self._cloud.enabled:
            raise RefusedCall(403, f"PERMISSION_DENIED:API {service} is not enabled for the project.")
        if not may_call(key, service):
            raise RefusedCall(403, f"PERMISSION_DENIED:Requests to this API {service} are blocked.")
        return key.project

    def _count(self, document: OpenApiDocument, call: CallOfApi, service: str, project: str) -> None:
        """Count a request of a project. Raises `RefusedCall` where that is more than a minute has."""
        minute = int(self._cloud.clock.now() // _MINUTE_S)
        for limit in document.limits:
            cost = call.costs.get(limit.metric, 0)
            taken = self._counts[service, limit.metric, project, minute]
            if cost and taken + cost > limit.most:
                known = self._cloud.project(project)
                raise RefusedCall(
                    429,
                    f"RESOURCE_EXHAUSTED:Quota exceeded for quota metric '{limit.metric}' and limit '{limit.name}' of service "
                    f"'{service}' for consumer 'project_number:{known.number if known else project}'.",
                )
        for metric, cost in call.costs.items():
            self._counts[service, metric, project, minute] += cost

    async def _forwarded(
        self,
        call: CallOfApi,
        account: str,
        scope: Mapping[str, Any],
        receive: Receive,
        answer: _GatewayAnswer,
        front: Front,
    ) -> None:  # Any: ASGI
        """Send a request on in the name of the gateway's account, and end it when its time is over."""
        host = str(urlsplit(call.address).hostname)
        sent: list[tuple[bytes, bytes]] = []
        for name, value in scope["headers"]:
            lowered = name.lower()
            if lowered == b"authorization":
                sent.append((b"x-forwarded-authorization", value))
            elif lowered not in {b"host", b"x-forwarded-authorization", b"x-serverless-authorization"}:
                sent.append((name, value))
        sent.append((b"host", host.encode()))
        if self._cloud.account_is_visible(account):
            sent.append(
                (b"authorization", f"Bearer {id_token(self._cloud, account, call.audience)}".encode())
            )
        try:
            async with asyncio.timeout(call.deadline):
                await front({**scope, "headers": sent}, receive, answer, host)
        except TimeoutError:
            raise RefusedCall(504, "upstream request timeout") from None


class _GatewayAnswer:
    """What is sent back; a refusal only where nothing was sent before."""

    def __init__(self, send: Send) -> None:
        self._send, self._begun = send, False

    async def __call__(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def refuse(self, why: RefusedCall) -> None:
        if self._begun:
            return  # The connection is closed in the middle of the answer.
        body = json.dumps({"message": why.message, "code": why.code}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": why.code, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


__all__ = ["ApiGatewayFront", "RefusedCall"]
