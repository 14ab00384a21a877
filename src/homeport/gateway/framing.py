"""Answers that come in pieces: server-sent events, and lines of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from homeport.gateway import strict_json
from homeport.json_types import JsonObject

DONE = "[DONE]"
_LONGEST = 4 * 2**20
"""Bytes of one event: a whole answer may come in one."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream; `body` is None for the one that says that it is over."""

    body: JsonObject | None
    name: str = ""
    size: int = 0
    """Of it as it came, in characters."""


class Parser(Protocol):
    """Takes bytes as they come, gives events when they are whole, and writes events again."""

    @property
    def held(self) -> int:
        """Return the size of what has come of an event that is not whole."""

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are whole now. Raises `ValueError` for what is none."""

    def rest(self) -> list[Event]:
        """Return what is left when no more comes."""

    def render(self, event: Event) -> bytes:
        """Return an event as it is sent."""


class ServerSentEvents:
    """`text/event-stream`, as WHATWG describes it. Comments and unknown fields are dropped."""

    def __init__(self) -> None:
        self._held = b""
        self._data: list[str] = []
        self._name = ""
        self._size = 0

    @property
    def held(self) -> int:
        """Return the size of what has come of an event that is not whole."""
        return len(self._held) + self._size

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are whole now. Raises `ValueError`."""
        self._held = _bounded(self._held + data, self._size)
        if b"\r" in self._held:
            end = -1 if self._held.endswith(b"\r") else len(self._held)  # A line feed may follow.
            complete = self._held[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            self._held = complete + self._held[end:] if end == -1 else complete
        *lines, self._held = self._held.split(b"\n")
        return [event for line in lines if (event := self._line(line.decode("utf-8"))) is not None]

    def rest(self) -> list[Event]:
        """Return the last event, where its end is missing."""
        events = [self._line(self._held.decode("utf-8")), self._line("")]
        self._held = b""
        return [event for event in events if event is not None]

    def render(self, event: Event) -> bytes:
        """Return an event as it is sent."""
        data = DONE.encode() if event.body is None else strict_json.dumps(event.body)
        name = f"event: {event.name}\n".encode() if event.name else b""
        return name + b"data: " + data + b"\n\n"

    def _line(self, line: str) -> Event | None:
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                self._data.append(value)
                self._size += len(value)
            elif field == "event":
                self._name = value
            return None
        data, name = "\n".join(self._data), self._name
        self._data, self._name, self._size = [], "", 0
        if not data:
            return None
        if data.strip() == DONE:
            return Event(None)
        if name and not name.replace("_", "").replace(".", "").isalnum():
            raise ValueError("the name of an event is no name")
        return Event(_table(data), name, len(data))


class JsonLines:
    """`application/x-ndjson`: a line is an event."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def held(self) -> int:
        """Return the size of what has come of an event that is not whole."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are whole now. Raises `ValueError`."""
        *lines, self._held = _bounded(self._held + data, 0).split(b"\n")
        return [_of_line(line) for line in lines if line.strip()]

    def rest(self) -> list[Event]:
        """Return the last event, where its end is missing."""
        line, self._held = self._held, b""
        return [_of_line(line)] if line.strip() else []

    def render(self, event: Event) -> bytes:
        """Return an event as it is sent."""
        return strict_json.dumps(event.body or {}) + b"\n"


def _of_line(line: bytes) -> Event:
    return Event(_table(line.decode("utf-8")), size=len(line))


def _table(text: str) -> JsonObject:
    return strict_json.table(json.loads(text))


def _bounded(data: bytes, held: int) -> bytes:
    if len(data) + held > _LONGEST:
        raise ValueError("an event does not end")
    return data
