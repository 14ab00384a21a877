"""The head of an answer goes out together with what of its body is there already."""

from __future__ import annotations

import asyncio

_HEAD = b"HTTP/1.1 "


class JoinedWrites:
    """
    A transport that keeps the head of an answer until the turn of the event loop is over, and writes it with what follows.

    Servers write the two apart, and each costs a call of the kernel. Nothing waits for what is still to come, and what
    comes later is written at once. A body that looks like a head is kept for a turn, too, which changes nothing. Of a
    transport it has what a server of HTTP uses.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._kept: bytes | None = None
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Write, after what is kept; a head is kept."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._transport.write(kept + data)
        elif data.startswith(_HEAD):
            self._kept = data
            self._loop.call_soon(self._release)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        self._release()
        self._transport.close()

    def _release(self) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._transport.write(kept)
