"""Answers of MCP servers over HTTP, of which no more is taken than a tool's result may need."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer, or of one stream of them."""


class CountedStream(httpx2.AsyncByteStream):
    """The bytes of an answer. Raises `httpx2.ReadError` once there are too many."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield them."""
        length = 0
        async for piece in self._inner:
            length += len(piece)
            if length > LARGEST_ANSWER:
                raise httpx2.ReadError(f"the answer has more than {LARGEST_ANSWER} bytes, and was given up")
            yield piece

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()


async def bounded(response: httpx2.Response) -> None:
    """
    Count what is read of a response. Raises `httpx2.DecodingError` for one that is packed: nobody asked for that, and a little
    of it may be very much.
    """
    packed = response.headers.get("content-encoding", "identity")
    if packed.strip().lower() != "identity":
        raise httpx2.DecodingError(
            f"the answer is packed ({packed[:40]}), which was not asked for", request=response.request
        )
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = CountedStream(response.stream)
