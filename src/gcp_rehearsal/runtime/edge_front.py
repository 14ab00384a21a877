"""
The front of load balancers, within the rehearsal itself: it routes by URL maps and rewrites the beginning of paths, and does
no more.

It stands for the internet, too: a client that asks the rehearsal for a domain gets what HTTPS would bring, and nothing
while there is no certificate to show. Where Envoy was handed in, requests really go through it instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcp_rehearsal.cloud import Dropped
from gcp_rehearsal.runtime.balancing import LoadBalancers, NoWay
from gcp_rehearsal.runtime.front_end import Front, Receive, Send


class EdgeFront:
    """Answers requests to the hosts of load balancers."""

    def __init__(self, balancers: LoadBalancers, front: Front) -> None:
        self._balancers, self._front = balancers, front

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
        await self._front({**scope, "raw_path": way.path.encode("latin-1")}, receive, send, goal)


async def _refuse(send: Send, why: NoWay) -> None:
    text = f"{why.text}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": why.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


__all__ = ["EdgeFront"]
