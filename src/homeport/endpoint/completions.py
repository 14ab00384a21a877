"""What a chat completion says, of whatever an endpoint answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from homeport.errors import NetworkError
from homeport.json_types import Json, JsonObject


@dataclass(slots=True)
class AnswerEnd:
    """How an answer ended, by all that was read of it: one completion, or each chunk of a streamed one."""

    cut: bool = False
    """Whether there was no room for another token."""
    tokens: int | None = None
    """Tokens of the answer; None where nobody counted."""

    def read(self, answer: JsonObject) -> None:
        """Take what a completion, or a chunk of one, says of the end."""
        choices, usage = answer.get("choices"), answer.get("usage")
        for choice in choices if isinstance(choices, list) else ():
            self.cut |= isinstance(choice, dict) and choice.get("finish_reason") == "length"
        counted = usage.get("completion_tokens") if isinstance(usage, dict) else None
        self.tokens = counted if isinstance(counted, int) else self.tokens

    def why_cut(self, most: float | None) -> str:
        """Return that and why it is cut, and what raises that; '' where it is whole, or as long as `most`, which was asked for."""
        if not self.cut or (most is not None and self.tokens is not None and self.tokens >= most):
            return ""
        after = "" if self.tokens is None else f" after {self.tokens} tokens"
        if most is not None and self.tokens is None:
            return "the answer is cut: so many tokens were asked for, or the context is full"
        return f"the answer is cut{after}: the context is full; `context` of [engine] raises it"


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
