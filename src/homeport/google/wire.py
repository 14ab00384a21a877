"""
What carries a request to Google, and its answer back: HTTP, over which connections are kept.

Whoever makes the client may hand in another way, such as straight to a rehearsal in the same process.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from homeport.google.exchange import module
from homeport.google.retry import Lost
from homeport.proxy_variables import by_environment

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One request, whole as it is sent."""

    verb: str
    address: str
    """Where it goes, with the path and without the query."""
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    """By names in lower case."""
    content: bytes | None
    seconds: float
    """How long it may take."""


class WireAnswer(Protocol):
    """What came back."""

    @property
    def status_code(self) -> int:
        """Return the status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers, which are found by names in lower case."""

    @property
    def content(self) -> bytes:
        """Return the whole body."""

    @property
    def is_success(self) -> bool:
        """Tell whether the status is one of 200 to 299."""

    def json(self) -> Any:  # Any: JSON
        """Return the body, read as JSON."""


@runtime_checkable
class Wire(Protocol):
    """A way to Google."""

    async def carry(self, request: WireRequest) -> WireAnswer:
        """Return the answer to one request. Raises `Lost` where there is none."""

    async def aclose(self) -> None:
        """Let go what it holds, such as connections."""


class HttpWire:
    """Connections that are kept: encrypted ones of HTTP/2, unless `transport` or an http:// address says otherwise."""

    def __init__(
        self, base_url: str, transport: httpx2.AsyncBaseTransport | None, *, connect: float, parallel: int
    ) -> None:
        import httpx2

        encrypted = transport is None and not base_url.startswith("http:")
        if encrypted:
            module("h2")
        # At DEBUG HTTP/2 writes every header block, tokens and all.
        logging.getLogger("hpack").setLevel(logging.INFO)
        self._connect = connect
        self._http = httpx2.AsyncClient(
            http2=encrypted,
            transport=transport,
            trust_env=by_environment(not base_url),
            timeout=_patience(connect, connect),
            limits=httpx2.Limits(max_connections=4 * parallel, max_keepalive_connections=parallel),
        )
        self._always = dict(self._http.headers)

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def carry(self, request: WireRequest) -> WireAnswer:
        """Return the answer to one request. Raises `Lost`."""
        import httpx2

        # Not by the client's `request`, which puts all headers together three times over.
        sent = httpx2.Request(
            request.verb, url_of(request.address, request.query), content=request.content,
            headers={**self._always, **request.headers}, cookies=self._http.cookies,
            extensions={"timeout": _patience(self._connect, request.seconds).as_dict()},
        )  # fmt: skip
        try:
            return await self._http.send(sent)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise Lost(f"no connection: {str(error) or type(error).__name__}", sent=False) from error
        except httpx2.RequestError as error:
            raise Lost(f"the connection broke: {str(error) or type(error).__name__}", sent=True) from error


@lru_cache(maxsize=64)
def _patience(connect: float, seconds: float) -> httpx2.Timeout:
    import httpx2

    return httpx2.Timeout(seconds, connect=connect, pool=None)


@lru_cache(maxsize=1024)
def url_of(address: str, query: tuple[tuple[str, str], ...]) -> httpx2.URL:
    """Return an address with its query, taken apart once: what is waited for is asked for again and again."""
    import httpx2

    return httpx2.URL(address, params=list(query)) if query else httpx2.URL(address)
