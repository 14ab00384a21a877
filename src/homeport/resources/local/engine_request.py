"""
One request to an engine on this machine, and its whole answer.

Without an HTTP library: to import one takes twice as long as every question that `up` and `status` ask, and an engine
on loopback needs neither TLS, proxies nor a pool.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_MOST_BYTES = 16 * 2**20
_MOST_HEAD = 1 << 16
_BLANK = b"\r\n\r\n"


class Unanswered(Exception):
    """No answer came, or none to its end, or what came is no HTTP."""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What an engine said."""

    status: int
    text: str

    @property
    def is_success(self) -> bool:
        """Tell whether it is neither refusal nor failure."""
        return 200 <= self.status < 300


async def ask(
    url: str,
    path: str,
    *,
    within_s: float,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> EngineAnswer:
    """
    Return what the engine at `url` answers to GET, or where there is a `body` to POST of that as JSON.

    Raises `Unanswered`, at the latest after `within_s` seconds, also where an answer has begun by then.
    """
    where = urlsplit(url)
    assert where.hostname is not None
    try:
        async with asyncio.timeout(within_s):
            loop = asyncio.get_running_loop()
            transport, answer = await loop.create_connection(_Reception, where.hostname, where.port or 80)
            try:
                transport.write(_request(where.netloc, path, headers or {}, body))
                return _parsed(await answer.whole)
            finally:
                transport.close()
    except (OSError, EOFError, http.client.HTTPException) as error:
        raise Unanswered(str(error) or type(error).__name__) from error


def _request(host: str, path: str, headers: Mapping[str, str], body: Mapping[str, object] | None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    # Who honours that and tells no length ends its answer with the connection.
    lines = {"Host": host, "Connection": "close", "Accept": "*/*", **headers}
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{head}\r\n".encode("latin-1") + content


class _Reception(asyncio.Protocol):
    """Collects an answer to its end, which need not be that of its connection: that may stay open, or be reset."""

    def __init__(self) -> None:
        self.whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        """Take a piece."""
        if self.whole.done():
            return
        self._received += data
        if len(self._received) > _MOST_BYTES:
            self.whole.set_exception(EOFError(f"an answer of more than {_MOST_BYTES >> 20} MiB"))
        elif _is_whole(self._received):
            self.whole.set_result(bytes(self._received))

    def connection_lost(self, error: Exception | None) -> None:
        """Take what came by now for all, unless the connection broke: an answer that says where it ends has not ended."""
        if self.whole.done():
            return
        if error is not None:
            self.whole.set_exception(error)
        else:
            self.whole.set_result(bytes(self._received))


def _is_whole(received: bytearray) -> bool:
    """Return True for an answer that says where it ends, and has."""
    response = _response(bytes(received[:_MOST_HEAD]))
    if response is None:
        return False
    if not response.chunked:
        begun = response.fp.tell()
        return response.length is not None and len(received) >= begun + response.length
    if not received.endswith(_BLANK):
        return False
    try:
        _parsed(bytes(received))
    except http.client.HTTPException:
        return False
    return True


class _Received:
    """Stands where `http.client` reads from its socket."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _: str) -> io.BytesIO:
        """Return all that was received."""
        return io.BytesIO(self._received)


def _parsed(received: bytes) -> EngineAnswer:
    """Return the answer. Raises `HTTPException` or `EOFError` for one that is not whole, or is none."""
    if _BLANK not in received:
        raise EOFError("the answer ended within its head")
    response = _begun(received)
    return EngineAnswer(response.status, response.read().decode(errors="replace"))


def _response(received: bytes) -> http.client.HTTPResponse | None:
    """Return the answer of which the head is there; None for none, or what is no HTTP."""
    if _BLANK not in received:
        return None
    try:
        return _begun(received)
    except http.client.HTTPException:
        return None


def _begun(received: bytes) -> http.client.HTTPResponse:
    from socket import socket

    response = http.client.HTTPResponse(cast(socket, _Received(received)))
    response.begin()
    return response
