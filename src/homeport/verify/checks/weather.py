"""The tool that checks offer, what they ask, and what the tool says."""

from __future__ import annotations

from homeport.json_types import JsonObject
from homeport.verify.report import Finding, VerificationSubject, skipped

NAME = "get_weather"
QUESTION = "What is the weather in Paris?"
RESULT = '{"city": "Paris", "temp_c": 15}'
TELLING = "15"
"""What an answer holds that tells the result."""


def tool(name: str = NAME, what: str = "weather") -> JsonObject:
    """Return a function of a city, as chat completions describe it."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Get the current {what} in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The city, such as Paris"}},
                "required": ["city"],
            },
        },
    }


def unable(subject: VerificationSubject) -> Finding | None:
    """Return why tool calls are not checked, or None."""
    if not subject.model.instruct:
        return skipped("a pretrained model continues text; it was not trained to call tools")
    if not subject.tools:
        return skipped(
            "no tool calls are promised: the catalog knows of no training for them, and no parser is set"
        )
    return None
