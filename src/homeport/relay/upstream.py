"""Sends requests on to an endpoint, as they came: by aiohttp, whose parser is in C."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from io import BytesIO

import aiohttp
import httpx2
from yarl import URL

from homeport.addresses import is_loopback
from homeport.catalog.cloudrun import limits
from homeport.endpoint import Endpoint
from homeport.endpoint.auth import AnswerHead

_CONNECT_S = 10.0
_KEPT_S = 60.0
"""A connection that nobody uses is kept for so long."""
_HEADER_BYTES, _HEADERS = 64 * 1024, 1000
"""So long may a header of an answer be, and so many."""
_AT_ONCE = 64 * 1024
"""Bytes of a body that are written in one go; more would keep other requests waiting."""
_UNASKED = ("accept", "accept-encoding", "content-type", "user-agent")
"""Headers that aiohttp would add of its own accord."""

UNANSWERED = (aiohttp.ClientError, TimeoutError)
"""What is raised where there is no answer, or no end of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """A request as it goes on. What follows the origin in its address is not put together again."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: AsyncIterable[bytes] | bytes | None
    """Iterated over from its beginning for each attempt."""
    chunked: bool
    """Its length is not among the headers."""


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
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEPT_S,
                ssl=httpx2.create_ssl_context() if reached.scheme == "https" else False,
            ),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_S, sock_read=limits().request_timeout_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_UNASKED,
            trust_env=not is_loopback(reached.host),
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
            max_headers=_HEADERS,
        )

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._session.close()

    async def send(self, request: Onward) -> aiohttp.ClientResponse:
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

    async def _sent(self, request: Onward, bearer: str) -> aiohttp.ClientResponse:
        signature = [("Authorization", f"Bearer {bearer}")] if bearer else []
        return await self._session.request(
            request.method,
            URL(self._origin + self._path + request.target, encoded=True),  # As it is.
            headers=[("Host", self._host), *request.headers, *signature],
            data=_in_pieces(request.body),
            chunked=True if request.chunked else None,
            allow_redirects=False,
        )


def _in_pieces(body: AsyncIterable[bytes] | bytes | None) -> AsyncIterable[bytes] | bytes | BytesIO | None:
    """Return a body as aiohttp writes it piece by piece where it is large, with its length all the same."""
    return BytesIO(body) if isinstance(body, bytes) and len(body) > _AT_ONCE else body
