"""How tools are spoken of in each API: what is asked, what comes, and how results are given back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from homeport.endpoint import Endpoint
from homeport.endpoint.refusals import refusal
from homeport.errors import NetworkError
from homeport.json_types import Json, JsonObject
from homeport.verify.checks import weather

_MOST = 512
"""Tokens of one turn: some models think before they answer."""

Messages = Sequence[Json]
"""Of a conversation, as its API has them."""


@dataclass(frozen=True, slots=True)
class ModelTurn:
    """What came from the model in its turn."""

    text: str
    thoughts: str
    calls: tuple[str, ...]
    """Names of the functions, with their arguments."""
    cut: bool
    """Whether it ended because it had become too long."""
    given_back: tuple[Json, ...] = ()
    """The turn and the results of its calls, as the API wants them in the next request."""


class Dialect(Protocol):
    """One API."""

    async def whole(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, asked for in one piece."""

    async def streamed(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, asked for piece by piece."""


class ChatCompletions:
    """`/v1/chat/completions`."""

    _OPTIONS: JsonObject = {"tools": [weather.tool()], "max_tokens": _MOST, "temperature": 0}  # noqa: RUF012

    async def whole(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, asked for in one piece."""
        choice = (await endpoint.answer(messages, **self._OPTIONS))["choices"][0]
        message = choice["message"]
        calls = message.get("tool_calls") or []
        # As clients do: the message as it came, without the fields that are empty.
        sent = {key: value for key, value in message.items() if value is not None or key == "content"}
        results = [{"role": "tool", "tool_call_id": call["id"], "content": weather.RESULT} for call in calls]
        return ModelTurn(
            text=message.get("content") or "",
            thoughts=_thoughts(message),
            calls=tuple(_call(call["function"]) for call in calls),
            cut=choice["finish_reason"] == "length",
            given_back=(sent, *results),
        )

    async def streamed(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, asked for piece by piece."""
        text, thoughts, reason, calls = "", "", "", list[str]()
        async for chunk in endpoint.stream(messages, **self._OPTIONS):
            for choice in chunk["choices"]:
                delta = choice["delta"]
                text += delta.get("content") or ""
                thoughts += _thoughts(delta)
                reason = choice.get("finish_reason") or reason
                calls += [
                    call["function"]["name"]
                    for call in delta.get("tool_calls") or []
                    if call["function"].get("name")
                ]
        return ModelTurn(text, thoughts, tuple(calls), reason == "length")


class Responses:
    """`/v1/responses`, without state: all that was said before is sent again."""

    PATH = "/v1/responses"

    async def whole(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, asked for in one piece."""
        return _response(await endpoint.post(self.PATH, self._request(endpoint, messages)))

    async def streamed(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, put together from the events that clients show, to the last one."""
        request = {**self._request(endpoint, messages), "stream": True}
        text, thoughts, calls = "", "", list[str]()
        async for line in _lines(endpoint, self.PATH, request):
            if not line.startswith("data:") or line == "data: [DONE]":
                continue
            event = json.loads(line.removeprefix("data:"))
            kind, item = event["type"], event.get("item") or {}
            if kind == "response.output_text.delta":
                text += event["delta"]
            elif kind in {"response.reasoning_text.delta", "response.reasoning_summary_text.delta"}:
                thoughts += event["delta"]
            elif kind == "response.output_item.done" and item.get("type") == "function_call":
                calls.append(_call(item))
            elif kind in {"response.failed", "error"}:
                raise refusal(200, json.dumps(event.get("response") or event))
            elif kind in {"response.completed", "response.incomplete"}:
                return ModelTurn(text, thoughts, tuple(calls), kind == "response.incomplete")
        raise NetworkError("the stream ends without response.completed", hint="`homeport logs` shows why")

    def _request(self, endpoint: Endpoint, messages: Messages) -> JsonObject:
        function = {"type": "function", **weather.tool()["function"]}
        return {
            "model": endpoint.model,
            "input": list(messages),
            "tools": [function],
            "max_output_tokens": _MOST,
            "temperature": 0,
            "store": False,
        }


class Native:
    """`/api/chat`, which is an engine's own: lines of JSON, arguments that are JSON, and results by name."""

    PATH = "/api/chat"

    async def whole(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, asked for in one piece."""
        return self._turn([await endpoint.post(self.PATH, self._request(endpoint, messages, stream=False))])

    async def streamed(self, endpoint: Endpoint, messages: Messages) -> ModelTurn:
        """Return the model's turn, asked for line by line."""
        request = self._request(endpoint, messages, stream=True)
        return self._turn([json.loads(line) async for line in _lines(endpoint, self.PATH, request) if line])

    def _request(self, endpoint: Endpoint, messages: Messages, *, stream: bool) -> JsonObject:
        return {
            "model": endpoint.model,
            "messages": list(messages),
            "tools": [weather.tool()],
            "stream": stream,
            "options": {"temperature": 0, "num_predict": _MOST},
        }

    def _turn(self, lines: list[Json]) -> ModelTurn:
        for line in lines:
            if "error" in line:
                raise refusal(200, json.dumps(line))
        if not lines or not lines[-1]["done"]:
            raise NetworkError("the stream ends without a last line", hint="`homeport logs` shows why")
        messages = [line["message"] for line in lines]
        text = "".join(message.get("content") or "" for message in messages)
        thoughts = "".join(message.get("thinking") or "" for message in messages)
        calls = [call for message in messages for call in message.get("tool_calls") or ()]
        turn = {"role": "assistant", "content": text, "tool_calls": calls}
        if thoughts:
            turn["thinking"] = thoughts
        results = [
            {"role": "tool", "tool_name": call["function"]["name"], "content": weather.RESULT}
            for call in calls
        ]
        return ModelTurn(
            text=text,
            thoughts=thoughts,
            calls=tuple(_call(call["function"]) for call in calls),
            cut=lines[-1].get("done_reason") == "length",
            given_back=(turn, *results),
        )


def _response(response: Json) -> ModelTurn:
    output = response["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    calls = [item for item in output if item["type"] == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": weather.RESULT}
        for call in calls
    ]
    thoughts = [
        part["text"]
        for item in output
        if item["type"] == "reasoning"
        for part in (*(item.get("content") or ()), *(item.get("summary") or ()))
    ]
    return ModelTurn(
        text="".join(part.get("text") or "" for part in parts),
        thoughts="".join(thoughts),
        calls=tuple(_call(call) for call in calls),
        cut=response["status"] == "incomplete",
        given_back=(*output, *results),
    )


def _thoughts(message: Json) -> str:
    return str(message.get("reasoning_content") or message.get("reasoning") or "")


def _call(function: Json) -> str:
    arguments = function["arguments"]
    return f"{function['name']}({arguments if isinstance(arguments, str) else json.dumps(arguments)})"


async def _lines(endpoint: Endpoint, path: str, request: JsonObject) -> AsyncIterator[str]:
    async with (
        endpoint.client(timeout_s=900) as client,
        client.stream("POST", path, json=request) as response,
    ):
        if response.is_error:
            raise refusal(response.status_code, (await response.aread()).decode(errors="replace"))
        async for line in response.aiter_lines():
            yield line.strip()
