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
_EACH = 512
"""Bytes that a text or an event takes beside what it says, about."""
_HALVES = "surrogatepass"
"""A character's half may come alone, and the other one with the next piece."""


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
    kept: bytearray | None = field(default_factory=bytearray)
    """All of it, in one piece: as many strings as there are tokens take twenty times as much. None where that is too much."""

    def add(self, text: str) -> None:
        """Append a piece."""
        self.recent += text
        self.length += len(text)
        self.closed = False
        if self.kept is not None:
            self.kept += text.encode("utf-8", _HALVES)
            if self.length > _REMEMBERED:
                self.kept = None

    def whole(self) -> str:
        """Return all of it; '' where that is too much."""
        return "" if self.kept is None else self.kept.decode("utf-8", _HALVES)

    @property
    def size(self) -> int:
        """Return how many bytes it takes, about."""
        return _EACH + len(self.recent) + len(self.kept or b"")

    @property
    def cleared(self) -> int:
        """Return how many of its characters may go on: all of a text that is over and was screened to its end."""
        return self.screened if self.closed and self.screened == self.length else self.screened - TAIL


class Holding:
    """The events of one answer that have not gone on yet, and the texts that they are pieces of."""

    def __init__(self) -> None:
        self._events: deque[tuple[Event, list[tuple[_Channel, int]], bool]] = deque()
        self._channels: dict[Path, _Channel] = {}
        self.has_answered = False
        """Whether an event with something that the model said has gone on."""

    def add(
        self,
        event: Event,
        pieces: Iterable[TextPiece],
        finished: Iterable[int] = (),
        *,
        answers: bool = False,
    ) -> None:
        """
        Hold an event with its texts; `finished` are the choices that end with it.

        `answers` tells whether the model says something in it: the text of an error is none of the model's.
        """
        marks = []
        for piece in pieces:
            channel = self._repeated(piece.text) or self._append(piece)
            marks.append((channel, channel.length))
        for choice in finished:
            self._close(("choices", choice), None)
        self._events.append((event, marks, answers))

    @property
    def waiting(self) -> int:
        """Return how many characters were not screened yet."""
        return sum(channel.length - channel.screened for channel in self._channels.values())

    @property
    def size(self) -> int:
        """Return how many bytes it takes, about: of events as they came, which take several times that."""
        texts = sum(channel.size for channel in self._channels.values())
        return texts + sum(_EACH + event.size for event, _, _ in self._events)

    def forget(self) -> None:
        """Drop what was kept of each text: none of this answer will be known when it comes back as history."""
        for channel in self._channels.values():
            channel.kept = None

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
            event, marks, answers = self._events[0]
            if any(upto > (channel.screened if end else channel.cleared) for channel, upto in marks):
                break
            self._events.popleft()
            free.append(event)
            self.has_answered = self.has_answered or answers
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
