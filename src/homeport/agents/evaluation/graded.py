"""Graded tasks: a question, the tools that are offered, the calls that are right, and what each of them returns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from homeport.json_types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool of a graded set: what the model reads about it. Each task says what it returns."""

    name: str
    description: str
    parameters: Mapping[str, Json]
    """JSON Schema of its arguments, an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """A call that is right, and what comes of it."""

    tool: str
    arguments: Mapping[str, Json] | None = None
    """
    By name: a value, or `{"any_of": [...]}`, where null is an argument that may be left out; within an object, too. None:
    any arguments.
    """
    returns: Json = ""
    error: str = ""
    """What the tool says where it cannot do it; '' where it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedTask:
    """One task."""

    id: str
    category: str
    question: str
    offers: tuple[OfferedTool, ...]
    calls: tuple[tuple[ExpectedCall, ...], ...] = ()
    """Answers of the model that call tools, in order, each with its calls in any order; empty: no tool is right."""
    answer: tuple[str, ...] = ()
    """One of these has to stand in the answer in words; empty: any answer will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedSet:
    """Tasks, and where they are from."""

    name: str
    tasks: Sequence[GradedTask]
    notes: tuple[str, ...] = ()
    """What a reader of a result of it has to know."""

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all that is asked and what is right: two results with one digest may be compared."""
        text = json.dumps([asdict(task) for task in self.tasks], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def categories(self) -> tuple[str, ...]:
        """Return the categories, in the order of the file."""
        return tuple(dict.fromkeys(task.category for task in self.tasks))
