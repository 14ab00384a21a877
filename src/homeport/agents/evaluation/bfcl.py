"""Reads the Berkeley Function-Calling Leaderboard's single-turn tasks where the package `bfcl-eval` (Apache-2.0) is installed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from homeport.agents.evaluation.graded import ExpectedCall, GradedSet, GradedTask, OfferedTool
from homeport.errors import ExtraMissing, SpecError

SUITES = {
    "bfcl": ("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance"),
    "bfcl-live": ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple", "live_irrelevance"),
}  # fmt: skip
"""Files of the package, each a category; those of `bfcl-live` are what users once asked."""
_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
"""What it calls otherwise than JSON Schema does; `any` is no restriction there."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _LeftOut(Exception):
    """A task that is not asked, and why."""


def read_bfcl(suite: str) -> GradedSet:
    """
    Return the tasks of `suite`, one of `SUITES`, graded by homeport's own rule, with notes of what is left out.

    A dot in a tool's name is an underscore, as OpenAI's API wants it and BFCL's own harness writes it. Left out are
    conversations of several messages, and tasks whose key asks for what their tools do not take. Raises
    `ExtraMissing` where the package is not installed, `SpecError` where it has other files than 2026.3.23's.
    """
    folder = _folder()
    tasks: list[GradedTask] = []
    total, left_out = 0, Counter[str]()
    for category in SUITES[suite]:
        for task, key in _pairs(folder, category):
            total += 1
            try:
                tasks.append(_task(category, task, key))
            except _LeftOut as reason:
                left_out[str(reason)] += 1
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise _of_another_shape(category, error) from error
    reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
    notes = (f"{left_out.total()} of {total} tasks are left out: {reasons}",) if left_out else ()
    return GradedSet(name=f"{suite} {version('bfcl-eval')}", tasks=tasks, notes=notes)


def _folder() -> Path:
    # Looked up and not imported: the package brings a dozen makers' clients.
    package = find_spec("bfcl_eval")
    places = list(package.submodule_search_locations or ()) if package else []
    try:
        version("bfcl-eval")
    except PackageNotFoundError:
        places = []
    if not places:
        raise ExtraMissing(
            "BFCL's tasks are not here: the package bfcl-eval is not installed beside homeport",
            hint="pip install --no-deps bfcl-eval (its data is all that is read), or say --suite tools",
        )
    return Path(places[0]) / "data"


def _pairs(folder: Path, category: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:  # Any: JSON
    """Give each task with its key; tasks where no tool is right have none."""
    file = f"BFCL_v4_{category}.json"
    try:
        tasks = _lines(folder / file)
        keys = {} if category.endswith("irrelevance") else _lines(folder / "possible_answer" / file)
        for name, task in tasks.items():
            yield task, keys[name] if keys else {"ground_truth": []}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _of_another_shape(category, error) from error


def _of_another_shape(category: str, error: Exception) -> SpecError:
    return SpecError(
        f"BFCL_v4_{category}.json of bfcl-eval {version('bfcl-eval')} is not as it was in 2026.3.23: {error!r}",
        hint="pip install --no-deps bfcl-eval==2026.3.23",
    )


def _lines(path: Path) -> dict[str, Mapping[str, Any]]:  # Any: JSON
    lines = path.read_text(encoding="utf-8").splitlines()
    return {record["id"]: record for record in map(json.loads, filter(None, lines))}


def _task(category: str, task: Mapping[str, Any], key: Mapping[str, Any]) -> GradedTask:  # Any: JSON
    """Return one task. Raises `_LeftOut`."""
    (messages,) = task["question"]
    if [message["role"] for message in messages] != ["user"]:
        raise _LeftOut("with more than one message")
    offers = [_tool(function) for function in task["function"]]
    names = [offer.name for offer in offers]
    if len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
        raise _LeftOut("with tools whose names an API does not take")
    tools = {offer.name: offer for offer in offers}
    calls = tuple(
        _call(tools, name, arguments) for call in key["ground_truth"] for name, arguments in call.items()
    )
    return GradedTask(
        id=re.sub(r"[^A-Za-z0-9_-]", "-", task["id"]),
        category=category,
        question=messages[0]["content"],
        offers=tuple(offers),
        calls=(calls,) if calls else (),
    )


def _tool(function: Mapping[str, Any]) -> OfferedTool:  # Any: JSON
    return OfferedTool(
        name=_name(function["name"]),
        description=function["description"],
        parameters=_schema(function["parameters"]),
    )


def _name(name: str) -> str:
    return name.replace(".", "_")


def _schema(theirs: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON Schema
    ours = {key: value for key, value in theirs.items() if key not in {"type", "optional"}}
    kind = theirs.get("type", "any")
    if kind != "any":
        ours["type"] = _TYPES.get(kind, kind)
    if "properties" in theirs:
        ours["properties"] = {name: _schema(schema) for name, schema in theirs["properties"].items()}
    if isinstance(theirs.get("items"), dict):
        ours["items"] = _schema(theirs["items"])
    return ours


def _call(
    tools: Mapping[str, OfferedTool], name: str, arguments: Mapping[str, Any]
) -> ExpectedCall:  # Any: JSON
    tool = tools.get(_name(name))
    properties = tool.parameters.get("properties", {}) if tool else {}
    required = set(tool.parameters.get("required", ())) if tool else set()
    if tool is None or set(arguments) - set(properties) or required - set(arguments):
        raise _LeftOut("whose key does not fit their tools")
    return ExpectedCall(
        tool=tool.name,
        arguments={
            argument: _any_of(values, properties[argument], argument in required)
            for argument, values in arguments.items()
        },
        returns="done",
    )


def _any_of(values: list[Any], schema: Mapping[str, Any], required: bool) -> dict[str, Any]:  # Any: JSON
    """Return what an argument may be: where '' is among the values, one that is not required may also be left out."""
    text = schema.get("type") == "string"
    allowed = [_value(value, schema) for value in values if value != "" or text]
    if "" in values and not required:
        allowed.append(None)
    if not allowed:
        raise _LeftOut("whose key allows no value")
    return {"any_of": allowed}


def _value(value: Any, schema: Mapping[str, Any]) -> Any:  # Any: JSON
    """Return a value in which each part of an object may be one of several, as the key has it."""
    if isinstance(value, list):
        return [_value(member, schema.get("items", {})) for member in value]
    if not isinstance(value, Mapping):
        return value
    parts, required = schema.get("properties", {}), schema.get("required", ())
    return {
        key: _any_of(part, parts.get(key, {}), key in required) if isinstance(part, list) else part
        for key, part in value.items()
    }
