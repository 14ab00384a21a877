"""OpenAI's chat completions, as an agent takes and answers them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from homeport.agents.loop import AgentResult
from homeport.agents.service.body import mistakes, parsed
from homeport.agents.service.served import AgentQuestion
from homeport.agents.transcript import Event
from homeport.json_types import Json, JsonObject

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

_OF_NO_EFFECT = ("user", "metadata", "store", "safety_identifier", "prompt_cache_key", "parallel_tool_calls")
"""What says nothing about the answer, and so may be sent."""
_NOT_TAKEN = {
    "tools": "the agent chooses among tools of its own",
    "functions": "the agent chooses among tools of its own",
    "tool_choice": "the agent chooses among tools of its own",
    "response_format": "the agent answers in words",
    "n": "a question is answered once",
}
_SHOWN = 400
"""Characters of a tool's result that a stream shows as reasoning."""


class BadRequest(Exception):
    """Raised for a request that cannot be answered as it asks."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _TextPart(_Lenient):
    type: Literal["text", "input_text", "output_text"]
    text: str


class ChatMessage(_Lenient):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_TextPart] | None = None

    @property
    def text(self) -> str:
        """Return what it says."""
        parts = self.content or ""
        return parts if isinstance(parts, str) else "\n".join(part.text for part in parts)


class _StreamOptions(_Lenient):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """What a client may ask for. Whatever else it sends is refused: it would be of no effect, unseen."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)

    @property
    def question(self) -> AgentQuestion:
        """Return it as the agent is asked. Raises `BadRequest` where its last message is not a question."""
        turns = [message for message in self.messages if message.role in {"user", "assistant"}]
        if not turns or turns[-1].role != "user" or not turns[-1].text.strip():
            raise BadRequest("the last message has to be the user's, with text: that is the question")
        bounds = [bound for bound in (self.max_tokens, self.max_completion_tokens) if bound is not None]
        return AgentQuestion(
            text=turns[-1].text,
            history=_history(turns[:-1]),
            instructions="\n\n".join(
                message.text for message in self.messages if message.role in {"system", "developer"}
            ),
            max_tokens=min(bounds, default=None),
            temperature=self.temperature,
        )


def chat_request(body: bytes, model: str) -> ChatRequest:
    """Return the request in a body, to the agent that is called `model`. Raises `BadRequest`."""
    try:
        sent = parsed(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(sent, dict):
        raise BadRequest("the body has to be a JSON object with `model` and `messages`")
    fields = {
        name: value
        for name, value in sent.items()
        if name not in _OF_NO_EFFECT and value is not None and not _is_default(name, value)
    }
    for name, why in _NOT_TAKEN.items():
        if name in fields:
            raise BadRequest(f"{name} is not taken: {why}; leave it out")
    try:
        request = ChatRequest.model_validate(fields)
    except ValidationError as error:
        raise BadRequest(mistakes(error)) from error
    if request.model != model:
        raise BadRequest(f"there is no model {request.model[:80]!r} here, but {model}", 404)
    return request


class Completion:
    """The answer to one request: its id, and the shapes that it is told in."""

    def __init__(self, model: str) -> None:
        self._common = {"id": f"chatcmpl-{token_hex(12)}", "created": int(time.time()), "model": model}

    def whole(self, result: AgentResult, reason: str) -> JsonObject:
        """Return a `chat.completion`."""
        message = {"role": "assistant", "content": result.answer, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {
            **self._common,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(result),
        }

    def chunk(self, delta: Mapping[str, Json], reason: str | None = None) -> JsonObject:
        """Return a `chat.completion.chunk`."""
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": reason}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice]}

    def usage(self, result: AgentResult) -> JsonObject:
        """Return the last chunk, of what was used."""
        return {
            **self._common,
            "object": "chat.completion.chunk",
            "choices": [],
            "usage": _usage(result),
        }


def progress_text(event: Event) -> str:
    """Return what a stream tells of an event while the answer is not there yet; '' for what says nothing new."""
    if event["event"] == "step":
        calls = [f"{call['name']}({json.dumps(call['arguments'])})\n" for call in event["calls"]]
        return "".join((event["thought"], *calls))
    if event["event"] == "result":
        content = str(event["content"])
        cut = content if len(content) <= _SHOWN else f"{content[:_SHOWN]}…"
        return f"{event['name']}: {cut}\n"
    return ""


def reason_of(event: Event, before: str) -> str:
    """Return why the answer ended, as OpenAI's API has it, once `event` is known."""
    if event["event"] != "step":
        return before
    said = event["finish_reason"]
    return str(said) if said in {"length", "content_filter"} else "stop"


def _usage(result: AgentResult) -> dict[str, int]:
    used = result.spent
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.tokens,
    }


def _is_default(name: str, value: Any) -> bool:  # Any: JSON
    """Return whether a value asks only for what is done anyway."""
    if name in {"tools", "functions"}:
        return bool(value == [])
    if name == "tool_choice":
        return value in {"none", "auto"} if isinstance(value, str) else False
    if name == "response_format":
        return isinstance(value, dict) and value.get("type") == "text"
    return bool(name == "n" and value == 1)


def _history(turns: Sequence[ChatMessage]) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

    return [
        ModelRequest(parts=[UserPromptPart(content=turn.text)])
        if turn.role == "user"
        else ModelResponse(parts=[TextPart(content=turn.text)])
        for turn in turns
    ]
