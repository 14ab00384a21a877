"""What one resource takes from another that is yet to be made: values that stand in a wanted body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeport.json_types import Json
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Outputs


@dataclass(frozen=True, slots=True)
class Ref:
    """What another resource has at `path` once it is live, such as `Ref("network/home", "selfLink")`."""

    id: str
    path: str = ""
    """Keys and positions with dots between, such as `traffic.0.uri`; '' for all of it."""


@dataclass(frozen=True, slots=True)
class Concat:
    """A string of which references are a part."""

    parts: tuple[str | Ref, ...]


def joined(*parts: str | Ref) -> Concat:
    """Return a string made of these, such as `joined("serviceAccount:", Ref("service-account/run", "email"))`."""
    return Concat(parts)


def needs_of(value: Any) -> tuple[str, ...]:  # Any: JSON, with references
    """Return the ids of the resources that `value` refers to, each once."""
    found: dict[str, None] = {}
    _find(value, found)
    return tuple(found)


def resolve(value: Any, outputs: Outputs, *, final: bool = False) -> Any:  # Any: JSON, with references
    """
    Return `value` with what its references stand for; `KNOWN_AFTER_APPLY` where `outputs` does not tell.

    With `final`, for a body that is about to be sent, that is a `ValueError` instead: a mistake of the program.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Ref):
        return _look_up(value, outputs, final=final)
    if isinstance(value, Concat):
        parts = [
            _look_up(part, outputs, final=final) if isinstance(part, Ref) else part for part in value.parts
        ]
        return "".join(str(part) for part in parts)
    if isinstance(value, Mapping):
        return {key: resolve(inner, outputs, final=final) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, outputs, final=final) for inner in value]
    return value


def is_known(value: Json) -> bool:
    """Return True if nothing in `value` is yet to be known."""
    if isinstance(value, str):
        return KNOWN_AFTER_APPLY not in value
    if isinstance(value, Mapping):
        return all(is_known(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(is_known(inner) for inner in value)
    return True


def _find(value: object, found: dict[str, None]) -> None:
    """Note the ids of the references in `value`. Most of what is looked at is text, and a plan looks at all of it often."""
    if isinstance(value, str):
        return
    if isinstance(value, dict | Mapping):
        for inner in value.values():
            _find(inner, found)
    elif isinstance(value, list | tuple):
        for inner in value:
            _find(inner, found)
    elif isinstance(value, Ref):
        found[value.id] = None
    elif isinstance(value, Concat):
        _find(value.parts, found)


def _look_up(ref: Ref, outputs: Outputs, *, final: bool) -> Json:
    value = outputs.get(ref.id)
    for key in ref.path.split(".") if ref.path else ():
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, Sequence) and not isinstance(value, str) and key.isdigit():
            value = value[int(key)] if int(key) < len(value) else None
        else:
            value = None
    if value is None:
        if final:
            raise ValueError(f"{ref.id} has no {ref.path or 'output'}")
        return KNOWN_AFTER_APPLY
    return value
