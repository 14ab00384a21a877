"""
Whether the result of an MCP server is what the server announced. Both are a stranger's, and one may be made so that the other is
looked at for ever: so it is looked at for a moment, and by nothing that cannot be interrupted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

LARGEST_SCHEMA = 64 * 1024
"""Bytes of a schema of a tool, as JSON: it is a page that a model could not keep in mind."""
_LARGEST_VALUE = 256 * 1024
_LOOKED_AT_S = 0.5
"""Seconds of the processor."""
_UNBOUNDED = ("pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties")
"""What Python does in one piece, a regular expression above all, or what is looked through by ways of its own."""


class _LookedAtLongEnough(Exception):
    """Raised where the moment is over."""


def size_of(schema: Any) -> int:  # Any: JSON
    """Return how many bytes it has as JSON."""
    return len(json.dumps(schema))


def broken(schema: Any, value: Any) -> str:  # Any: JSON of a stranger's
    """
    Return how `value` is not what `schema` says, in one line.

    '' where it is, and where nobody can tell within bounds: without a connection, half a second, and `_UNBOUNDED`.
    """
    from jsonschema import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    if size_of(schema) > LARGEST_SCHEMA or size_of(value) > _LARGEST_VALUE:
        return ""
    kind = _bounded(time.thread_time() + _LOOKED_AT_S)
    try:
        kind.check_schema(schema)
        error = next(kind(schema, registry=Registry()).iter_errors(value), None)
    except SchemaError as wrong:
        return f"what it announced is no JSON Schema: {_short(wrong.message)}"
    except (_LookedAtLongEnough, RecursionError, Unresolvable):
        return ""
    if error is None:
        return ""
    return f"{error.json_path} is not of {error.validator} {_short(json.dumps(error.validator_value))}"


def _bounded(until: float) -> Any:  # Any: the library's kind of a class
    """Return what looks at values until the processor has worked so long for this thread."""
    from jsonschema import Draft202012Validator, validators

    def counted(look: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def looked(*what: Any) -> Iterator[Any]:
            if time.thread_time() > until:
                raise _LookedAtLongEnough
            yield from look(*what) or ()

        return looked

    looks = {name: counted(look) for name, look in Draft202012Validator.VALIDATORS.items()}
    return validators.extend(
        Draft202012Validator, {**looks, **dict.fromkeys(_UNBOUNDED, lambda *_: iter(()))}
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]} …"
