"""
Sends requests on to an endpoint, as they came.

Those that are there as a whole, which are most, go straight to it (`direct.py`); what else there is goes by aiohttp.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from yarl import URL

from homeport.addresses import is_loopback
from homeport.catalog.cloudrun import limits
from homeport.endpoint import Endpoint
from homeport.endpoint.auth import AnswerHead
from homeport.relay.direct import DirectAnswer, DirectPool
from homeport.relay.limits import CONNECT_S, FIELD_BYTES, FIELDS

_KEPT_S = 60.0
"""A connection that nobody uses is kept for so long."""
_AT_ONCE = 64 * 1024
"""Bytes of a body that are written in one go; more would keep other requests waiting."""
_UNASKED = ("accept", "accept-encoding", "content-type", "user-agent")
"""Headers that aiohttp would add of its own accord."""

Answer = aiohttp.ClientResponse | DirectAnswer
UNANSWERED = (aiohttp.ClientError, TimeoutError)
"""What is raised where there is no answer, or no end of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """A request as it goes on. What follows the origin in its address is not put together again."""

    method: str
    target: str
    """Text as `as_text` makes it, as the headers' values are."""
    headers: Sequence[tuple[str, str]]
    body: AsyncIterable[bytes] | bytes | None
    """Iterated over from its beginning for each attempt."""
    chunked: bool
    """Its length is not among the headers."""


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
        self._direct = None if _is_behind_proxy(reached) else _pool(reached, tls)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_S, ssl=tls or False),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_S, sock_read=limits().request_timeout_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_UNASKED,
            trust_env=not is_loopback(_host(reached)),
            max_line_size=FIELD_BYTES,
            max_field_size=FIELD_BYTES,
            max_headers=FIELDS,
        )

    async def aclose(self) -> None:
        """Let the connections go."""
        if self._direct is not None:
            self._direct.close()
        await self._session.close()

    async def send(self, request: Onward) -> Answer:
        """
        Return the head of the answer; the caller reads its body, and closes it.

        Signs the request, renews a token that is not taken, waits for a service that starts from zero, as
        `homeport.endpoint.auth` does for others. Raises one of `UNANSWERED`, or what the identity raises; `UnsendableError` for bytes
        that are no UTF-8 in the head of a request that does not go straight.
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
        if self._direct is not None and _is_whole(request):
            message = _written(request.method, self._path + request.target, headers, request.body)
            return await self._direct.ask(request.method, message)
        _ensure_utf8([request.target, *(value for _, value in headers)])
        return await self._session.request(
            request.method,
            URL(self._origin + self._path + request.target, encoded=True),  # As it is.
            headers=headers,
            data=_in_pieces(request.body),
            chunked=True if request.chunked else None,
            allow_redirects=False,
        )


def _pool(reached: httpx2.URL, tls: ssl.SSLContext | None) -> DirectPool:
    return DirectPool(
        _host(reached),
        reached.port or (443 if tls else 80),
        tls,
        connect_s=CONNECT_S,
        patience_s=limits().request_timeout_s,
        kept_s=_KEPT_S,
    )


def _is_behind_proxy(reached: httpx2.URL) -> bool:
    """Return True where the environment names a proxy for that address."""
    host = _host(reached)
    return not is_loopback(host) and reached.scheme in getproxies() and not proxy_bypass(host)


def _host(url: httpx2.URL) -> str:
    """Return the host as it is looked up: what `url.host` decodes would be encoded anew, by rules under which ß is ss."""
    return url.raw_host.decode("ascii")


def _is_whole(request: Onward) -> bool:
    """Return True for a request that is written in one go; to a HEAD there is an answer that has no end of its own."""
    body = request.body
    if body is None:
        return request.method in {"GET", "OPTIONS"}
    return (
        isinstance(body, bytes) and len(body) <= _AT_ONCE and not request.chunked and request.method != "HEAD"
    )


def _written(method: str, target: str, headers: Sequence[tuple[str, str]], body: object) -> bytes:
    """Return a request as it goes. Raises `aiohttp.ClientError` where its head tells another end of a line, or of it."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    content = body if isinstance(body, bytes) else b""
    told = [value for name, value in headers if name.lower() == "content-length"]
    if any((value.strip().lstrip("0") or "0") != str(len(content)) for value in told):
        # The rest would be waited for, and taken from whatever is sent next.
        raise aiohttp.ClientError(f"the body of the request has {len(content)} bytes, and not as told")
    if content and not told:
        lines.append(f"Content-Length: {len(content)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise aiohttp.ClientError("a header has a line's end in it")
    return head.encode(errors="surrogateescape") + b"\r\n\r\n" + content


def _ensure_utf8(texts: Sequence[str]) -> None:
    """Raise `UnsendableError` for what aiohttp would leave out of a head without a word."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise UnsendableError(
            "the address or a header of the request is no UTF-8, which goes on only with a whole body of known length, of at most 64 KiB"
        ) from error


def _in_pieces(body: AsyncIterable[bytes] | bytes | None) -> AsyncIterable[bytes] | bytes | BytesIO | None:
    """Return a body as aiohttp writes it piece by piece where it is large, with its length all the same."""
    return BytesIO(body) if isinstance(body, bytes) and len(body) > _AT_ONCE else body
