"""An agent's A2A card, by which other agents find out what it is and where it answers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

CARD = "/.well-known/agent-card.json"
PATH = "/a2a"
VERSION = "1.0"
"""Of the protocol."""


def card(
    *, name: str, model: str, tools: Sequence[str], url: Any
) -> dict[str, Any]:  # Any: text, or a reference
    """Return the card of an agent that answers at `url`, with the names of the tools that it has itself."""
    described = f"Answers questions with {model}"
    if tools:
        described += f" and the tools {', '.join(tools)}"
    skill = {
        "id": "answer",
        "name": "Answer a question",
        "description": f"{described}. Tools that change something are refused unless its owner allowed them.",
        "tags": list(tools) or ["answer"],
    }
    return {
        "name": name,
        "description": f"{described}.",
        "version": version("homeport"),
        "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": VERSION}],
        "capabilities": {"streaming": False, "pushNotifications": False},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
        "securityRequirements": [{"schemes": {"bearer": {"list": []}}}],
        "skills": [skill],
    }
