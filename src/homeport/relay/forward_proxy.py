"""A proxy that the environment names between here and a service, and the way through it."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2

from homeport.addresses import is_loopback
from homeport.errors import Unsupported
from homeport.relay.limits import HEAD_BYTES

_OPENED = re.compile(rb"HTTP/1\.[01] 2\d\d(?: |\r\n)")
_REFUSED = re.compile(rb"HTTP/1\.[01] (\d{3}[^\r\n]{0,80})")
_KEYLESS = b"407"
_MOST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardProxy:
    """A proxy that the environment names."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    """How it is reached itself; None where its address says `http`."""
    authorization: str = field(repr=False)
    """What it wants to see in `Proxy-Authorization`; '' where its address has neither name nor password."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return what a request to it has beside its own headers."""
        return [("Proxy-Authorization", self.authorization)] if self.authorization else []

    def __str__(self) -> str:
        return f"the proxy {_authority(self.host, self.port)} that the environment names"


def proxy_for(reached: httpx2.URL) -> ForwardProxy | None:
    """
    Return the proxy that the environment names for this address; None where it names none, or excepts the host.

    Raises `Unsupported` for one that is spoken to in another way than by HTTP, or at a port that there is not.
    """
    host = reached.raw_host.decode("ascii")
    named = getproxies().get(reached.scheme, "")
    if not named or is_loopback(host) or proxy_bypass(host):
        return None
    scheme, separator, _ = named.partition("://")
    try:
        url = httpx2.URL(named if separator else f"http://{named}")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    possible = url.port is None or 1 <= url.port <= _MOST_PORT
    if url.scheme not in {"http", "https"} or not url.host or not possible:
        which = f"which begins with {scheme}:// and" if separator else "which"
        if not possible:
            which = f"which has the port {url.port}, none from 1 to {_MOST_PORT}, and"
        raise Unsupported(
            f"the environment names a proxy for {reached.scheme}, {which} is no address of an HTTP proxy",
            hint=f"set {reached.scheme}_proxy to http://HOST:PORT, or name {host} in no_proxy",
        )
    secure = url.scheme == "https"
    who = f"{url.username}:{url.password}".encode()
    return ForwardProxy(
        host=url.raw_host.decode("ascii"),
        port=url.port or (443 if secure else 80),
        tls=httpx2.create_ssl_context() if secure else None,
        authorization=f"Basic {base64.b64encode(who).decode()}" if url.userinfo else "",
    )


async def tunnel(
    proxy: ForwardProxy, host: str, port: int, tls: ssl.SSLContext, connection: asyncio.Protocol
) -> None:
    """Connect `connection` with a host through the proxy, by TLS from end to end. Raises `aiohttp.ClientError` or `OSError`."""
    loop = asyncio.get_running_loop()
    transport, opening = await loop.create_connection(
        lambda: _Opening(proxy), proxy.host, proxy.port, ssl=proxy.tls, happy_eyeballs_delay=0.25
    )
    try:
        where = _authority(host, port)
        fields = [("Host", where), *proxy.headers]
        lines = [f"CONNECT {where} HTTP/1.1", *(f"{name}: {said}" for name, said in fields)]
        transport.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        await opening.opened
        through = await loop.start_tls(transport, connection, tls, server_hostname=host)
        assert through is not None
    except BaseException:
        transport.abort()
        raise
    connection.connection_made(through)


class _Opening(asyncio.Protocol):
    """The connection to a proxy until that leads on, or says why it does not."""

    def __init__(self, proxy: ForwardProxy) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._proxy, self._said = proxy, b""

    def data_received(self, data: bytes) -> None:
        """Take what it says."""
        self._said += data
        if self.opened.done():
            return
        if b"\r\n\r\n" in self._said and _OPENED.match(self._said):
            self.opened.set_result(None)
        elif b"\r\n\r\n" in self._said or len(self._said) > HEAD_BYTES:
            refused = _REFUSED.match(self._said)
            said = refused[1].decode("latin-1").strip() if refused else "what is no answer of HTTP"
            wants = refused is not None and refused[1].startswith(_KEYLESS)
            hint = (
                "; its address wants a name and a password: http://NAME:PASSWORD@HOST:PORT" if wants else ""
            )
            self._fail(f"{self._proxy} does not lead on, and answers {said}{hint}")

    def connection_lost(self, error: Exception | None) -> None:
        """Take it that it leads nowhere."""
        if not self.opened.done():
            self._fail(f"{self._proxy} closed the connection without an answer")

    def _fail(self, why: str) -> None:
        self.opened.set_exception(aiohttp.ClientConnectionError(why))


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
