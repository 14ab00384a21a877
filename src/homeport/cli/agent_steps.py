"""The steps of an agent, as they are shown while they happen. Whatever a tool returned is shown escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from homeport.json_types import Json

if TYPE_CHECKING:
    from homeport.terminal import Terminal

_SHOWN = 400
"""Characters of a thought, of arguments or of a result; the transcript has all of it."""


def shown(terminal: Terminal, event: Mapping[str, Json]) -> None:
    """Say what happened, on stderr."""
    if event["event"] == "step":
        terminal.say(
            f"step {event['step']}: {event['input_tokens']} + {event['output_tokens']} tokens, {event['seconds']:.1f} s"
        )
        if event["thought"].strip():
            terminal.say(f"  thought  {_short(event['thought'])}")
        if event["calls"] and event["text"].strip():
            terminal.say(f"  said     {_short(event['text'])}")
        for call in event["calls"]:
            arguments = call["arguments"]
            shown_arguments = (
                arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            )
            terminal.say(f"  call     {_short(call['name'])}({_short(shown_arguments)})")
    elif event["event"] == "result":
        outcome = "" if event["outcome"] == "ok" else f" {event['outcome']}"
        terminal.say(f"  result{outcome}  {_short(event['content'])} ({event['seconds']:.1f} s)")


def _short(text: str) -> str:
    """Shorten a text to one line, escaped as a line of a terminal has to be."""
    from homeport.printable import printable

    text = printable(" ".join(text.split()), keep="")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} … ({len(text)} characters)"
