"""Reads graded sets: JSON lines, each a tool or a task. Our own lies beside this module."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from homeport.agents.evaluation.bfcl import SUITES, read_bfcl
from homeport.agents.evaluation.graded import ExpectedCall, GradedSet, GradedTask, OfferedTool
from homeport.errors import SpecError
from homeport.json_types import Json, JsonObject
from homeport.own_path import text_of

SHIPPED = "tools"
_HINT = "docs/agents.md shows a line of each kind; `homeport agent eval --suite FILE --check` reads it alone"
_TOOL = 'a tool is {"tool": …, "description": …, "parameters": {…}}'
_TASK = 'a task is {"task": …, "category": …, "question": …, "offers": [TOOL, …], "calls": [[{"tool": …}]]}'
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _ToolLine(_Line):
    tool: _Name
    description: str
    parameters: dict[str, Any]  # Any: JSON Schema


class _Call(_Line):
    tool: str
    arguments: dict[str, Any] | None = None  # Any: JSON
    returns: Json = ""
    error: str = ""


class _TaskLine(_Line):
    task: _Name
    category: _Name
    question: Annotated[str, Field(min_length=1)]
    offers: list[str]
    calls: list[list[_Call]]
    answer: list[Annotated[str, Field(min_length=1)]] = []


def read(suite: str, *, only: Collection[str] = ()) -> GradedSet:
    """
    Return the set called `suite`: `tools`, which ships with homeport, `bfcl` or `bfcl-live`, or a file of JSON lines.

    With `only`, the tasks of these categories. Raises `SpecError` that names the line and what was expected there,
    `ExtraMissing` for BFCL's where it is not installed.
    """
    graded = read_bfcl(suite) if suite in SUITES else GradedSet(name=suite, tasks=_own(suite))
    known = graded.categories
    if missing := [category for category in only if category not in known]:
        raise SpecError(
            f"{suite} has no category {missing[0]}", hint=f"its categories are {', '.join(known)}"
        )
    return replace(graded, tasks=[task for task in graded.tasks if not only or task.category in only])


def _own(suite: str) -> list[GradedTask]:
    path = Path(__file__).parent / "tools.jsonl" if suite == SHIPPED else Path(suite)
    hint = f"say --suite {SHIPPED} or {' or '.join(SUITES)}, or name a file of JSON lines"
    return _tasks(text_of(path, if_missing=hint, hint=hint), suite)


def _tasks(text: str, suite: str) -> list[GradedTask]:
    tools: dict[str, OfferedTool] = {}
    tasks: dict[str, GradedTask] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            _take(_parsed(line), tools, tasks)
        except ValueError as error:
            raise SpecError(f"line {number} of {suite}: {error}", hint=_HINT) from error
    if not tasks:
        raise SpecError(f"{suite} has no task", hint=f"{_TASK}; {_HINT}")
    return list(tasks.values())


def _parsed(line: str) -> JsonObject:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected one JSON object, and it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, and it is a {type(value).__name__}")  # noqa: TRY004 - told as the others
    if ("tool" in value) == ("task" in value):
        raise ValueError(f"expected a tool or a task: {_TOOL}; {_TASK}")
    return value


def _take(value: Mapping[str, Json], tools: dict[str, OfferedTool], tasks: dict[str, GradedTask]) -> None:
    """Add what the line says. Raises `ValueError`."""
    try:
        if "tool" in value:
            tool = _tool(_ToolLine.model_validate(value))
            _ensure_new(tool.name, tools, "tool")
            tools[tool.name] = tool
        else:
            task = _task(_TaskLine.model_validate(value), tools)
            _ensure_new(task.id, tasks, "task")
            tasks[task.id] = task
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()
        )
        raise ValueError(f"{wrong}. Expected: {_TOOL if 'tool' in value else _TASK}") from None


def _ensure_new(name: str, known: Mapping[str, object], kind: str) -> None:
    if name in known:
        raise ValueError(f"there is a {kind} called {name} above; expected another name")


def _tool(line: _ToolLine) -> OfferedTool:
    schema = line.parameters
    properties = schema.get("properties", {})
    if schema.get("type") != "object" or not isinstance(properties, dict):
        raise ValueError(
            'parameters: expected the JSON Schema of an object: {"type": "object", "properties": {…}}'
        )
    required = schema.get("required", [])
    if not isinstance(required, list) or not set(map(str, required)) <= set(properties):
        raise ValueError(f"parameters.required: expected some of {', '.join(properties) or 'nothing'}")
    return OfferedTool(name=line.tool, description=line.description, parameters=schema)


def _task(line: _TaskLine, tools: Mapping[str, OfferedTool]) -> GradedTask:
    for name in line.offers:
        if name not in tools:
            raise ValueError(f"offers: there is no tool {name} above; expected a line that defines it first")
    if len(set(line.offers)) < len(line.offers):
        raise ValueError("offers: a tool is named twice; expected each once")
    for step in line.calls:
        if not step:
            raise ValueError("calls: a step without a call; expected [] where no tool is right, as a whole")
        for call in step:
            _ensure_possible(call, line.offers, tools)
    return GradedTask(
        id=line.task,
        category=line.category,
        question=line.question,
        offers=tuple(tools[name] for name in line.offers),
        calls=tuple(tuple(ExpectedCall(**call.model_dump()) for call in step) for step in line.calls),
        answer=tuple(line.answer),
    )


def _ensure_possible(call: _Call, offers: Collection[str], tools: Mapping[str, OfferedTool]) -> None:
    """Raise `ValueError` for a call that no model could make."""
    if call.tool not in offers:
        raise ValueError(f"calls: {call.tool} is not offered; expected one of {', '.join(offers) or 'none'}")
    if call.arguments is None:
        return
    schema = tools[call.tool].parameters
    properties = schema.get("properties", {})
    if unknown := set(call.arguments) - set(properties):
        raise ValueError(
            f"calls: {call.tool} takes no {min(unknown)}; expected some of {', '.join(properties)}"
        )
    if missing := set(schema.get("required", [])) - set(call.arguments):
        raise ValueError(f"calls: {call.tool} wants {min(missing)}; expected it among the arguments")
    for name, value in call.arguments.items():
        accepted = (
            value.get("any_of", ()) if isinstance(value, dict) and set(value) == {"any_of"} else [value]
        )
        if not isinstance(accepted, list) or not accepted:
            raise ValueError(f"calls: {call.tool}.{name}: expected a list of one or more values in any_of")
