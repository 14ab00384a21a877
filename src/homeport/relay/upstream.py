"""
Sends requests on to an endpoint, as they came.

They go straight to it (`direct.py`); by aiohttp where the environment names a proxy between, of which that knows more.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from io import BytesIO
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from yarl import URL

from homeport.addresses import is_loopback
from homeport.catalog.cloudrun import limits
from homeport.endpoint import Endpoint
from homeport.endpoint.auth import AnswerHead
from homeport.relay.answer_head import judge, no_answer
from homeport.relay.direct import DirectPool
from homeport.relay.direct_answer import DirectAnswer
from homeport.relay.limits import CONNECT_S, FIELD_BYTES, FIELDS
from homeport.relay.onward import AT_ONCE, Onward

_KEPT_S, _KEPT_HERE_S = 60.0, 4.0
"""A connection that nobody uses is kept for so long; on this machine, where a new one costs little, for less than the 5 s after which
uvicorn and llama.cpp's server close theirs: what is asked in that moment is lost, and only some of it may be asked again."""
_UNASKED = ("accept", "accept-encoding", "content-type", "user-agent")
"""Headers that aiohttp would add of its own accord."""

Answer = aiohttp.ClientResponse | DirectAnswer
UNANSWERED = (aiohttp.ClientError, TimeoutError)
"""What is raised where there is no answer, or no end of one."""


class UnsendableError(ValueError):
    """A request's head has bytes in it that cannot go on the way that it would go."""


class Upstream:
    """The connections to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open no connection yet; needs a running event loop."""
        root, reached = httpx2.URL(endpoint.root_url), httpx2.URL(endpoint.via or endpoint.root_url)
        self._host = root.netloc.decode("ascii")
        self._origin = f"{reached.scheme}://{reached.netloc.decode('ascii')}"
        self._path = root.raw_path.decode("ascii").rstrip("/")
        self._key = endpoint.api_key if endpoint.identity is None else None
        self._auth = endpoint.auth()
        tls = httpx2.create_ssl_context() if reached.scheme == "https" else None
        self._to: DirectPool | aiohttp.ClientSession = (
            _session(tls) if _is_behind_proxy(reached) else _pool(reached, tls)
        )

    async def aclose(self) -> None:
        """Let the connections go."""
        if isinstance(self._to, DirectPool):
            self._to.close()
        else:
            await self._to.close()

    async def send(self, request: Onward) -> Answer:
        """
        Return the head of the answer; the caller reads its body, and closes it.

        Signs the request, renews a token that is not taken, waits for a service that starts from zero, as
        `homeport.endpoint.auth` does for others. Raises one of `UNANSWERED`, or what the identity raises; `UnsendableError` for bytes
        that are no UTF-8 in the head of a request that goes by a proxy.
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

    async def _sent(self, request: Onward, bearer: str) -> Answer:
        signature = [("Authorization", f"Bearer {bearer}")] if bearer else []
        headers = [("Host", self._host), *request.headers, *signature]
        if isinstance(self._to, DirectPool):
            head, content = request.head(self._path, headers), request.content()
            if content is None:
                return await self._to.ask(request.method, head, request.pieces())
            return await self._to.ask(request.method, head + content)
        _ensure_utf8([request.target, *(value for _, value in headers)])
        body = request.body
        response = await self._to.request(
            request.method,
            URL(self._origin + self._path + request.target, encoded=True),  # As it is.
            headers=headers,
            data=BytesIO(body) if isinstance(body, bytes) and len(body) > AT_ONCE else body,  # In pieces.
            chunked=True if request.chunked else None,
            allow_redirects=False,
        )
        try:
            judge(response.status, response.raw_headers)  # The pool does so before it keeps a connection.
        except ValueError as error:
            response.close()
            raise no_answer(error) from None
        return response


def _session(tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_S, ssl=tls or False),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_S, sock_read=limits().request_timeout_s
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_UNASKED,
        trust_env=True,
        max_line_size=FIELD_BYTES,
        max_field_size=FIELD_BYTES,
        max_headers=FIELDS,
    )


def _pool(reached: httpx2.URL, tls: ssl.SSLContext | None) -> DirectPool:
    return DirectPool(
        _host(reached),
        reached.port or (443 if tls else 80),
        tls,
        connect_s=CONNECT_S,
        patience_s=limits().request_timeout_s,
        kept_s=_KEPT_HERE_S if is_loopback(_host(reached)) else _KEPT_S,
    )


def _is_behind_proxy(reached: httpx2.URL) -> bool:
    """Return True where the environment names a proxy for that address."""
    host = _host(reached)
    return not is_loopback(host) and reached.scheme in getproxies() and not proxy_bypass(host)


def _host(url: httpx2.URL) -> str:
    """Return the host as it is looked up: what `url.host` decodes would be encoded anew, by rules under which ß is ss."""
    return url.raw_host.decode("ascii")


def _ensure_utf8(texts: Sequence[str]) -> None:
    """Raise `UnsendableError` for what aiohttp would leave out of a head without a word."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise UnsendableError(
            "the address or a header of the request is no UTF-8, which does not go on by the proxy that the environment names"
        ) from error
