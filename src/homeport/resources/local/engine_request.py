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
_PIECE = 1 << 16


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
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
            try:
                writer.write(_request(where.netloc, path, headers or {}, body))
                return _parsed(await _to_the_end(reader))
            finally:
                writer.close()
    except (OSError, EOFError, http.client.HTTPException) as error:
        raise Unanswered(str(error) or type(error).__name__) from error


def _request(host: str, path: str, headers: Mapping[str, str], body: Mapping[str, object] | None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    # The end of the connection is the end of the answer.
    lines = {"Host": host, "Connection": "close", "Accept": "*/*", **headers}
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{head}\r\n".encode("latin-1") + content


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    received = bytearray()
    while piece := await reader.read(_PIECE):
        received += piece
        if len(received) > _MOST_BYTES:
            raise EOFError(f"an answer of more than {_MOST_BYTES >> 20} MiB")
    return bytes(received)


class _Received:
    """Stands where `http.client` reads from its socket."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _: str) -> io.BytesIO:
        """Return all that was received."""
        return io.BytesIO(self._received)


def _parsed(received: bytes) -> EngineAnswer:
    """Return the answer. Raises `HTTPException` or `EOFError` for one that is not whole, or is none."""
    from socket import socket

    if b"\r\n\r\n" not in received:
        raise EOFError("the answer ended within its head")
    response = http.client.HTTPResponse(cast(socket, _Received(received)))
    response.begin()
    return EngineAnswer(response.status, response.read().decode(errors="replace"))
