"""The model that was taught a language of tools, examined in words that it never met: real llama.cpp. `make test-agents`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from homeport.agents.evaluation.chance import chance
from homeport.agents.evaluation.grade import TaskVerdict, grade
from homeport.agents.evaluation.graded import ExpectedCall, GradedTask
from homeport.agents.evaluation.reader import read
from homeport.agents.evaluation.statistic import wilson
from places import HELD_OUT, TOOLS_MODEL
from user import User

AT_LEAST = {"one_tool": 0.85, "no_tool": 0.95, "two_steps": 0.7}
"""What the weights that are here reach, 0.9, 1 and 0.77, less what another processor's rounding may change."""


@pytest.mark.agents
def test_it_chooses_copies_and_goes_on_in_words_that_it_never_met(user: User) -> None:
    user.write(f'name = "home"\nmodel = "file:{TOOLS_MODEL}"\n[engine]\ncontext = 2048\n[local]\nport = 0\n')
    user.run("up", "--yes", "--no-verify")
    transcript = _examined(user)
    _a_shuffled_key_leaves_chance(transcript)


def _examined(user: User) -> Path:
    """The transcript of an examination that was passed."""
    file = user.folder / "t.jsonl"
    ran = user.run(
        "agent", "eval", "--suite", str(HELD_OUT), "--max-tokens", "64", "--transcript", str(file), "--json", timeout=900
    )  # fmt: skip
    result = ran.json["result"]
    right = {one["category"]: one["right"] / one["tasks"] for one in result["categories"]}
    assert not {name: share for name, share in right.items() if share < AT_LEAST[name]}
    for one in result["categories"]:
        assert one["low"] > one["chance"], f"{one['category']} is not shown to be above chance"
    assert result["total"]["baselines"]["oracle"] == result["total"]["tasks"]
    assert result["above_always_none"]
    return file


def _a_shuffled_key_leaves_chance(transcript: Path) -> None:
    """By a key drawn from the offered tools and none, the very same answers are right as often as a draw is."""
    tasks = {one.id: one for one in read(str(HELD_OUT)).tasks if one.category == "one_tool"}
    events = _by_task(transcript)
    random = Random(0)
    times = 20
    right = sum(
        grade(_shuffled(task, random), events[name]) is TaskVerdict.RIGHT
        for _ in range(times)
        for name, task in tasks.items()
    )
    expected = sum(chance(one) for one in tasks.values()) / len(tasks)
    low, high = wilson(right, times * len(tasks))
    assert low - 0.05 < expected < high + 0.05


def _shuffled(task: GradedTask, random: Random) -> GradedTask:
    drawn = random.choice([None, *(one.name for one in task.offers)])
    calls = () if drawn is None else ((ExpectedCall(tool=drawn),),)
    return replace(task, calls=calls, answer=())


def _by_task(transcript: Path) -> Mapping[str, list[dict[str, Any]]]:  # Any: JSON
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    task = ""
    for line in transcript.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "task":
            task = event["id"]
        else:
            found[task].append(event)
    return found
