"""One request of a load, from when it was due to its last token, and what was wrong with its answer."""

from __future__ import annotations

import asyncio
import json
from array import array
from dataclasses import dataclass, field
from enum import StrEnum

from homeport.json_types import Json, JsonObject

_DECODER = json.JSONDecoder()


class RequestFailure(StrEnum):
    """Why a request has no figure."""

    CONNECT = "no connection"
    REFUSED = "refused (4xx)"
    SERVER = "error of the server (5xx)"
    ERROR_EVENT = "error in the middle of the stream"
    BROKEN = "connection lost in the middle"
    MALFORMED = "no stream of JSON"
    CUT = "stream ended without a reason to finish"
    EMPTY = "no token"
    STALLED = "stalled: no piece for too long"
    TIMEOUT = "took too long"


@dataclass(slots=True, kw_only=True, eq=False)
class TimedRequest:
    """
    A request and its answer. Times are `time.monotonic()`.

    It is a `Receiver`: `done` is set when nothing more will come.
    """

    due: float
    """When it should have been sent. In a closed loop, when it was."""
    input: int
    """Tokens that its prompt was made to have."""
    output: int
    """Tokens that it asked for, at most."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    sent: float = 0.0
    chunks: array[float] = field(default_factory=lambda: array("d"))
    """When each chunk with tokens arrived."""
    first_answer: float | None = None
    """When the first token that is no reasoning arrived."""
    last_piece: float = 0.0
    status: int = 0
    finish: str = ""
    usage: JsonObject | None = None
    failure: RequestFailure | None = None
    detail: str = ""
    """What the server said of the failure, shortened."""
    _rest: bytes = b""

    def head(self, status: int, at: float) -> None:
        """Take the status."""
        self.status, self.last_piece = status, at

    def piece(self, data: bytes, at: float) -> None:
        """Take a piece of the stream: events, whole or not."""
        self.last_piece = at
        if self.status != 200:
            self._rest += data[:400]
            return
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        events = (self._rest + data if self._rest else data).split(b"\n\n")
        self._rest = events.pop()
        for event in events:
            self._event(event, at)

    def ended(self, at: float) -> None:
        """Judge the answer, which is whole."""
        self.last_piece = at
        if self.status != 200:
            kind = RequestFailure.SERVER if self.status >= 500 else RequestFailure.REFUSED
            self.fail(kind, f"{self.status}: {self._rest.decode(errors='replace')[:200]}")
        elif self.failure is None and not self.finish:
            self.fail(
                RequestFailure.CUT if self.chunks else RequestFailure.MALFORMED,
                self._rest[:80].decode(errors="replace"),
            )
        elif self.failure is None and not self.chunks:
            self.fail(RequestFailure.EMPTY, f"finish_reason {self.finish}")
        self.done.set()

    def broken(self, why: str, at: float) -> None:
        """Note that no more comes."""
        self.last_piece = at
        self.fail(RequestFailure.BROKEN, why)
        self.done.set()

    def fail(self, kind: RequestFailure, detail: str) -> None:
        """Note the first thing that was wrong."""
        if self.failure is None:
            self.failure, self.detail = kind, detail

    def _event(self, event: bytes, at: float) -> None:
        for line in event.split(b"\n"):
            if not line.startswith(b"data:"):
                continue
            text = line[5:].strip()
            if text == b"[DONE]":
                return
            try:
                chunk = _decoded(text.decode())
            except ValueError:
                self.fail(RequestFailure.MALFORMED, text[:80].decode(errors="replace"))
                return
            if not isinstance(chunk, dict):
                self.fail(RequestFailure.MALFORMED, text[:80].decode(errors="replace"))
            elif chunk.get("error"):
                self.fail(RequestFailure.ERROR_EVENT, str(chunk["error"])[:200])
            else:
                self._chunk(chunk, at)

    def _chunk(self, chunk: JsonObject, at: float) -> None:
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.usage = usage  # Some engines send it with every chunk; the last one counts.
        choices = chunk.get("choices")
        choice: Json = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, dict) else choice.get("text")
        thought = isinstance(delta, dict) and (
            delta.get("reasoning") or delta.get("reasoning_content") or delta.get("tool_calls")
        )
        if text or thought:
            self.chunks.append(at)
            if text and self.first_answer is None:
                self.first_answer = at
        if choice.get("finish_reason"):
            self.finish = str(choice["finish_reason"])

    @property
    def output_tokens(self) -> int:
        """Return the tokens of the answer as the server counts them; its chunks where it counts none."""
        counted = (self.usage or {}).get("completion_tokens")
        return counted if isinstance(counted, int) and counted > 0 else len(self.chunks)

    @property
    def input_tokens(self) -> int | None:
        """Return the tokens of the prompt as the server counts them; None where it does not."""
        counted = (self.usage or {}).get("prompt_tokens")
        return counted if isinstance(counted, int) else None

    @property
    def cached_tokens(self) -> int:
        """Return how many tokens of the prompt the server had cached, as far as it tells."""
        details = (self.usage or {}).get("prompt_tokens_details")
        counted = details.get("cached_tokens") if isinstance(details, dict) else 0
        return counted if isinstance(counted, int) else 0


def _decoded(text: str) -> Json:
    """Return a value of JSON. `json.loads` looks for encodings and spaces first, which costs half as much again."""
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("more than one value")
    return value
