"""Graded sets: our own can be done, and what is wrong with another is told by line and by what was expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from homeport.agents.evaluation.options import EvalOptions
from homeport.agents.evaluation.reader import read
from homeport.agents.evaluation.runner import run_baselines
from homeport.errors import SpecError
from homeport.sync import run
from places import ROOT

TOOL: dict[str, Any] = {
    "tool": "age",
    "description": "Return somebody's age.",
    "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}
TASK: dict[str, Any] = {
    "task": "one",
    "category": "one_tool",
    "question": "How old is Ada?",
    "offers": ["age"],
    "calls": [[{"tool": "age", "arguments": {"name": "Ada"}, "returns": 36}]],
    "answer": ["36"],
}


def written(folder: Path, *lines: Any) -> str:
    path = folder / "own.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    return str(path)


def test_our_own_set_has_every_category_and_each_more_than_ten_tasks() -> None:
    graded = read("tools")
    assert graded.categories == (
        "one_tool", "arguments", "several_at_once", "no_tool", "two_steps", "tool_error", "missing_tool",
    )  # fmt: skip
    for name in graded.categories:
        assert sum(one.category == name for one in graded.tasks) >= 10
    assert all(len(one.offers) >= 4 for one in graded.tasks)


def test_a_right_tool_stands_at_no_fixed_place_among_those_offered() -> None:
    places = [
        [tool.name for tool in one.offers].index(one.calls[0][0].tool)
        for one in read("tools").tasks
        if one.calls
    ]
    assert max(places.count(place) for place in range(4)) < 0.4 * len(places)


def test_a_set_of_ones_own_is_read_with_blank_lines_and_only_some_categories(tmp_path: Path) -> None:
    suite = written(
        tmp_path, TOOL, "", TASK, {**TASK, "task": "two", "category": "other", "calls": [], "answer": []}
    )
    assert [one.id for one in read(suite).tasks] == ["one", "two"]
    assert [one.id for one in read(suite, only=["other"]).tasks] == ["two"]
    assert read(suite).digest != read(suite, only=["other"]).digest
    with pytest.raises(SpecError, match="no category none") as caught:
        read(suite, only=["none"])
    assert "one_tool, other" in caught.value.hint


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_set_from_windows_is_read_as_any_other(tmp_path: Path, end: bytes) -> None:
    file = tmp_path / "own.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + end.join(json.dumps(line).encode() for line in (TOOL, TASK)) + end)
    assert [one.id for one in read(str(file)).tasks] == ["one"]


def test_the_digest_is_of_what_is_asked_and_not_of_how_the_file_is_written(tmp_path: Path) -> None:
    first = read(written(tmp_path, TOOL, TASK)).digest
    assert read(written(tmp_path, "", json.dumps(TOOL, indent=None), "", TASK)).digest == first
    assert read(written(tmp_path, TOOL, {**TASK, "question": "How old is Bob?"})).digest != first


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "expected one JSON object, and it is not JSON"),
        ("[" * 100_000, "expected one JSON object, and it is not JSON"),
        ("[1]", "expected a JSON object, and it is a list"),
        ({"question": "Why?"}, "expected a tool or a task"),
        ({**TOOL, **TASK}, "expected a tool or a task"),
        (TOOL, "there is a tool called age above"),
        ({**TOOL, "tool": "a b"}, r"tool: String should match.*Expected: a tool is"),
        ({**TOOL, "tool": "b", "parameters": {}}, "expected the JSON Schema of an object"),
        ({**TOOL, "tool": "b", "parameters": {**TOOL["parameters"], "required": ["x"]}}, "expected some of name"),
        ({**TASK, "offers": ["agee"]}, "there is no tool agee above"),
        ({**TASK, "offers": ["age", "age"]}, "a tool is named twice"),
        ({**TASK, "calls": [[]]}, "a step without a call"),
        ({**TASK, "calls": [[{"tool": "other"}]]}, "other is not offered; expected one of age"),
        ({**TASK, "calls": [[{"tool": "age", "arguments": {"nam": "Ada"}}]]}, "age takes no nam; expected some of name"),
        ({**TASK, "calls": [[{"tool": "age", "arguments": {}}]]}, "age wants name"),
        ({**TASK, "calls": [[{"tool": "age", "arguments": {"name": {"any_of": []}}}]]}, "one or more values in any_of"),
        ({**TASK, "calls": [{"tool": "age"}]}, r"calls\.0: Input should be a valid list.*Expected: a task is"),
        ({**TASK, "question": ""}, "question: String should have at least 1 character"),
        ({**TASK, "points": 3}, "points: Extra inputs are not permitted"),
        ({key: value for key, value in TASK.items() if key != "offers"}, "offers: Field required"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_line_and_what_was_expected(
    line: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=rf"^line 3 of .*own\.jsonl: .*{said}"):
        read(written(tmp_path, TOOL, "", line))


def test_a_task_that_is_there_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"line 3 .*there is a task called one above"):
        read(written(tmp_path, TOOL, TASK, TASK))


@pytest.mark.parametrize("content", [b"", b"\n\n", json.dumps(TOOL).encode()])
def test_a_set_without_a_task_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_bytes(content)
    with pytest.raises(SpecError, match="has no task"):
        read(str(tmp_path / "own.jsonl"))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff\xfe\x00")
    for suite in ("none.jsonl", str(tmp_path / "odd")):
        with pytest.raises(SpecError, match=r"there is no|is no text") as caught:
            read(suite)
        assert "--suite tools" in caught.value.hint


def test_the_set_that_the_documentation_shows_can_be_read_and_done(tmp_path: Path) -> None:
    shown = (ROOT / "docs" / "agents.md").read_text().split("```json\n")[-1].partition("```")[0]
    (tmp_path / "own.jsonl").write_text(shown)
    graded = read(str(tmp_path / "own.jsonl"))
    assert [one.id for one in graded.tasks] == ["ada", "hello"]
    run(run_baselines(graded, EvalOptions()))  # Raises where the oracle is not right in all.
