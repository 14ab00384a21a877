"""Sends requests on to an endpoint, as they came."""

from __future__ import annotations

import aiohttp
import httpx2

from homeport.addresses import is_loopback
from homeport.catalog.cloudrun import limits
from homeport.endpoint import Endpoint
from homeport.endpoint.auth import AnswerHead
from homeport.relay.direct import DirectPool
from homeport.relay.direct_answer import DirectAnswer
from homeport.relay.forward_proxy import proxy_for
from homeport.relay.limits import CONNECT_S
from homeport.relay.onward import Onward

_KEPT_S, _KEPT_HERE_S = 60.0, 4.0
"""A connection that nobody uses is kept for so long; on this machine, where a new one costs little, for less than the 5 s after which
uvicorn and llama.cpp's server close theirs: what is asked in that moment is lost, and only some of it may be asked again."""

UNANSWERED = (aiohttp.ClientError, TimeoutError)
"""What is raised where there is no answer, or no end of one."""


class Upstream:
    """The connections to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open no connection yet; needs a running event loop. Raises `Unsupported` for a proxy in the environment that is none of HTTP."""
        root, reached = httpx2.URL(endpoint.root_url), httpx2.URL(endpoint.via or endpoint.root_url)
        self._host = root.netloc.decode("ascii")
        self._path = root.raw_path.decode("ascii").rstrip("/")
        self._key = endpoint.api_key if endpoint.identity is None else None
        self._auth = endpoint.auth()
        tls = httpx2.create_ssl_context() if reached.scheme == "https" else None
        # Looked up as it is: what `url.host` decodes would be encoded anew, by rules under which ß is ss.
        host, via = reached.raw_host.decode("ascii"), proxy_for(reached)
        self._beside: list[tuple[str, str]] = []
        if via is not None and tls is None:
            self._path = f"http://{reached.netloc.decode('ascii')}{self._path}"
            self._beside = via.headers
        self._to = DirectPool(
            host,
            reached.port or (443 if tls else 80),
            tls,
            connect_s=CONNECT_S,
            patience_s=limits().request_timeout_s,
            kept_s=_KEPT_HERE_S if is_loopback(host) else _KEPT_S,
            via=via,
        )

    async def aclose(self) -> None:
        """Let the connections go."""
        self._to.close()

    async def send(self, request: Onward) -> DirectAnswer:
        """
        Return the head of the answer; the caller reads its body, and closes it.

        Signs the request, renews a token that is not taken, waits for a service that starts from zero, as
        `homeport.endpoint.auth` does for others. Raises one of `UNANSWERED`, or what the identity raises.
        """
        attempts = self._auth.attempts()
        token = await anext(attempts, None)
        if token is None:
            return await self._sent(request, self._key.reveal() if self._key else "")
        while True:
            response = await self._sent(request, token.reveal())
            head = AnswerHead(response.status, response.headers)
            try:
                token = await attempts.asend(head)
            except StopAsyncIteration:
                return response
            except BaseException:
                response.close()
                raise
            response.close()

    async def _sent(self, request: Onward, bearer: str) -> DirectAnswer:
        signature = [("Authorization", f"Bearer {bearer}")] if bearer else []
        headers = [("Host", self._host), *request.headers, *signature, *self._beside]
        head, content = request.head(self._path, headers), request.content()
        if content is None:
            return await self._to.ask(request.method, head, request.pieces())
        return await self._to.ask(request.method, head + content)
