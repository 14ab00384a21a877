"""How many tokens an answer says that it took, in whichever of the APIs' words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homeport.json_types import Json


@dataclass(slots=True)
class TokenUsage:
    """Tokens of a request and of its answer; None where nothing was said."""

    prompt: int | None = None
    answer: int | None = None

    def note(self, body: Mapping[str, Json]) -> None:
        """Take what an answer, or an event of one, tells; the last word counts."""
        for table in (body, body.get("response"), body.get("message")):
            usage = table.get("usage") if isinstance(table, dict | Mapping) else None
            if isinstance(usage, dict):
                self._take(usage, "prompt_tokens", "completion_tokens")
                self._take(usage, "input_tokens", "output_tokens")
        self._take(body, "prompt_eval_count", "eval_count")

    def _take(self, table: Mapping[str, Json], prompt: str, answer: str) -> None:
        if _is_count(table.get(prompt)):
            self.prompt = table[prompt]
        if _is_count(table.get(answer)):
            self.answer = table[answer]


_TEXTS = (
    "content",
    "reasoning",
    "reasoning_content",
    "thinking",
    "text",
    "refusal",
    "tool_calls",
    "partial_json",
)


def has_text(body: Mapping[str, Json]) -> bool:
    """Tell whether an event of a stream brings something that the model said, in whichever of the APIs' words."""
    if isinstance(body.get("delta"), str) or isinstance(body.get("response"), str):
        return bool(body.get("delta") or body.get("response"))
    choices = body.get("choices")
    places = [body.get("message"), body.get("delta")]
    for choice in choices if isinstance(choices, list) else ():
        places += [choice.get("delta"), choice] if isinstance(choice, Mapping) else []
    return any(place.get(key) for place in places if isinstance(place, Mapping) for key in _TEXTS)


def tells_error(body: Mapping[str, Json]) -> bool:
    """Tell whether an answer, or an event of one, says that the engine failed, whatever its status said before."""
    response = body.get("response")
    return bool(body.get("error") or (isinstance(response, Mapping) and response.get("error")))


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
