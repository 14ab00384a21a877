"""An engine that answers by a script: texts, and calls of tools, one answer after the other. It keeps what it was asked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from homeport.endpoint import Endpoint
from homeport.secret import Secret
from scripted_engine import KEY, MODEL, Engine

Call = tuple[str, Any]
"""A tool's name and its arguments: a dict, or the text of what are none."""
Answer = str | list[Call]


class ToolScript(Engine):
    """Says `answers` in turn, then the last one for ever. `before` is told the number of each answer, from 1."""

    def __init__(self, *answers: Answer, before: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._answers = [*answers]
        self._before = before
        self._ids = itertools.count(1)
        self.requests: list[dict[str, Any]] = []

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(name="home", base_url=f"{self.url}/v1", model=MODEL, api_key=Secret(KEY))

    def results(self) -> list[str]:
        """What the model was told of its calls, in the last request."""
        return [one["content"] for one in self.requests[-1]["messages"] if one["role"] == "tool"]

    def _odd_answer(self, prompt: str) -> None:
        return None

    def _chat(self, request: Any) -> Any:
        self.requests.append(request)
        self._before(len(self.requests))
        reply = super()._chat({**request, "tools": request.get("tools", [])})
        reply.content.update(model=MODEL, created=0)
        return reply

    def _wants_a_call(self, request: Any) -> bool:
        return True  # `_called` says what comes, text included.

    def _called(self, *, streamed: bool) -> tuple[dict[str, Any], str]:
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, str):
            return {"role": "assistant", "content": answer}, "stop"
        return {"role": "assistant", "content": None, "tool_calls": self._calls(answer)}, "tool_calls"

    def _calls(self, calls: Sequence[Call]) -> list[dict[str, Any]]:
        return [
            {
                "id": f"call-{next(self._ids)}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else json.dumps(given),
                },
            }
            for name, given in calls
        ]
