"""
An OpenAI-compatible server whose tokens come on a fixed clock: what a load generator should measure is known beforehand.

A request waits for one of `slots`, its first token comes `ttft_s` after it has one, each further one `itl_s` later: times
are set from the beginning, so that a late timer does not add up. A word is a token. It can lie, in one way at a time.
Run as a program it is a process of its own: `python paced_server.py PORT TTFT_S ITL_S SLOTS`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import httptools

TEMPLATE = 5
"""Tokens that its chat template adds."""


class Lie(StrEnum):
    """What is wrong with it."""

    USAGE_MORE = "usage has one token more than it sent"
    USAGE_LESS = "usage has one token less than it sent"
    USAGE_HALF = "usage has half of the tokens in chunks"
    PROMPT_LESS = "usage has one token of the prompt less"
    NO_USAGE = "no usage"
    FOUR_A_CHUNK = "four tokens a chunk"
    STALLS = "every fourth stream stalls in the middle"
    ERROR_IN_THE_MIDDLE = "every fourth stream has a 5xx in the middle"
    HANGS_UP_IN_THE_MIDDLE = "every fourth connection ends in the middle"
    FAILS = "every fourth request gets 503"
    NO_REASON = "every fourth stream ends without a reason to finish"
    REFUSES_EOS = "ignore_eos is an unknown parameter"
    CLOSES_IDLE = "connections are closed after their answer, without saying so"
    TWO_WORDS = "the word water is two tokens"
    GARBAGE = "streams of no JSON"


@dataclass(frozen=True, kw_only=True)
class Pace:
    ttft_s: float = 0.03
    itl_s: float = 0.002
    slots: int = 10_000
    lie: Lie | None = None


class PacedServer:
    """The server, in a thread with an event loop of its own, from when it is entered until it is left."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.requests: list[dict[str, Any]] = []
        self.transports: set[asyncio.Transport] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, port: int = 0) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._slots = asyncio.Semaphore(self.pace.slots)
        self._number = 0
        self._open: set[asyncio.Task[None]] = set()
        server = await self._loop.create_server(lambda: _Peer(self), "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for transport in [*self.transports]:
            transport.abort()
        await asyncio.sleep(0)

    def answer(self, peer: _Peer, path: str, body: bytes) -> None:
        task = self._loop.create_task(self._answer(peer, path, body))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _answer(self, peer: _Peer, path: str, body: bytes) -> None:
        if not path.endswith("/completions"):
            listed = {"object": "list", "data": [{"id": "paced", "object": "model"}]}
            peer.whole(
                200, listed if path == "/v1/models" else {}, 200 if path in {"/v1/models", "/health"} else 404
            )
            return
        arrived = self._loop.time()
        request = json.loads(body)
        self.requests.append(request)
        self._number += 1
        fourth = self._number > 8 and self._number % 4 == 0  # Counting and warming up go well.
        pace = self.pace
        if pace.lie is Lie.REFUSES_EOS and "ignore_eos" in request:
            peer.whole(400, {"error": {"message": "unknown parameter: ignore_eos"}})
            return
        if pace.lie is Lie.FAILS and fourth:
            peer.whole(503, {"error": {"message": "busy"}})
            return
        waited = self._slots.locked()
        async with self._slots:
            begun = self._loop.time() if waited else arrived
            await self._stream(peer, request, begun, odd=fourth)

    async def _stream(self, peer: _Peer, request: dict[str, Any], begun: float, *, odd: bool) -> None:
        pace, lie = self.pace, self.pace.lie
        # Clients that count by a tokenizer of their own still get what they asked for: a word, a token.
        count = int(request.get("max_completion_tokens") or request.get("max_tokens") or 16)
        peer.begin()
        each = 4 if lie is Lie.FOUR_A_CHUNK else 1
        for number in range(0, count, each):
            # The last token of a chunk is what it waits for.
            at = begun + pace.ttft_s + (min(number + each, count) - 1) * pace.itl_s
            await asyncio.sleep(at - self._loop.time())
            if odd and number >= count // 2:
                if lie is Lie.STALLS:
                    await asyncio.Event().wait()
                if lie is Lie.ERROR_IN_THE_MIDDLE:
                    peer.event({"error": {"code": 503, "message": "out of memory"}})
                    break
                if lie is Lie.HANGS_UP_IN_THE_MIDDLE:
                    peer.transport.abort()
                    return
                if lie is Lie.NO_REASON:
                    break
            if number == 0:  # As vLLM and llama.cpp do: its role comes with its first token.
                peer.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
            text = " token" * min(each, count - number)
            if lie is Lie.GARBAGE:
                peer.text("data: <html>\n\n")
            else:
                peer.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
        else:
            peer.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
            self._usage(peer, request, count)
            peer.text("data: [DONE]\n\n")
        peer.end()
        if lie is Lie.CLOSES_IDLE:
            peer.transport.close()

    def _usage(self, peer: _Peer, request: dict[str, Any], count: int) -> None:
        lie = self.pace.lie
        if lie is Lie.NO_USAGE or not (request.get("stream_options") or {}).get("include_usage"):
            return
        told = {Lie.USAGE_MORE: count + 1, Lie.USAGE_LESS: count - 1, Lie.USAGE_HALF: count // 2}
        output = told.get(lie, count) if lie else count
        words = str(request["messages"][-1]["content"]).split()
        prompt = TEMPLATE + len(words) + (words.count("water") if lie is Lie.TWO_WORDS else 0)
        if lie is Lie.PROMPT_LESS and len(words) > 150:  # Not while it is counted.
            prompt -= 1
        usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
        peer.event({"choices": [], "usage": usage})


class _Peer(asyncio.Protocol):
    """One connection of a client's."""

    def __init__(self, server: PacedServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = "", b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.transports.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._server.transports.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode().partition("?")[0]

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self._server.answer(self, self._path, body)

    def whole(self, status: int, content: Any, other: int | None = None) -> None:
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {other or status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)

    def begin(self) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    def event(self, content: Any) -> None:
        whole = {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "paced", **content}
        self.text(f"data: {json.dumps(whole)}\n\n")

    def text(self, text: str) -> None:
        if not self.transport.is_closing():
            data = text.encode()
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"0\r\n\r\n")


if __name__ == "__main__":
    PORT, TTFT_S, ITL_S, SLOTS = sys.argv[1:]
    asyncio.run(
        PacedServer(Pace(ttft_s=float(TTFT_S), itl_s=float(ITL_S), slots=int(SLOTS)))._serve(int(PORT))
    )
