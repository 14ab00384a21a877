"""Whether the arguments of a call are right: by value and type, whatever the order or the case of letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeport.agents.evaluation.graded import ExpectedCall
from homeport.json_types import Json, JsonObject


def accepted(value: Any) -> list[Any]:  # Any: JSON
    """Return the values that an expected argument allows; None among them where it may be left out."""
    if isinstance(value, Mapping) and set(value) == {"any_of"}:
        return list(value["any_of"])
    return [value]


def usual(call: ExpectedCall) -> JsonObject:
    """Return arguments that are right: of each the first value that is allowed."""
    return _usual_object(call.arguments or {})


def _usual_object(expected: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    first = {name: _usual_value(accepted(value)[0]) for name, value in expected.items()}
    return {name: value for name, value in first.items() if value is not None}


def _usual_value(value: Any) -> Any:  # Any: JSON
    if isinstance(value, Mapping):
        return _usual_object(value)
    return [_usual_value(member) for member in value] if isinstance(value, list) else value


def fits(call: ExpectedCall, name: str, arguments: Any) -> bool:  # Any: JSON, or the text that is none
    """Return whether a call that was made is the expected one."""
    if name != call.tool or not isinstance(arguments, Mapping):
        return False
    if call.arguments is None:
        return True
    return _fits_object(call.arguments, arguments)


def fit_together(calls: Sequence[ExpectedCall], made: Sequence[tuple[str, Json]]) -> bool:
    """Return whether the calls of one answer are the expected ones, in any order."""
    if len(calls) != len(made):
        return False
    if not calls:
        return True
    first, *others = calls
    return any(
        fits(first, *call) and fit_together(others, [*made[:place], *made[place + 1 :]])
        for place, call in enumerate(made)
    )


def _fits_object(expected: Mapping[str, Json], actual: Mapping[str, Json]) -> bool:
    return not set(actual) - set(expected) and all(
        any(_same(alternative, actual.get(key)) for alternative in accepted(value))
        for key, value in expected.items()
    )


def _same(expected: Any, actual: Any) -> bool:  # Any: JSON
    if isinstance(expected, str) and isinstance(actual, str):
        return " ".join(expected.split()).casefold() == " ".join(actual.split()).casefold()
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return _fits_object(expected, actual)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_same, expected, actual))
    return bool(expected == actual)
