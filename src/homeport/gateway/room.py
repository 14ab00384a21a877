"""
How many bytes of requests and of answers the gateway holds at once: its memory is small, and nobody may take all of it.

What connections keep of their own on the way, some hundred KiB each at most, is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from homeport.gateway.verdict import Reason, Refused

MOST_HELD = 40 * 2**20
"""Read, they take several times that: with it a container of 512 MiB is not full."""


class Room:
    """What is left of it. Nobody waits for more: one who holds half of a request would keep others waiting for ever."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._left = most

    @contextmanager
    def taken(self) -> Iterator[TakenRoom]:
        """Yield a share that grows; it is given back at the end."""
        share = TakenRoom(self)
        try:
            yield share
        finally:
            share.give_back()

    def take(self, size: int) -> None:
        """Take so many bytes. Raises `Refused` where there are no more."""
        if size > self._left:
            raise Refused(
                Reason.BUSY, "the gateway holds as many texts as it has room for: ask again in a moment"
            )
        self._left -= size

    def give(self, size: int) -> None:
        """Give them back."""
        self._left += size


class TakenRoom:
    """The share of one request."""

    def __init__(self, room: Room) -> None:
        self._room, self._size = room, 0

    def grow(self, size: int) -> None:
        """Take more. Raises `Refused` where there is no more."""
        self._room.take(size)
        self._size += size

    def hold(self, size: int) -> None:
        """Have so many bytes, whatever it had. Raises `Refused` where there are not so many, and then has what it had."""
        if size > self._size:
            self.grow(size - self._size)
        else:
            self._room.give(self._size - size)
            self._size = size

    def give_back(self) -> None:
        """Give all of it back; it may grow again."""
        self._room.give(self._size)
        self._size = 0
