"""The transcript of a run: one JSON object a line, each written before what follows from it is done."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Self

from homeport.errors import SpecError
from homeport.home import Home, private_folder, private_opener, writing
from homeport.json_types import Json, JsonObject
from homeport.own_path import ensure_file, leads_to_a_stream, mode_at, text_of
from homeport.redaction import redacted_json

VERSION = 1
_BEGINS = (b'{"event": "run"', b'{"event": "task"')
"""How the first line of a transcript begins: of a run, or of an evaluation."""
Event = Mapping[str, Json]
"""One line: `event` is `run`, `step`, `result` or `end`."""


class Transcript:
    """Writes the events of a run to a file that is its user's alone, and tells a listener of each."""

    def __init__(self, path: Path, listener: Callable[[Event], None] = lambda _: None) -> None:
        self.path = path
        self._listener = listener
        self.last_run: list[Event] = []
        """The events of the run that was begun last: a file such as /dev/null does not tell them again."""
        ensure_own(path)
        with writing(path):
            self._was_there = path.exists()
            if not self._was_there and not path.parent.exists():
                private_folder(path.parent)
            self._open()

    def _open(self) -> None:
        # Unbuffered: what a full disk refuses once is not tried again where the file is closed.
        self._file = open(self.path, "ab", buffering=0, opener=private_opener)  # noqa: SIM115 - closed by __exit__
        if not _ends_line(self.path):  # Its writer was killed within the line.
            self._file.write(b"\n")

    def add(self, event: str, **facts: Json) -> None:
        """Write one event, and show it."""
        line = redacted_json({"event": event, **facts})
        rest = json.dumps(line).encode() + b"\n"
        with writing(self.path):
            if not (self.last_run or os.fstat(self._file.fileno()).st_nlink):
                # Another run that began it asked nothing, and took it away.
                self._file.close()
                self._open()
            while rest:
                rest = rest[self._file.write(rest) :]
        self.last_run = [line] if event == "run" else [*self.last_run, line]
        self._listener(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not (self.last_run or self._was_there):  # Nothing was asked: an empty file would be no transcript.
            with suppress(OSError):
                self._take_away()
        self._file.close()

    def _take_away(self) -> None:
        # What another run has written meanwhile stays, and so does a link.
        mine, there = os.fstat(self._file.fileno()), self.path.lstat()
        if os.path.samestat(mine, there) and stat.S_ISREG(mine.st_mode) and mine.st_size == 0:
            self.path.unlink()


def ensure_own(path: Path) -> None:
    """
    Raise `SpecError` where a transcript would be written into a file that holds something else; `StateError` where nobody can look.

    It is added to a file that begins as one does, and begun where nothing is, in an empty file, or in what the shell has opened.
    """
    with writing(path):
        if not mode_at(path):
            return
        ensure_file(path)
        if not stat.S_ISREG(path.stat().st_mode) or leads_to_a_stream(path):
            return
        begin = b""
        with suppress(FileNotFoundError), path.open("rb") as file:  # Another run may take away what it began.
            begin = file.read(len(max(_BEGINS, key=len)))
    if begin and not begin.startswith(_BEGINS):
        raise SpecError(
            f"{path} is there, and is no transcript: nothing was written into it",
            hint="name a file that is not there yet, or a transcript, to which the new one is added",
        )


def _ends_line(path: Path) -> bool:
    if not stat.S_ISREG(mode_at(path)) or leads_to_a_stream(path):
        return True
    with suppress(FileNotFoundError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read(1) in {b"", b"\n"}
    return True


def new_path(home: Home) -> Path:
    """Return where the transcript of a run that begins now belongs."""
    return folder(home) / name_of_new()


def folder(home: Home) -> Path:
    """Return where transcripts are kept, unless another place is named."""
    return home.root / "transcripts"


def name_of_new() -> str:
    """Return the file name of the transcript of a run that begins now."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(3)}.jsonl"


def read(path: Path) -> list[JsonObject]:
    """Return the events of the last run in a transcript. Raises `SpecError` where it is none."""
    hint = "name a file that `homeport agent run` or `chat` wrote"
    events: list[JsonObject] = []
    broken = 0
    lines = text_of(path, if_missing=hint, hint=hint).splitlines()
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
        except ValueError:
            broken = broken or number
            continue
        if not isinstance(event, dict) or "event" not in event:
            raise SpecError(f"line {number} of {path} is no event of a transcript", hint=hint)
        if event["event"] == "run":
            events, broken = [], 0
        events.append(event)
    if broken and broken < len(lines):  # Of the last line alone: its writer was killed within it.
        raise SpecError(f"line {broken} of {path} is not JSON", hint=hint)
    if not events or events[0]["event"] != "run" or events[0].get("version") != VERSION:
        raise SpecError(f"{path} is no transcript of version {VERSION}", hint=hint)
    return events
