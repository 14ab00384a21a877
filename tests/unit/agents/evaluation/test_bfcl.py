"""The Berkeley Function-Calling Leaderboard's tasks are read where their package is installed; here it is a made-up one."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from homeport.agents.evaluation.arguments import fits
from homeport.agents.evaluation.baselines import Baseline
from homeport.agents.evaluation.bfcl import SUITES
from homeport.agents.evaluation.options import EvalOptions
from homeport.agents.evaluation.reader import read
from homeport.agents.evaluation.runner import run_baselines
from homeport.errors import ExtraMissing, SpecError
from homeport.sync import run

TRIANGLE: dict[str, Any] = {
    "name": "geometry.area",
    "description": "Area of a triangle.",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "float"},
            "unit": {"type": "string", "optional": True},
            "corners": {"type": "array", "items": {"type": "tuple", "items": {"type": "any"}}},
            "style": {"type": "dict", "properties": {"line": {"type": "string"}}},
        },
        "required": ["base"],
    },
}
KEY: dict[str, Any] = {"base": [10, 10.0], "unit": ["cm", ""], "style": [{"line": ["thin", ""]}, ""], "corners": [[[1, 2]], ""]}  # fmt: skip


def asked(name: str, *messages: str, tool: Any = TRIANGLE) -> dict[str, Any]:
    said = [{"role": "user", "content": one} for one in messages or ("How large is it?",)]
    return {"id": name, "question": [said], "function": [tool]}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a `bfcl-eval` with no tasks, on Python's path."""
    data = tmp_path / "site" / "bfcl_eval" / "data"
    (data / "possible_answer").mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise RuntimeError('it is not imported')")
    described = tmp_path / "site" / "bfcl_eval-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: bfcl-eval\nVersion: 1\n")
    for category in SUITES["bfcl"]:
        holds(data, category)
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    return data


def holds(data: Path, category: str, *tasks: tuple[dict[str, Any], list[Any]]) -> None:
    """Let the package have these tasks with these keys."""
    file = f"BFCL_v4_{category}.json"
    (data / file).write_text("\n".join(json.dumps(task) for task, _ in tasks))
    keys = [{"id": task["id"], "ground_truth": key} for task, key in tasks]
    (data / "possible_answer" / file).write_text("\n".join(map(json.dumps, keys)))


def test_a_task_has_names_and_types_as_apis_take_them_and_a_key_with_what_may_be_left_out(
    package: Path,
) -> None:
    holds(package, "multiple", (asked("multiple_0"), [{"geometry.area": KEY}]))
    graded = read("bfcl")
    assert (graded.name, graded.notes) == ("bfcl 1", ())
    (task,) = graded.tasks
    (tool,) = task.offers
    assert tool.name == "geometry_area"
    assert tool.parameters["type"] == "object"
    assert tool.parameters["properties"] == {
        "base": {"type": "number"},
        "unit": {"type": "string"},
        "corners": {"type": "array", "items": {"type": "array", "items": {}}},
        "style": {"type": "object", "properties": {"line": {"type": "string"}}},
    }
    ((call,),) = task.calls
    for right in (
        {"base": 10},
        {"base": 10.0, "unit": "CM", "style": {"line": "thin"}},
        {"base": 10, "style": {}, "corners": [[1, 2]]},
    ):
        assert fits(call, "geometry_area", right), right
    for wrong in (
        {},
        {"base": "10"},
        {"base": 10, "unit": "m"},
        {"base": 10, "style": {"line": "wide"}},
        {"base": 10, "style": {"colour": "red"}},
        {"base": 10, "corners": [[2, 1]]},
    ):
        assert not fits(call, "geometry_area", wrong), wrong


def test_what_a_tool_requires_cannot_be_left_out_and_nothing_is_no_number(package: Path) -> None:
    tool = {**TRIANGLE, "parameters": {**TRIANGLE["parameters"], "required": ["base", "unit"]}}
    key = {"base": [1], "unit": ["cm", ""], "corners": [""]}
    holds(package, "multiple", (asked("multiple_0", tool=tool), [{"geometry.area": key}]))
    (((call,),),) = (one.calls for one in read("bfcl").tasks)
    assert fits(call, "geometry_area", {"base": 1, "unit": ""})
    assert not fits(call, "geometry_area", {"base": 1})
    assert not fits(call, "geometry_area", {"base": 1, "unit": "cm", "corners": ""})


def test_calls_that_belong_together_are_one_step_and_where_no_tool_fits_none_is_right(package: Path) -> None:
    twice = [{"geometry.area": {"base": [one]}} for one in (1, 2)]
    holds(package, "parallel", (asked("parallel_0"), twice))
    holds(package, "irrelevance", (asked("irrelevance_0"), []))
    (package / "possible_answer" / "BFCL_v4_irrelevance.json").unlink()
    graded = read("bfcl")
    assert [[len(step) for step in one.calls] for one in graded.tasks] == [[2], []]
    found = run(run_baselines(graded, EvalOptions()))
    assert [one.verdict.value for one in found[Baseline.ORACLE]] == ["right", "right"]
    assert [one.verdict.value for one in found[Baseline.ALWAYS_NONE]] == ["no_call", "right"]


def test_what_cannot_be_asked_or_graded_is_left_out_and_counted(package: Path) -> None:
    holds(
        package,
        "simple_python",
        (asked("simple_0"), [{"geometry.area": {"base": [1]}}]),
        (asked("simple_1", "Hello.", "And?"), [{"geometry.area": {"base": [1]}}]),
        (asked("simple_2"), [{"geometry.area": {"height": [1]}}]),
        (asked("simple_3"), [{"geometry.area": {"base": []}}]),
        (asked("simple_4", tool={**TRIANGLE, "name": "a b"}), [{"a b": {"base": [1]}}]),
    )
    graded = read("bfcl", only=["simple_python"])
    assert [one.id for one in graded.tasks] == ["simple_0"]
    (note,) = graded.notes
    assert note.startswith(
        "4 of 5 tasks are left out: 1 with more than one message; 1 whose key does not fit"
    )


@pytest.mark.parametrize(
    "line",
    [
        '["no task"]',
        "{",
        '{"id": "a"}',
        '{"id": "a", "question": [], "function": []}',
        '{"id": "a", "question": 1}',
    ],
)
def test_files_of_another_shape_are_one_error_that_names_the_version_that_is_read(
    package: Path, line: str
) -> None:
    (package / "BFCL_v4_irrelevance.json").write_text(line)
    with pytest.raises(SpecError, match=r"irrelevance.json of bfcl-eval 1 is not as it was in 2026\.3\.23"):
        read("bfcl")


def test_without_the_package_the_error_says_how_it_comes() -> None:
    with pytest.raises(ExtraMissing) as refused:
        read("bfcl-live")
    assert "pip install --no-deps bfcl-eval" in (refused.value.hint or "")
