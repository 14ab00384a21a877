"""The language that the agents' model is taught: what it is examined with was never taught, and can be done."""

from __future__ import annotations

import importlib
from random import Random
from types import ModuleType

import pytest

from homeport.agents.evaluation.reader import read
from places import HELD_OUT, ROOT


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The modules that need no torch."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "teach"))
    return {name: importlib.import_module(name) for name in ("taught_words", "tool_language", "held_out")}


def test_the_examination_is_what_its_script_writes(script: dict[str, ModuleType]) -> None:
    assert HELD_OUT.read_text() == "\n".join(script["held_out"].lines()) + "\n"


def test_no_word_of_the_examination_is_ever_taught(script: dict[str, ModuleType]) -> None:
    words, language = script["taught_words"], script["tool_language"]
    held_out = {word.casefold() for word in (*words.HELD_OUT, *words.HELD_OUT_NAMES)}
    assert not held_out & {word.casefold() for word in (*words.TAUGHT, *words.TAUGHT_NAMES)}
    speaker = language.Speaker(Random(1))
    taught = {word.casefold() for _ in range(3000) for word in (speaker.word(), *speaker.value().split())}
    assert len(taught) > 1500  # It is not a handful of words that could be known by heart.
    assert not held_out & taught


def test_a_lesson_calls_what_its_prompt_offers_and_says_what_came_of_it(
    script: dict[str, ModuleType],
) -> None:
    speaker = script["tool_language"].Speaker(Random(2))
    for _ in range(100):
        tools = speaker.tools(3)
        lesson = speaker.lesson("two_steps", tools)
        inner, outer = lesson.calls
        assert inner.result == outer.value
        assert {inner.tool, outer.tool} < set(tools)
        assert [text for text, learned in lesson.pieces if learned] == [
            inner.tool.call(inner.value),
            outer.tool.call(outer.value),
            f"It is {outer.result}.<turn|>",
        ]
        assert not any(
            one.topic in lesson.question.split() for one in tools if one not in {inner.tool, outer.tool}
        )


def test_the_examination_asks_for_one_tool_for_none_and_for_two_steps_alike_often() -> None:
    graded = read(str(HELD_OUT))
    counts = {name: sum(one.category == name for one in graded.tasks) for name in graded.categories}
    assert counts == {"one_tool": 60, "no_tool": 60, "two_steps": 60}
    assert all(2 <= len(one.offers) <= 4 for one in graded.tasks)
