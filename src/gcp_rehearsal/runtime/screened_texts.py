"""
What Model Armor's callout reads of a request and of its answer, where it stands at a load balancer.

Google's page names APIs of OpenAI's: of these the chat and the plain completions are here. No page says which messages it reads, nor
what it does with tools' results: here it reads the newest one of a user, which is the less of what it may do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


def is_known(path: str) -> bool:
    """Tell whether it knows the API of a path; every other one passes as it is."""
    return path.partition("?")[0] in {CHAT, COMPLETIONS}


def prompt_of(path: str, body: bytes) -> tuple[str, str]:
    """Return what it reads of a request, '' where it reads nothing, and the model that is asked."""
    table = _table(body)
    if not is_known(path) or table is None:
        return "", ""
    model = str(table.get("model") or "")
    if path.partition("?")[0] == COMPLETIONS:
        prompt = table.get("prompt")
        every = prompt if isinstance(prompt, list) else [prompt]
        return "\n".join(each for each in every if isinstance(each, str)), model
    messages = table.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content")), model
    return "", model


def answer_of(path: str, content_type: str, body: bytes) -> str:
    """Return what it reads of an answer: of its first choice alone, and nothing of a streamed one."""
    table = _table(body)
    if not is_read(path, content_type) or table is None:
        return ""
    choices = table.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return ""
    message = first.get("message")
    return _text(message.get("content")) if isinstance(message, dict) else str(first.get("text") or "")


def is_read(path: str, content_type: str) -> bool:
    """Tell whether it reads an answer of a type at all: streamed ones pass unscreened, by Google's page."""
    return is_known(path) and content_type.partition(";")[0].strip().lower() == "application/json"


def _text(content: Json) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def _table(body: bytes) -> Mapping[str, Any] | None:  # Any: JSON
    try:
        table = read_json(body)
    except ValueError:
        return None
    return table if isinstance(table, dict) else None


__all__ = ["answer_of", "is_known", "is_read", "prompt_of"]
