"""
Whether the result of an MCP server is what the server announced. Both are a stranger's, and one may be made so that the other is
looked at for ever: so it is looked at for a moment, and by nothing that cannot be interrupted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from homeport.json_types import Json

LARGEST_SCHEMA = 64 * 1024
"""Bytes of a schema of a tool, as JSON: it is a page that a model could not keep in mind."""
MOST_STEPS = 150_000
"""
Looks at a schema until it is known to be one. Counted and not timed, so that it is refused everywhere or nowhere: 2,000
properties take two thirds of it, and all of it a second or so.
"""
MOST_STEPS_OF_ALL = 4 * MOST_STEPS
"""The same for all schemas of a server together: what 200 tools of 20 parameters take, of which results are described, too."""
_LARGEST_VALUE = 256 * 1024
_LOOKED_AT_S = 0.5
"""Seconds of the processor."""
_DEEPEST, _DEEPEST_OF_SCHEMA = 100, 150
"""
Rules within rules; five of those of a dialect are a level of a schema. Python ends at a few times that many, and where it
does within the library's own Rust that is no exception which anybody catches.
"""
_UNBOUNDED = ("pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties")
"""What Python does in one piece, a regular expression above all, or what is looked through by ways of its own."""


class _LookedAtLongEnough(Exception):
    """Raised where the moment is over."""


class _Moment:
    """How long and how deep a look goes."""

    def __init__(self, *, deepest: int, seconds: float = float("inf"), steps: float = float("inf")) -> None:
        self._until = time.thread_time() + seconds
        self._steps = steps
        self.taken = 0
        self._deepest = deepest
        self.depth = 0

    def step(self) -> None:
        """Raise `_LookedAtLongEnough` where there is no further one."""
        self.taken += 1
        if self.taken > self._steps or self.depth > self._deepest or time.thread_time() > self._until:
            raise _LookedAtLongEnough


class SchemasLook:
    """How far all schemas of one server are looked at together."""

    def __init__(self) -> None:
        self._left = MOST_STEPS_OF_ALL

    @property
    def over(self) -> bool:
        """Return whether no more of them is looked at."""
        return self._left <= 0

    def fault_of(self, schema: Any) -> str:  # Any: JSON of a stranger's
        """Return why a tool with this schema is not taken, in one line; '' where it is."""
        moment = _Moment(deepest=_DEEPEST_OF_SCHEMA, steps=min(MOST_STEPS, self._left))
        try:
            return _fault_of_schema(schema, moment)
        finally:
            self._left -= moment.taken


class Promise:
    """What a tool's results are, in the words of its output schema."""

    def __init__(
        self, schema: Any
    ) -> None:  # Any: JSON of a stranger's, which `SchemasLook` finds no fault with
        self._schema = schema
        self._moment = _Moment(deepest=_DEEPEST)
        self._kind = _bounded(_dialect(schema), lambda: self._moment)

    def broken(self, value: Any) -> str:  # Any: JSON of a stranger's
        """
        Return how `value` is not what was promised, in one line.

        '' where it is, and where nobody can tell: without a connection, in half a second, without `_UNBOUNDED`, and by
        references and numbers with which the library can do nothing.
        """
        from referencing import Registry

        self._moment = _Moment(deepest=_DEEPEST, seconds=_LOOKED_AT_S)
        try:
            if size_of(value) > _LARGEST_VALUE:
                return ""
            error = next(self._kind(self._schema, registry=Registry()).iter_errors(value), None)
            if error is None:
                return ""
            return (
                f"{error.json_path} is not of {error.validator} {_short(json.dumps(error.validator_value))}"
            )
        except Exception:  # noqa: BLE001 - a stranger's schema makes the library raise whatever it likes, and the tool has acted
            return ""


def size_of(schema: Any) -> int:  # Any: JSON
    """Return how many bytes it has as JSON."""
    return len(json.dumps(schema))


def _fault_of_schema(schema: Any, moment: _Moment) -> str:  # Any: JSON of a stranger's
    from referencing import Registry

    try:
        if (size := size_of(schema)) > LARGEST_SCHEMA:
            return f"it has {size} bytes, and at most {LARGEST_SCHEMA} are shown to a model"
        meta = _bounded(_dialect(schema), lambda: moment, but=("pattern",))  # Those are the dialect's own.
        # Without formats: a `pattern` is JavaScript's, and what Python cannot read may be one.
        error = next(meta(meta.META_SCHEMA, registry=Registry()).iter_errors(schema), None)
    except (_LookedAtLongEnough, RecursionError):
        return "it is deeper, or has more parts, than is looked at"
    return f"it is no JSON Schema: {_short(error.message)}" if error else ""


_Look = Callable[..., Iterable[object] | None]
"""Looks at a value by one word of a schema, and tells what is wrong with it."""


def _dialect(schema: Any) -> Any:  # Any: JSON of a stranger's; the library's kind of a class
    """Return what looks at values by the words of that JSON Schema in which `schema` is written: the newest, unless it says."""
    from jsonschema import Draft202012Validator, validators

    said = schema.get("$schema") if isinstance(schema, dict) else None
    try:
        return validators.validator_for({"$schema": str(said)}, default=Draft202012Validator)
    except ValueError:  # No address.
        return Draft202012Validator


def _bounded(
    dialect: Any, moment: Callable[[], _Moment], *, but: tuple[str, ...] = ()
) -> Any:  # Any: as above
    """Return what looks as `dialect` does until the moment is over; `_UNBOUNDED` does not count, `but` some of it."""
    from jsonschema import validators

    def counted(look: _Look) -> _Look:
        def looked(*what: object) -> Iterator[object]:
            now = moment()
            now.depth += 1
            try:
                now.step()
                yield from look(*what) or ()
            finally:
                now.depth -= 1

        return looked

    def additional(look: _Look) -> _Look:
        # What is left over when expressions are matched, all at once.
        return lambda *what: () if "patternProperties" in what[3] else look(*what)

    looks = {name: counted(look) for name, look in dialect.VALIDATORS.items()}
    if "additionalProperties" in looks and "patternProperties" not in but:
        looks["additionalProperties"] = additional(looks["additionalProperties"])
    kind: Any = validators.extend(  # Any: as above
        dialect, {**looks, **{name: _nothing for name in _UNBOUNDED if name not in but}}
    )

    its_own = kind.evolve

    def evolve(self: Any, **changes: Json) -> Any:  # Any: an object of that class
        moment().step()
        part = changes.get("schema", self.schema)
        if isinstance(
            part, dict
        ):  # By its `$schema` the library would take another kind, which knows no bounds.
            part = {name: value for name, value in part.items() if name != "$schema"}
        return its_own(self, **{**changes, "schema": part})

    kind.evolve = evolve
    return kind


def _nothing(*_: object) -> Iterator[object]:
    return iter(())


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]} …"
