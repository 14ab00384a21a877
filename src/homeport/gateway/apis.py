"""The APIs whose texts the gateway finds, and how each says that an answer was stopped. What is not here is refused."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from homeport.gateway.framing import Event
from homeport.gateway.verdict import Reason, Refused
from homeport.json_types import Json, JsonObject

FILTERED = "content_filter"


class ApiDialect(StrEnum):
    """Whose shapes an API has."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    NATIVE_CHAT = "native-chat"
    NATIVE_GENERATE = "native-generate"
    EMBEDDINGS = "embeddings"
    NATIVE_EMBEDDINGS = "native-embeddings"

    @property
    def native(self) -> bool:
        """Tell whether it has lines of JSON, and errors that are a text."""
        return self.value.startswith("native-")


@dataclass(frozen=True, slots=True)
class TextApi:
    """One API with texts."""

    path: str
    dialect: ApiDialect
    operation: str
    """As the semantic conventions for generative AI call it."""


APIS: Mapping[str, TextApi] = {
    api.path: api
    for api in (
        TextApi("/v1/chat/completions", ApiDialect.CHAT, "chat"),
        TextApi("/v1/completions", ApiDialect.COMPLETIONS, "text_completion"),
        TextApi("/v1/responses", ApiDialect.RESPONSES, "chat"),
        TextApi("/v1/messages", ApiDialect.MESSAGES, "chat"),
        TextApi("/v1/embeddings", ApiDialect.EMBEDDINGS, "embeddings"),
        TextApi("/api/chat", ApiDialect.NATIVE_CHAT, "chat"),
        TextApi("/api/generate", ApiDialect.NATIVE_GENERATE, "text_completion"),
        TextApi("/api/embed", ApiDialect.NATIVE_EMBEDDINGS, "embeddings"),
        TextApi("/api/embeddings", ApiDialect.NATIVE_EMBEDDINGS, "embeddings"),
    )
}
"""By path; all of them by POST."""
_WITHOUT_TEXT = frozenset(
    {
        "/",
        "/health",
        "/ping",
        "/version",
        "/load",
        "/metrics",
        "/props",
        "/v1/models",
        "/api/tags",
        "/api/version",
        "/api/ps",
    }
)
"""Paths that tell of the engine and of its model, and of no request."""


_LOOKS = (
    "/tokenize",
    "/detokenize",
    "/count_tokens",
    "/apply-template",
    "/render",
    "/derender",
    "/api/show",
    "/ping",
    "/cancel",
)
"""How paths end of which a POST only looks, or ends something: no model answers, and no token is made."""


def is_asked(method: str, path: str) -> bool:
    """Tell whether a request may cost the model something: each POST, known here or not, but for those that only look."""
    return method == "POST" and not path.rstrip("/").endswith(_LOOKS)


def is_without_text(method: str, path: str) -> bool:
    """Tell whether neither the request nor its answer holds a text of a user or of the model."""
    if method in {"GET", "HEAD"}:
        return path in _WITHOUT_TEXT or (path.startswith("/v1/models/") and ".." not in path)
    return False


def error_body(dialect: ApiDialect | None, refused: Refused) -> JsonObject:
    """Return a refusal as the API has errors."""
    message = f"{refused.detail} (refused by the gateway: {refused.reason.value})"
    if dialect is not None and dialect.native:
        return {"error": message}
    kind = "invalid_request_error" if refused.status < 500 else "api_error"
    if dialect is ApiDialect.MESSAGES:
        return {"type": "error", "error": {"type": kind, "message": message}}
    code = FILTERED if refused.reason is Reason.MATCH else f"guard_{refused.reason.value}"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_events(dialect: ApiDialect, refused: Refused) -> list[Event]:
    """Return the last events of a stream whose answer could not be screened."""
    body = error_body(dialect, refused)
    if dialect.native:
        return [Event(body)]
    if dialect is ApiDialect.MESSAGES:
        return [Event(body, "error")]
    if dialect is ApiDialect.RESPONSES:
        return [Event({"type": "error", **body["error"]}, "error")]
    return [Event(body), Event(None)]


def filtered_events(dialect: ApiDialect, seen: StreamState) -> list[Event]:
    """Return the last events of a stream whose answer was stopped."""
    last = seen.head
    if dialect in {ApiDialect.CHAT, ApiDialect.COMPLETIONS}:
        piece: JsonObject = {"delta": {}} if dialect is ApiDialect.CHAT else {"text": ""}
        choices = [
            {"index": index, **piece, "finish_reason": FILTERED} for index in sorted(seen.choices or {0})
        ]
        kind = "chat.completion.chunk" if dialect is ApiDialect.CHAT else "text_completion"
        return [Event({**_stamp(last, kind), "choices": choices}), Event(None)]
    if dialect is ApiDialect.RESPONSES:
        announced = last.get("response")
        response = announced if isinstance(announced, dict) else {"id": "resp_0", "object": "response"}
        body = {
            "type": "response.incomplete",
            "sequence_number": seen.count,
            "response": _incomplete(response),
        }
        return [Event(body, "response.incomplete")]
    if dialect is ApiDialect.MESSAGES:
        delta = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_sequence": None},
                 "usage": {"output_tokens": 0}}  # fmt: skip
        return [Event(delta, "message_delta"), Event({"type": "message_stop"}, "message_stop")]
    return [Event(_native(dialect, last))]


def filtered_whole(dialect: ApiDialect, body: Mapping[str, Json]) -> JsonObject:
    """Return what takes the place of a whole answer that was stopped."""
    if dialect in {ApiDialect.CHAT, ApiDialect.COMPLETIONS}:
        message: JsonObject = {"role": "assistant", "content": ""}
        piece: JsonObject = {"message": message} if dialect is ApiDialect.CHAT else {"text": ""}
        kind = "chat.completion" if dialect is ApiDialect.CHAT else "text_completion"
        choices = body.get("choices")
        count = len(choices) if isinstance(choices, list) else 1
        filtered = {**_stamp(body, kind), "choices": [{"index": index, **piece, "finish_reason": FILTERED, "logprobs": None}
                                                  for index in range(count)]}  # fmt: skip
        return {**filtered, "usage": body["usage"]} if isinstance(body.get("usage"), dict) else filtered
    if dialect is ApiDialect.RESPONSES:
        return _incomplete(body)
    if dialect is ApiDialect.MESSAGES:
        fields = {key: body[key] for key in ("id", "type", "role", "model", "usage") if key in body}
        return {**fields, "content": [], "stop_reason": "refusal", "stop_sequence": None}
    return _native(dialect, body)


@dataclass(slots=True)
class StreamState:
    """What the last event of a stream that is stopped must say: whose it is, and which choices it has."""

    head: Mapping[str, Json]
    choices: set[int]
    count: int = 0
    size: int = 0
    """Of the event that is kept, as it came."""

    def note(self, body: Mapping[str, Json], size: int) -> None:
        """Take what an event of that size tells."""
        self.count += 1
        if not self.head or "response" in body:
            self.head, self.size = body, size
        choices = body.get("choices")
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            index = choice.get("index", position) if isinstance(choice, dict) else position
            if isinstance(index, int):
                self.choices.add(index)


def _stamp(body: Mapping[str, Json], kind: str) -> JsonObject:
    return {
        "id": str(body.get("id") or "stopped"),
        "object": kind,
        "created": body.get("created") if isinstance(body.get("created"), int) else int(time.time()),
        "model": str(body.get("model") or ""),
    }


def _incomplete(body: Mapping[str, Json]) -> JsonObject:
    names = ("id", "object", "created_at", "model", "parallel_tool_calls", "tool_choice", "tools", "usage")
    fields = {key: body[key] for key in names if key in body}
    return {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], **fields, "status": "incomplete",
            "incomplete_details": {"reason": FILTERED}, "error": None, "output": []}  # fmt: skip


def _native(dialect: ApiDialect, body: Mapping[str, Json]) -> JsonObject:
    fields = {key: body[key] for key in ("model", "created_at") if key in body}
    text: JsonObject = (
        {"message": {"role": "assistant", "content": ""}}
        if dialect is ApiDialect.NATIVE_CHAT
        else {"response": ""}
    )
    return {**fields, **text, "done": True, "done_reason": FILTERED}
