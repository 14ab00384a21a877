"""The rehearsal without a socket, in the test's own process: a transport for httpx2, and what other ways are made of."""

from __future__ import annotations

import asyncio

import httpx2

from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.cloud import Cloud, Dropped
from gcp_rehearsal.door import DOOR
from gcp_rehearsal.errors import ApiError


class InProcessServer:
    """
    Answers for a cloud in `latency` seconds, and comes to the end of each request.

    Whoever gives up a request to a server has sent it: what it asks for is done, though nobody hears of it.
    """

    def __init__(self, cloud: Cloud, *, latency: float = 0.0) -> None:
        self._cloud, self._latency = cloud, latency
        self._under_way: set[asyncio.Task[Reply]] = set()

    async def answer(self, sent: Request) -> Reply:
        """Return the answer to one request. Raises what the cloud raises."""
        answering = asyncio.create_task(self._answered(sent))
        self._under_way.add(answering)
        answering.add_done_callback(self._under_way.discard)
        return await asyncio.shield(answering)

    async def _answered(self, sent: Request) -> Reply:
        if self._latency:
            await asyncio.sleep(self._latency)
        return await self._cloud.handle(sent)


class Rehearsed(httpx2.AsyncBaseTransport):
    """Answers from a cloud, in `latency` seconds; keeps to the request's timeout, and drops what it is told to drop."""

    def __init__(self, cloud: Cloud, *, latency: float = 0.0) -> None:
        self._cloud = cloud
        self._server = InProcessServer(cloud, latency=latency)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer to one request. Raises what a real transport raises."""
        body = await request.aread()
        encoding = request.headers.encoding
        sent_headers = [
            (name.decode(encoding).lower(), value.decode(encoding)) for name, value in request.headers.raw
        ]
        headers: dict[str, str] = {}
        for name, value in sent_headers:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        try:
            target = DOOR.request_target(request.url.raw_path.decode(), sent_headers)
        except ApiError as error:
            return _response(self._cloud.refused("", error), request)
        sent = Request(
            verb=request.method,
            host=target.host,
            path=target.path,
            query=request.url.query.decode(),
            headers=headers,
            body=body,
        )
        patience = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(patience):
                reply = await self._server.answer(sent)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no answer in time", request=request) from error
        except Dropped as error:
            raise httpx2.RemoteProtocolError(
                "Server disconnected without sending a response.", request=request
            ) from error
        return _response(reply, request)


def _response(reply: Reply, request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(
        reply.status, headers=dict(reply.headers), content=reply.body or b"", request=request
    )
