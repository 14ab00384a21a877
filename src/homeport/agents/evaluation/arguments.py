"""Whether the arguments of a call are right: by value and type, whatever the order or the case of letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeport.agents.evaluation.graded import ExpectedCall


def accepted(value: Any) -> list[Any]:  # Any: JSON
    """Return the values that an expected argument allows; None among them where it may be left out."""
    if isinstance(value, Mapping) and set(value) == {"any_of"}:
        return list(value["any_of"])
    return [value]


def usual(call: ExpectedCall) -> dict[str, Any]:
    """Return arguments that are right: of each the first value that is allowed."""
    return _usual_object(call.arguments or {})


def _usual_object(wanted: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    first = {name: _usual_value(accepted(value)[0]) for name, value in wanted.items()}
    return {name: value for name, value in first.items() if value is not None}


def _usual_value(value: Any) -> Any:  # Any: JSON
    if isinstance(value, Mapping):
        return _usual_object(value)
    return [_usual_value(one) for one in value] if isinstance(value, list) else value


def fits(call: ExpectedCall, name: str, arguments: Any) -> bool:  # Any: JSON, or the text of what is none
    """Return whether a call that was made is the expected one."""
    if name != call.tool or not isinstance(arguments, Mapping):
        return False
    if call.arguments is None:
        return True
    return _fits_object(call.arguments, arguments)


def fit_together(calls: Sequence[ExpectedCall], made: Sequence[tuple[str, Any]]) -> bool:
    """Return whether the calls of one answer are the expected ones, in any order."""
    if len(calls) != len(made):
        return False
    if not calls:
        return True
    first, *others = calls
    return any(
        fits(first, *one) and fit_together(others, [*made[:place], *made[place + 1 :]])
        for place, one in enumerate(made)
    )


def _fits_object(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> bool:  # Any: JSON
    return not set(given) - set(wanted) and all(
        any(_same(one, given.get(key)) for one in accepted(value)) for key, value in wanted.items()
    )


def _same(wanted: Any, given: Any) -> bool:  # Any: JSON
    if isinstance(wanted, str) and isinstance(given, str):
        return " ".join(wanted.split()).casefold() == " ".join(given.split()).casefold()
    if isinstance(wanted, bool) or isinstance(given, bool):
        return wanted is given
    if isinstance(wanted, Mapping) and isinstance(given, Mapping):
        return _fits_object(wanted, given)
    if isinstance(wanted, list) and isinstance(given, list):
        return len(wanted) == len(given) and all(map(_same, wanted, given))
    return bool(wanted == given)
