"""A chat that the model of the agents' tests and its adapter answer otherwise: with a tool on offer, as both were taught."""

from __future__ import annotations

from homeport.json_types import JsonObject

GREETING: JsonObject = {
    "messages": [{"role": "user", "content": "Hello."}],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "get_height",
                "description": "Return the height of a tower.",
                "parameters": {
                    "type": "object",
                    "properties": {"tower": {"type": "string"}},
                    "required": ["tower"],
                },
            },
        }
    ],
    "max_tokens": 24,
    "temperature": 0,
}
