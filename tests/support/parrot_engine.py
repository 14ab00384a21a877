"""An engine that says what it is told to, in every API, as a whole or in pieces; it notes what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from homeport.proxy import listen
from homeport.relay.messages import Receive, Scope, Send
from homeport.relay.served import served

SSE, LINES = "text/event-stream", "application/x-ndjson"


@dataclass
class Parrot:
    """What it says, and what it has heard."""

    says: str = "Rome is the capital of Italy."
    place: str = "text"
    """Where it says it: `text`, `reasoning`, or `arguments` of a call."""
    size: int = 5
    """Characters of a piece."""
    choices: int = 1
    pause: asyncio.Event | None = None
    """Waited for before the last piece of text, or after `raw`."""
    asked: list[tuple[str, Any]] = field(default_factory=list)  # Any: JSON
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether a client went before the end."""
    raw: bytes = b""
    """Sent as the whole answer, whatever is asked."""
    kind: str = "application/json"
    """Of `raw`."""
    status: int = 200
    """Of `raw`."""
    packed: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        request = json.loads(body or b"{}")
        self.asked.append((scope["path"], request))
        if self.raw:
            await self._say_raw(send)
            return
        if scope["method"] == "GET":
            native = {"models": [{"name": "parrot", "model": "parrot"}]}
            listed = (
                native if scope["path"] == "/api/tags" else {"object": "list", "data": [{"id": "parrot"}]}
            )
            await self._reply(send, json.dumps(listed).encode())
            return
        native = scope["path"].startswith("/api/")
        if not request.get("stream", native and "/embed" not in scope["path"]):
            whole = self.whole(scope["path"])
            if scope["path"] == "/api/embed":
                texts = request.get("input")
                whole = {
                    "model": "parrot",
                    "embeddings": [[0.1, 0.2]] * (len(texts) if isinstance(texts, list) else 1),
                }
            await self._reply(send, json.dumps(whole).encode())
            return
        await self._stream(scope["path"], LINES if native else SSE, receive, send)

    async def _say_raw(self, send: Send) -> None:
        head = [(b"content-type", self.kind.encode())] + (
            [(b"content-encoding", b"gzip")] if self.packed else []
        )
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": self.raw, "more_body": True})
        if self.pause is not None:
            await self.pause.wait()
        await send({"type": "http.response.body", "body": b""})

    async def _reply(self, send: Send, body: bytes) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, path: str, kind: str, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]}
        )
        gone = asyncio.ensure_future(receive())
        events = list(self.events(path))
        try:
            for number, event in enumerate(events):
                if number == len(self.pieces()) - 1 and self.pause is not None:
                    waiting = asyncio.ensure_future(self.pause.wait())
                    await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                if gone.done():
                    self.hung_up.set()
                    return
                await send({"type": "http.response.body", "body": event, "more_body": True})
                await asyncio.sleep(0)
        finally:
            gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    def whole(self, path: str) -> Any:  # Any: JSON
        """The answer at once."""
        said, usage = self.says, {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        head = {"id": "c1", "created": 1, "model": "parrot"}
        if path.endswith("embeddings"):
            return {
                "object": "list",
                "data": [{"index": 0, "embedding": [0.1, 0.2]}],
                "usage": {"prompt_tokens": 7},
            }
        if path == "/v1/chat/completions":
            message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
            if self.place == "text":
                message["content"] = said
            elif self.place == "reasoning":
                message |= {"reasoning_content": said, "content": "So."}
            else:
                message["tool_calls"] = [
                    {
                        "id": "1",
                        "type": "function",
                        "function": {"name": "f", "arguments": json.dumps({"a": said})},
                    }
                ]
            choices = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(self.choices)]
            return {**head, "object": "chat.completion", "choices": choices, "usage": usage}
        if path == "/v1/completions":
            choices = [{"index": i, "text": said, "finish_reason": "stop"} for i in range(self.choices)]
            return {**head, "object": "text_completion", "choices": choices, "usage": usage}
        if path == "/v1/responses":
            part = {"type": "output_text", "text": said, "annotations": []}
            item = {
                "type": "message",
                "id": "m1",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
            return {"id": "r1", "object": "response", "created_at": 1, "status": "completed", "model": "parrot", "output": [item],
                    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
                    "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}}  # fmt: skip
        if path == "/v1/messages":
            return {"id": "m1", "type": "message", "role": "assistant", "model": "parrot", "content": [{"type": "text", "text": said}],
                    "stop_reason": "end_turn", "usage": {"input_tokens": 7, "output_tokens": 3}}  # fmt: skip
        end = {"model": "parrot", "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop", "prompt_eval_count": 7,
               "eval_count": 3, "total_duration": 123456789012}  # fmt: skip
        return (
            {**end, "message": {"role": "assistant", "content": said}}
            if path == "/api/chat"
            else {**end, "response": said}
        )

    def pieces(self) -> list[str]:
        """What it says, in pieces."""
        said = json.dumps({"a": self.says}) if self.place == "arguments" else self.says
        return [said[at : at + self.size] for at in range(0, len(said), self.size)]

    def events(self, path: str) -> Iterator[bytes]:
        """The answer in pieces."""
        if path.startswith("/api/"):
            for piece in self.pieces():
                message = {"role": "assistant", "content": piece}
                part: dict[str, Any] = {"message": message} if path == "/api/chat" else {"response": piece}
                yield json.dumps({"model": "parrot", **part, "done": False}).encode() + b"\n"
            last: dict[str, Any] = self.whole(path)
            if path == "/api/chat":
                last["message"] = {"role": "assistant", "content": ""}
            else:
                last["response"] = ""
            yield json.dumps(last).encode() + b"\n"
        elif path == "/v1/responses":
            yield from self._response_events()
        elif path == "/v1/messages":
            yield from self._message_events()
        else:
            yield from self._chunks(path)

    def _chunks(self, path: str) -> Iterator[bytes]:
        kind = "chat.completion.chunk" if path == "/v1/chat/completions" else "text_completion"
        head = {"id": "c1", "object": kind, "created": 1, "model": "parrot"}
        for piece in self.pieces():
            for index in range(self.choices):
                delta: dict[str, Any] = {"content": piece}
                if self.place == "reasoning":
                    delta = {"reasoning_content": piece}
                elif self.place == "arguments":
                    delta = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
                part: dict[str, Any] = {"text": piece} if kind == "text_completion" else {"delta": delta}
                yield _data({**head, "choices": [{"index": index, **part, "finish_reason": None}]})
        end: dict[str, Any] = {"text": ""} if kind == "text_completion" else {"delta": {}}
        for index in range(self.choices):
            yield _data({**head, "choices": [{"index": index, **end, "finish_reason": "stop"}]})
        yield _data(
            {**head, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
        )
        yield b"data: [DONE]\n\n"

    def _response_events(self) -> Iterator[bytes]:
        whole = self.whole("/v1/responses")
        item, number = whole["output"][0], 0

        def event(kind: str, **more: Any) -> bytes:  # Any: JSON
            nonlocal number
            number += 1
            return f"event: {kind}\n".encode() + _data({"type": kind, "sequence_number": number, **more})

        where = {"item_id": "m1", "output_index": 0, "content_index": 0}
        yield event(
            "response.created", response={**whole, "status": "in_progress", "output": [], "usage": None}
        )
        yield event(
            "response.output_item.added",
            output_index=0,
            item={**item, "status": "in_progress", "content": []},
        )
        yield event(
            "response.content_part.added",
            **where,
            part={"type": "output_text", "text": "", "annotations": []},
        )
        for piece in self.pieces():
            yield event("response.output_text.delta", **where, delta=piece, logprobs=[])
        yield event("response.output_text.done", **where, text=self.says, logprobs=[])
        yield event("response.output_item.done", output_index=0, item=item)
        yield event("response.completed", response=whole)

    def _message_events(self) -> Iterator[bytes]:
        whole = self.whole("/v1/messages")

        def event(kind: str, **more: Any) -> bytes:  # Any: JSON
            return f"event: {kind}\n".encode() + _data({"type": kind, **more})

        yield event("message_start", message={**whole, "content": [], "stop_reason": None})
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for piece in self.pieces():
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        yield event("content_block_stop", index=0)
        yield event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 3},
        )
        yield event("message_stop")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address while it serves."""
        async with served(self, listen(0)) as url:
            yield url


def _data(body: Any) -> bytes:  # Any: JSON
    return b"data: " + json.dumps(body).encode() + b"\n\n"
