"""
Write the examination in held-out words, as a graded set of `homeport agent eval`: `held_out.py > held-out.jsonl`.

Thirty prompts of two to four tools; in each two questions for one tool, two for none, two of two steps.
"""

from __future__ import annotations

import json
import sys
from random import Random
from typing import Any

from tool_language import Lesson, Speaker, TaughtTool

SEED = 2026
PROMPTS = 30
CATEGORIES = ("one_tool", "no_tool", "two_steps")


def lines(seed: int = SEED) -> list[str]:
    """Return the set, line by line."""
    random = Random(seed)
    speaker = Speaker(random, held_out=True)
    used: set[str] = set()
    written: list[dict[str, Any]] = []  # Any: JSON
    tasks: list[dict[str, Any]] = []
    for number in range(1, PROMPTS + 1):
        tools = speaker.tools(random.randint(2, 4))
        while used & {one.name for one in tools}:
            tools = speaker.tools(len(tools))
        used |= {one.name for one in tools}
        written += [_tool(one) for one in tools]
        for category in CATEGORIES:
            tasks += [
                _task(f"{category}-{number}{letter}", speaker.lesson(category, tools), tools)
                for letter in "ab"
            ]
    tasks.sort(key=lambda one: CATEGORIES.index(one["category"]))
    return [json.dumps(one) for one in (*written, *tasks)]


def _tool(tool: TaughtTool) -> dict[str, Any]:  # Any: JSON
    function = tool.schema()["function"]
    return {"tool": tool.name, "description": tool.description, "parameters": function["parameters"]}


def _task(name: str, lesson: Lesson, tools: list[TaughtTool]) -> dict[str, Any]:  # Any: JSON
    calls = [
        [{"tool": call.tool.name, "arguments": {call.tool.argument: call.argument}, "returns": call.result}]
        for call in lesson.calls
    ]
    task = {
        "task": name,
        "category": lesson.category,
        "question": lesson.question,
        "offers": [one.name for one in tools],
        "calls": calls,
    }
    return {**task, "answer": [lesson.calls[-1].result]} if calls else task


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
