"""A fact of a plan: what will be so, as typed fields for programs and as a line for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import ClassVar

from homeport.json_types import Json, JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """
    One thing that will be so. Each kind of fact is a class of its own; the fields are its values.

    A unit is the end of a field's name: `_bytes`, `_s`, `_tokens`, `_usd_per_hour`. None is *not known*.
    """

    key: ClassVar[str]
    """What programs call it; one of each key in a plan."""
    label: ClassVar[str]
    """What people read before it."""

    @property
    def text(self) -> str:
        """Return everything of it in a line."""
        raise NotImplementedError

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return what a terminal shows: labels and texts, one for most facts."""
        return ((self.label, self.text),)

    def as_json(self) -> JsonObject:
        """Return the fields by name, and `text`."""
        values = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {**values, "text": self.text}


def by_key(facts: tuple[Fact, ...]) -> dict[str, JsonObject]:
    """Return facts as `--json` prints them: by key."""
    return {fact.key: fact.as_json() for fact in facts}


def labelled(facts: tuple[Fact, ...]) -> list[tuple[str, str]]:
    """Return labels and texts of facts, line by line."""
    return [line for fact in facts for line in fact.lines()]


def _plain(value: Json) -> Json:
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return dict(value) if hasattr(value, "items") else value
