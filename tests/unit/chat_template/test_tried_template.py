"""A chat template is told to fail at what it fails at, and at nothing else."""

from __future__ import annotations

import pytest

from homeport.chat_template.trial import tried

TURNS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
TOOLS = "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}"
CALLS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}"
)
ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must take turns') }}{% endif %}{{ m['content'] }}{% endfor %}"
)
PARTS = "{% for m in messages %}{% for part in m.content %}{{ part['text'] }}{% endfor %}{% endfor %}"
WHAT_IS_WRONG = {
    "all works": (TOOLS + CALLS, {}),
    "a block that marks training, and a break": (
        TOOLS + "{% generation %}" + CALLS + "{% endgeneration %}{% for m in messages %}{% break %}{% endfor %}{{ strftime_now('%Y') }}",
        {},
    ),
    "content in parts": (TOOLS + PARTS, {}),
    "not closed": ("{% for m in messages %}", {"parse": "Unexpected end of template"}),
    "a filter that is none": ("{{ messages | nosuch }}", {"parse": "No filter named 'nosuch'"}),
    "raises on a question": ("{{ raise_exception('a lang is needed') }}", {"raises": "a lang is needed"}),
    "no question": ("Hello", {"text": "leaves out what a user says"}),
    "no tools": (TURNS, {"tools": "ignores the tools"}),
    "tools raise": (
        "{% if tools %}{{ raise_exception('no tools here') }}{% endif %}" + TURNS,
        {"tools": "no tools here"},
    ),
    "system refused": (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TOOLS + CALLS,
        {"system": "no system role"},
    ),
    "system left out": (
        TOOLS + CALLS.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}"),
        {"system": "leaves out a system message"},
    ),
    "turns": (
        ALTERNATING, {"system": "must take turns", "roles": "must take turns", "tools": "ignores the tools"}
    ),
    "a tool's result raises": (
        TOOLS + "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('who is tool') }}{% endif %}{{ m.content }}{% endfor %}",
        {"tool-turn": "who is tool"},
    ),
    "a tool's result left out": (
        TOOLS + CALLS.replace("{% for m in messages %}", "{% for m in messages if m.role != 'tool' %}"),
        {"tool-turn": "leaves out a tool's result"},
    ),
    "arguments as text": (
        TOOLS + CALLS.replace("c.function.arguments | tojson", "'' + c.function.arguments"),
        {"tool-turn": "arguments of an earlier tool call as text"},
    ),
    "outside the sandbox": (
        TURNS + "{{ messages.append(1) }}", {"raises": "append"}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "wrong"), WHAT_IS_WRONG.values(), ids=WHAT_IS_WRONG)
def test_what_is_wrong_with_a_template_is_told_and_nothing_else(source: str, wrong: dict[str, str]) -> None:
    found = {one.kind: one.text for one in tried(source)}
    assert found.keys() == wrong.keys(), found
    assert all(words in found[kind] for kind, words in wrong.items() if kind in found), found


def test_a_template_for_tools_serves_the_requests_that_have_some() -> None:
    assert [one.kind for one in tried(TURNS)] == ["tools"]
    assert tried(TURNS, TOOLS + CALLS) == []
