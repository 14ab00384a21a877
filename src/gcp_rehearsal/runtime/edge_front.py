"""
The front of load balancers, within the rehearsal itself: it routes by URL maps and rewrites the beginning of paths, and does
no more.

It asks the callouts that are attached to a load balancer, too, before and after the service.
It stands for the internet, too: a client that asks the rehearsal for a domain gets what HTTPS would bring, and nothing
while there is no certificate to show. Where Envoy was handed in, requests really go through it instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcp_rehearsal.cloud import Dropped
from gcp_rehearsal.runtime.balancing import LoadBalancers, NoWay
from gcp_rehearsal.runtime.content_callouts import ContentCallouts
from gcp_rehearsal.runtime.front_end import Front, Receive, Send
from gcp_rehearsal.runtime.screened_front import screened


class EdgeFront:
    """Answers requests to the hosts of load balancers."""

    def __init__(self, balancers: LoadBalancers, front: Front, callouts: ContentCallouts) -> None:
        self._balancers, self._front, self._callouts = balancers, front, callouts

    async def __call__(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, host: str, *, within: bool
    ) -> None:  # Any: ASGI
        """Answer one request. Raises `Dropped` where a handshake of TLS would fail."""
        listener = self._balancers.secure(host, within=within)
        if listener is None:
            raise Dropped
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        path = scope["raw_path"].decode("latin-1")
        try:
            goal, way = self._balancers.goal(listener, host, path, headers)
        except NoWay as why:
            await _refuse(send, why)
            return
        inner = {**scope, "raw_path": way.path.encode("latin-1")}

        async def onwards(receive: Receive, send: Send) -> None:
            await self._front(inner, receive, send, goal)

        called = self._callouts.of(listener.rule)
        if not called:
            await onwards(receive, send)
            return
        # A callout sees the path as the client sent it: what a URL map makes of it comes after.
        await screened(self._callouts, called, path.partition("?")[0], receive, send, onwards)


async def _refuse(send: Send, why: NoWay) -> None:
    text = f"{why.text}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": why.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


__all__ = ["EdgeFront"]
