"""
A paced server that works in steps, as an engine with continuous batching does: real HTTP, its steps on a fixed clock.

A step reads pieces of prompts, `STEP_TOKENS` tokens at most with those that are decoded, and decodes a token of every
request whose prompt is read. It takes `step_s`, and `token_s` more for each of its tokens, of prompts and of answers, but
`memory_s` at least; the next begins when it was to end, so that late timers do not add up. A word is a token. Run as a program
it is an instance of Cloud Run: `python stepped_server.py STEP_S TOKEN_S SEQUENCES START_S [MEMORY_S]`, on the port of the
variable PORT.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from paced_server import Pace, PacedServer, _Peer

STEP_TOKENS = 2048


@dataclass(slots=True, kw_only=True)
class Sequence:
    """One request in the batch."""

    peer: _Peer
    unread: int
    """Tokens of the prompt that no step has read."""
    tokens: int
    """Of the answer, in all."""
    sent: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class SteppedServer(PacedServer):
    """The server; `slots` of its pace is how many requests a step may have, and `itl_s` how long one takes."""

    def __init__(self, pace: Pace, token_s: float, memory_s: float = 0.0) -> None:
        super().__init__(pace)
        self._token_s, self._memory_s = token_s, memory_s
        self._queue: deque[Sequence] = deque()
        self._batch: list[Sequence] = []
        self._working: asyncio.Task[None] | None = None

    async def _stream(self, peer: _Peer, request: dict[str, Any], begun: float, *, odd: bool) -> None:
        words = len(str(request["messages"][-1]["content"]).split())
        one = Sequence(
            peer=peer, unread=words, tokens=int(request.get("max_completion_tokens") or request["max_tokens"])
        )
        self._queue.append(one)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        await one.done.wait()
        peer.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
        usage = {"prompt_tokens": words, "completion_tokens": one.tokens, "total_tokens": words + one.tokens}
        peer.event({"choices": [], "usage": usage})
        peer.text("data: [DONE]\n\n")
        peer.end()

    async def _work(self) -> None:
        ends = self._loop.time()
        while self._queue or self._batch:
            while self._queue and len(self._batch) < self.pace.slots:
                self._batch.append(self._queue.popleft())
            # Who reads in this step decodes from the next on, or from its end where its prompt is whole.
            read = sum(not one.unread for one in self._batch)
            budget = STEP_TOKENS - read
            for one in self._batch:
                piece = min(budget, one.unread)
                one.unread, budget, read = one.unread - piece, budget - piece, read + piece
            ends += self.pace.itl_s + max(self._memory_s, self._token_s * read)
            await asyncio.sleep(ends - self._loop.time())
            for one in self._batch:
                if not one.unread:
                    self._token(one)
            self._batch = [one for one in self._batch if one.sent < one.tokens]

    @staticmethod
    def _token(one: Sequence) -> None:
        if not one.sent:
            one.peer.begin()
        one.sent += 1
        choice = {"index": 0, "delta": {"content": " token"}, "finish_reason": None}
        one.peer.event({"choices": [choice]})
        if one.sent == one.tokens:
            one.done.set()


class Body:
    """Makes the bodies of requests to it: a word for each token."""

    def body(self, number: int, *, input: int, output: int) -> bytes:
        """A request with a prompt of `input` tokens that asks for `output`."""
        return json.dumps(
            {
                "model": "paced",
                "messages": [{"role": "user", "content": " ".join(["word"] * input)}],
                "max_tokens": output,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        ).encode()


if __name__ == "__main__":
    STEP_S, TOKEN_S, SEQUENCES, START_S, *MEMORY_S = sys.argv[1:]
    time.sleep(float(START_S))  # An instance of Cloud Run's that loads its weights.
    MADE = SteppedServer(
        Pace(itl_s=float(STEP_S), slots=int(SEQUENCES)), float(TOKEN_S), *map(float, MEMORY_S)
    )
    asyncio.run(MADE._serve(int(os.environ["PORT"])))
