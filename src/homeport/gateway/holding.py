"""Holds a stream back by a window: an event goes on when all text up to a little behind it was screened."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from homeport.gateway.framing import Event
from homeport.gateway.texts import Path, TextPiece

TAIL = 96
"""Characters of each text that are kept back even when they were screened: what comes next may belong to them, as the
second half of a card's number does."""
BEHIND = 1_000
"""
After so many screened characters of what else the choice says a text's end goes on: it may have come to its end without a
word, and what stands behind it cannot be held for as long as the answer takes.
"""
CONTEXT = 800
"""Characters before the new ones that are screened again, with them."""
_REMEMBERED = 256 * 1024
"""Characters of one text that are kept, to know it when it comes back as history."""
_REPEATED = 24
"""A text of so many characters that has come already, piece by piece, is not screened again when it comes as a whole."""
_THOUGHTS = frozenset({"reasoning", "reasoning_content", "thinking"})
"""Keys of texts behind which the answer comes: it waits for no more than its own end."""
_EACH = 512
"""Bytes that a text or an event takes beside what it says, about."""
_HALVES = "surrogatepass"
"""A character's half may come alone, and the other one with the next piece."""


@dataclass(slots=True)
class _Speaker:
    """All that one choice says, or the one answer of an API that has no choices."""

    length: int = 0
    screened: int = 0


@dataclass(slots=True)
class _Channel:
    """One text that comes in pieces."""

    speaker: _Speaker
    patience: int
    """Characters of its speaker's other texts that come and are screened before its end goes on."""
    recent: str = ""
    """The end of it: all that was not screened yet, and what is before it."""
    length: int = 0
    screened: int = 0
    covered: int = 0
    """Up to where it is the repetition of another text, with which it is screened."""
    upto: int = 0
    """What its speaker had said when it last grew."""
    over: bool = False
    """Whether the API says that no more of it is to come."""
    kept: bytearray | None = field(default_factory=bytearray)
    """All of it, in one piece: as many strings as there are tokens take twenty times as much. None where that is too much."""

    def add(self, text: str) -> None:
        """Append a piece."""
        self.recent += text
        self.grow(len(text))
        if self.kept is not None:
            self.kept += text.encode("utf-8", _HALVES)
            if self.length > _REMEMBERED:
                self.kept = None

    def repeat(self, other: _Channel) -> None:
        """Begin with all of another text, as far as that one was screened."""
        self.recent, self.screened, self.covered = other.recent, other.screened, other.length
        self.kept = None  # It is known by the other one.
        self.grow(other.length)

    def grow(self, count: int) -> None:
        """Note that so many characters have come."""
        self.length += count
        self.speaker.length += count
        self.upto = self.speaker.length
        self.over = False

    def whole(self) -> str:
        """Return all of it; '' where that is too much."""
        return "" if self.kept is None else self.kept.decode("utf-8", _HALVES)

    @property
    def size(self) -> int:
        """Return how many bytes it takes, about."""
        return _EACH + len(self.recent) + len(self.kept or b"")

    @property
    def waiting(self) -> int:
        """Return how many of its characters are to be screened."""
        return self.length - self.screened if self.length > self.covered else 0

    @property
    def cleared(self) -> int:
        """Return how many of its characters may go on."""
        ended = self.over or self.speaker.screened - self.upto >= self.patience
        return self.screened if ended and self.screened == self.length else self.screened - TAIL


class Holding:
    """The events of one answer that have not gone on yet, and the texts that they are pieces of."""

    def __init__(self) -> None:
        self._events: deque[tuple[Event, list[tuple[_Channel, int]], bool]] = deque()
        self._channels: dict[Path, _Channel] = {}
        self._speakers: defaultdict[Path, _Speaker] = defaultdict(_Speaker)
        self.has_answered = False
        """Whether an event with something that the model said has gone on."""

    def add(
        self, event: Event, pieces: Iterable[TextPiece], over: Sequence[Path] = (), *, answers: bool = False
    ) -> None:
        """
        Hold an event with its texts; of those whose paths begin with one of `over` no more is to come.

        `answers` tells whether the model says something in it: the text of an error is none of the model's.
        """
        marks = []
        for piece in pieces:
            channel = self._channels.get(piece.path)
            if channel is None:
                channel = self._begin(piece, comes_whole=_is_below(piece.path, over))
            else:
                channel.add(piece.text)
            marks.append((channel, channel.length))
        if over:
            for path, channel in self._channels.items():
                channel.over = channel.over or _is_below(path, over)
        self._events.append((event, marks, answers))

    @property
    def waiting(self) -> int:
        """Return how many characters were not screened yet."""
        return sum(channel.waiting for channel in self._channels.values())

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
            channel.recent[-channel.waiting - CONTEXT :]
            for channel in self._channels.values()
            if channel.waiting
        ]

    def mark_screened(self) -> None:
        """Note that nothing was found in what `to_screen` gave."""
        for channel in self._channels.values():
            channel.screened = channel.length
            channel.recent = channel.recent[-CONTEXT:]
        for speaker in self._speakers.values():
            speaker.screened = speaker.length

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

    def _begin(self, piece: TextPiece, *, comes_whole: bool) -> _Channel:
        path = piece.path
        speaker = self._speakers[path[:2] if path[0] == "choices" else ()]
        channel = _Channel(speaker, TAIL if _THOUGHTS.intersection(path) else BEHIND)
        # Only what comes whole is a repetition: the first piece of a text may be all of another one, too.
        repeated = self._repeated(piece.text) if comes_whole else None
        if repeated is None:
            channel.add(piece.text)
        else:
            channel.repeat(repeated)
        self._channels[path] = channel
        return channel

    def _repeated(self, text: str) -> _Channel | None:
        if len(text) < _REPEATED:
            return None
        alike = (channel for channel in self._channels.values() if channel.length == len(text))
        return next((channel for channel in alike if channel.whole() == text), None)


def _is_below(path: Path, tops: Iterable[Path]) -> bool:
    return any(path[: len(top)] == top for top in tops)
