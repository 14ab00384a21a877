"""A request that goes on to the next server, and how it is written."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass

import aiohttp

AT_ONCE = 64 * 1024
"""Bytes of a body that are written in one go; more would keep other requests waiting."""
NO_TRACE = "TRACE is not sent on: what is added on the way, such as a key, would be in its answer"
_MEANT = frozenset({"PATCH", "POST", "PUT"})
"""Methods that mean something by a body, and so tell that there is none: RFC 9110 8.6."""


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

    def head(self, path: str, headers: Sequence[tuple[str, str]]) -> bytes:
        """
        Return its head as it is written, below `path` and with these headers instead of its own.

        Raises `aiohttp.ClientError` where what stands in it would tell another end of a line, or of the body.
        """
        lines = [
            f"{self.method} {path}{self.target} HTTP/1.1",
            *(f"{name}: {said}" for name, said in headers),
        ]
        told = [said for name, said in headers if name.lower() == "content-length"]
        length = len(self.body or b"") if isinstance(self.body, bytes | None) else None
        if length is not None and any((said.strip().lstrip("0") or "0") != str(length) for said in told):
            # The rest would be waited for, and taken from whatever is sent next.
            raise aiohttp.ClientError(f"the body of the request has {length} bytes, and not as told")
        if self._in_chunks:
            lines.append("Transfer-Encoding: chunked")
        elif not told and (length or self.method in _MEANT):
            lines.append(f"Content-Length: {length}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
            raise aiohttp.ClientError("a header has a line's end in it")
        return head.encode(errors="surrogateescape") + b"\r\n\r\n"

    @property
    def _in_chunks(self) -> bool:
        if self.body is None or isinstance(self.body, bytes):
            return self.chunked and self.body is not None
        # One that is on its way, of no length that is told, would have no end.
        return self.chunked or not any(name.lower() == "content-length" for name, _ in self.headers)

    def content(self) -> bytes | None:
        """Return all that follows the head; None where it is long, or not all there, so that it is written in `pieces`."""
        if self.body is None:
            return b""
        if not isinstance(self.body, bytes) or len(self.body) > AT_ONCE:
            return None
        return _chunk(self.body) + _LAST if self._in_chunks else self.body

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield what follows the head as it is written, as it comes."""
        assert self.body is not None
        async for piece in _cut(self.body) if isinstance(self.body, bytes) else self.body:
            if piece:  # A chunk of nothing would be the last.
                yield _chunk(piece) if self._in_chunks else piece
        if self._in_chunks:
            yield _LAST


_LAST = b"0\r\n\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b""


async def _cut(body: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), AT_ONCE):
        yield body[begin : begin + AT_ONCE]
