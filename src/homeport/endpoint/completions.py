"""What a chat completion says, of whatever an endpoint answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

from homeport.errors import NetworkError
from homeport.json_types import Json, JsonObject


def message_of(completion: JsonObject) -> JsonObject:
    """Return the first message of a whole chat completion. Raises `NetworkError` for an answer that has none."""
    choices = completion.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        raise _no_completion(completion)
    return message


def text_of(completion: JsonObject) -> str:
    """Return the text of the first message, '' where it has none. Raises as `message_of` does."""
    return _text(message_of(completion), completion)


def pieces_of(chunk: JsonObject) -> Iterator[str]:
    """Yield the pieces of text of one chunk of a streamed completion. Raises `NetworkError` for what is no such chunk."""
    choices = chunk.get("choices") or []
    if not isinstance(choices, list):
        raise _no_completion(chunk)
    for choice in choices:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(delta, dict):
            raise _no_completion(chunk)
        yield _text(delta, chunk)


def _text(message: JsonObject, whole: Json) -> str:
    content = message.get("content")
    if content is None:
        return ""
    if not isinstance(content, str):
        raise _no_completion(whole)
    return content


def _no_completion(answer: Json) -> NetworkError:
    return NetworkError(
        f"the endpoint answers, but with no chat completion: {json.dumps(answer)[:80]}",
        hint="`homeport verify` tells what it does wrong; is something else listening on its port? see `homeport status`",
    )
