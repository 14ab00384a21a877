"""Holds a stream back by a window: an event goes on when all text up to a little behind it was screened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from homeport.gateway.framing import Event
from homeport.gateway.texts import Path, TextPiece

TAIL = 96
"""Characters of each text that are kept back even when they were screened: what comes next may belong to them, as the
second half of a card's number does."""
CONTEXT = 800
"""Characters before the new ones that are screened again, with them."""
_REMEMBERED = 256 * 1024
"""Characters of one text that are kept, to know it when it comes back as history."""
_REPEATED = 24
"""A text of so many characters that has come already, piece by piece, is not screened again when it comes as a whole."""


@dataclass(slots=True)
class _Channel:
    """One text that comes in pieces."""

    group: Path
    recent: str = ""
    """The end of it: all that was not screened yet, and what is before it."""
    length: int = 0
    screened: int = 0
    closed: bool = False
    """Whether no more of it is to come."""
    parts: list[str] | None = field(default_factory=list)
    """All of it; None where that is too much."""

    def add(self, text: str) -> None:
        """Append a piece."""
        self.recent += text
        self.length += len(text)
        self.closed = False
        if self.parts is not None:
            self.parts.append(text)
            if self.length > _REMEMBERED:
                self.parts = None

    def whole(self) -> str:
        """Return all of it; '' where that is too much."""
        if self.parts is None:
            return ""
        self.parts = ["".join(self.parts)]
        return self.parts[0]

    @property
    def cleared(self) -> int:
        """Return how many of its characters may go on."""
        return self.screened if self.closed else self.screened - TAIL


class Holding:
    """The events of one answer that have not gone on yet, and the texts that they are pieces of."""

    def __init__(self) -> None:
        self._events: deque[tuple[Event, list[tuple[_Channel, int]]]] = deque()
        self._channels: dict[Path, _Channel] = {}
        self.has_released_text = False
        """Whether an event with text has gone on."""

    def add(self, event: Event, pieces: Iterable[TextPiece], finished: Iterable[int] = ()) -> None:
        """Hold an event with its texts; `finished` are the choices that end with it."""
        marks = []
        for piece in pieces:
            channel = self._repeated(piece.text) or self._append(piece)
            marks.append((channel, channel.length))
        for choice in finished:
            self._close(("choices", choice), None)
        self._events.append((event, marks))

    @property
    def waiting(self) -> int:
        """Return how many characters were not screened yet."""
        return sum(channel.length - channel.screened for channel in self._channels.values())

    def to_screen(self) -> list[str]:
        """Return what was not screened yet, each text with what is before it."""
        return [
            channel.recent[-(channel.length - channel.screened) - CONTEXT :]
            for channel in self._channels.values()
            if channel.length > channel.screened
        ]

    def mark_screened(self) -> None:
        """Note that nothing was found in what `to_screen` gave."""
        for channel in self._channels.values():
            channel.screened = channel.length
            channel.recent = channel.recent[-CONTEXT:]

    def release(self, *, end: bool = False) -> list[Event]:
        """Return the events that may go on now; at the `end` all whose text was screened."""
        free = []
        while self._events:
            event, marks = self._events[0]
            if any(upto > (channel.screened if end else channel.cleared) for channel, upto in marks):
                break
            self._events.popleft()
            free.append(event)
            self.has_released_text = self.has_released_text or bool(marks)
        return free

    def texts(self) -> list[str]:
        """Return the texts of the answer, as far as they are kept."""
        return [text for channel in self._channels.values() if (text := channel.whole())]

    def _append(self, piece: TextPiece) -> _Channel:
        channel = self._channels.get(piece.path)
        if channel is None:
            group = piece.path[:2] if piece.path[0] == "choices" else ()
            channel = self._channels[piece.path] = _Channel(group)
        channel.add(piece.text)
        self._close(channel.group, channel)
        return channel

    def _close(self, group: Path, but: _Channel | None) -> None:
        """Note that texts of a choice are over: another one of it has begun, or all of it."""
        for channel in self._channels.values():
            if channel is not but and channel.group == group:
                channel.closed = True

    def _repeated(self, text: str) -> _Channel | None:
        if len(text) < _REPEATED:
            return None
        alike = (channel for channel in self._channels.values() if channel.length == len(text))
        return next((channel for channel in alike if channel.whole() == text), None)
