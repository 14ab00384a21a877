"""
A template, tried in this process: with a user's message, a system message, two of one role, tools, and a tool's result.

Nothing bounds it here; `bounded` runs it in a process of its own that has limits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeport.chat_template.finding import Kind, TemplateFinding

Message = dict[str, Any]  # Any: JSON, as requests have it
_USER, _SYSTEM, _RESULT = "homeport-asks-7q", "homeport-rules-7q", "homeport-result-7q"
_FUNCTION, _ARGUMENT = "homeport_tool_7q", "homeport-argument-7q"
_CALL_ID = "h7q000001"
"""Nine letters and digits, which is what Mistral's templates want."""
_ASKED: Message = {"role": "user", "content": _USER}
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": _FUNCTION,
            "description": "Looks a thing up.",
            "parameters": {
                "type": "object",
                "properties": {"thing": {"type": "string", "description": "What to look up."}},
                "required": ["thing"],
            },
        },
    }
]
_NAMED = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
"""Which words they are makes no difference to what is looked at."""
_MOST_TOLD = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rendered:
    text: str = ""
    error: str = ""
    """What the template, or Jinja, said; '' where it rendered."""


class _Template:
    """A template that parses."""

    def __init__(self, source: str) -> None:
        from homeport.chat_template.environment import environment

        self._compiled = environment().from_string(source)

    def rendered(self, messages: Sequence[Message], *, shows: str, tools: bool = False) -> _Rendered:
        """
        Return what it makes of the messages. Content is given as text, and where that does not come to a prompt that
        `shows` what it should, as a list of parts, which engines give to templates that want it.
        """
        plain = self._tried(messages, tools=tools)
        if not plain.error and shows in plain.text:
            return plain
        parted = self._tried([_in_parts(message) for message in messages], tools=tools)
        if parted.error:
            return plain
        return parted if plain.error or shows in parted.text else plain

    def _tried(self, messages: Sequence[Message], *, tools: bool) -> _Rendered:
        given = json.loads(json.dumps([*messages]))  # So that no rendering sees what another has changed.
        try:
            text = self._compiled.render(
                messages=given,
                tools=_TOOLS if tools else None,
                documents=None,
                add_generation_prompt=True,
                **_NAMED,
            )
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a template may raise whatever Python can
            return _Rendered(error=_told(error))
        return _Rendered(text=text)


def tried(source: str, for_tools: str = "") -> list[TemplateFinding]:
    """
    Return what will not work with the template `source`; nothing where all that is tried comes to a prompt.

    `for_tools` is another one that serves requests with tools, where the model has one.
    """
    try:
        template = _Template(source)
        with_tools = _Template(for_tools) if for_tools else template
    except Exception as error:  # noqa: BLE001 - Jinja's own, and whatever compiling raises
        return [_finding("parse", f"it cannot be parsed, so no chat works: {_told(error)}")]
    asked = template.rendered([_ASKED], shows=_USER)
    if asked.error:
        return [_finding("raises", f"it raises on a user's message, so no chat works: {asked.error}")]
    if _USER not in asked.text:
        return [_finding("text", "it leaves out what a user says, so the model never sees it")]
    return [*_of_system(template), *_of_roles(template), *_of_tools(with_tools)]


def answered(given: str) -> tuple[TemplateFinding, ...]:
    """Return what will not work with the templates that `given` names, as JSON."""
    asked = json.loads(given)
    return tuple(tried(asked["template"], asked["for_tools"]))


def _of_system(template: _Template) -> list[TemplateFinding]:
    system = {"role": "system", "content": _SYSTEM}
    found = template.rendered([system, _ASKED], shows=_SYSTEM)
    if found.error:
        return [_finding("system", f"it refuses a system message: {found.error}")]
    if _SYSTEM not in found.text:
        return [_finding("system", "it leaves out a system message, and says nothing")]
    return []


def _of_roles(template: _Template) -> list[TemplateFinding]:
    found = template.rendered([_ASKED, {"role": "user", "content": "And more."}], shows=_USER)
    if not found.error:
        return []
    return [_finding("roles", f"it wants user and assistant to alternate: {found.error}")]


def _of_tools(template: _Template) -> list[TemplateFinding]:
    found = template.rendered([_ASKED], shows=_FUNCTION, tools=True)
    if found.error:
        return [_finding("tools", f"it raises where a request has tools: {found.error}")]
    if _FUNCTION not in found.text:
        return [_finding("tools", "it ignores the tools of a request: the model is not told of them by it")]
    return _of_tool_turn(template)


def _of_tool_turn(template: _Template) -> list[TemplateFinding]:
    """Return what is found of the turn after a tool's result, and of the one after that."""
    found = template.rendered(_conversation({"thing": _ARGUMENT}), shows=_RESULT, tools=True)
    if found.error:
        as_text = template.rendered(
            _conversation(json.dumps({"thing": _ARGUMENT})), shows=_RESULT, tools=True
        )
        if as_text.error:
            return [_finding("tool-turn", f"it raises on a tool's result: {found.error}")]
        return [
            _finding(
                "tool-turn",
                "it wants the arguments of an earlier tool call as text, and raises on the object that engines give: "
                + found.error,
            )
        ]
    if _RESULT not in found.text:
        return [_finding("tool-turn", "it leaves out a tool's result, so the model never sees it")]
    further = [
        *_conversation({"thing": _ARGUMENT}),
        {"role": "assistant", "content": "Found."},
        {"role": "user", "content": "And now?"},
    ]
    later = template.rendered(further, shows=_USER, tools=True)
    return (
        [_finding("tool-turn", f"it raises on the question after a tool's result: {later.error}")]
        if later.error
        else []
    )


def _conversation(arguments: object) -> list[Message]:
    call = {"id": _CALL_ID, "type": "function", "function": {"name": _FUNCTION, "arguments": arguments}}
    return [
        _ASKED,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": _CALL_ID, "name": _FUNCTION, "content": _RESULT},
    ]


def _in_parts(message: Message) -> Message:
    text = message["content"]
    return {**message, "content": [{"type": "text", "text": text}] if text else []}


def _finding(kind: Kind, text: str) -> TemplateFinding:
    return TemplateFinding(kind=kind, text=text)


def _told(error: Exception) -> str:
    """Return what an error says in a line: a stranger wrote it."""
    line = getattr(error, "lineno", None)
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if len(text) <= _MOST_TOLD else f"{text[:_MOST_TOLD]}…"
    return f"{text} (line {line})" if line else text
