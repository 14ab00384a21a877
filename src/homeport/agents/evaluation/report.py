"""All that `homeport agent eval` found: a result, and one to compare it with. It can be kept as JSON and read again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from homeport.agents.evaluation.comparison import EvalComparison
from homeport.agents.evaluation.result import EvalResult
from homeport.errors import SpecError
from homeport.json_types import JsonObject
from homeport.own_path import content_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalReport:
    """A result, and where it was asked for, another one and how they compare."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    result: EvalResult
    against: EvalResult | None = None
    comparison: EvalComparison | None = None

    def as_json(self) -> JsonObject:
        """Return the report as `--json` prints it."""
        document: JsonObject = TypeAdapter(EvalReport).dump_python(self, mode="json")
        return document


def saved(path: Path) -> EvalResult:
    """Return the result in a file that `homeport agent eval --json` wrote. Raises `SpecError` where it is none."""
    hint = "name an endpoint, or a file that `homeport agent eval --json > FILE.json` wrote"
    content = content_of(path, if_missing=hint)
    try:
        return TypeAdapter(EvalReport).validate_json(content).result
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise SpecError(
            f"{path} is no result of an evaluation: {where}: {first['msg']}", hint=hint
        ) from error
