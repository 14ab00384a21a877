"""Reading the file; every key that is wrong is named, with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from homeport import patterns
from homeport.addresses import shown
from homeport.errors import SpecError
from homeport.spec.observe import ObserveSlo
from homeport.spec.renamed import RenamedKey, renamed
from homeport.spec.schema import FILE_NAME, TABLES, Adapter, Spec
from homeport.toml_file import read_toml


def load(path: Path) -> Spec:
    """Return the spec in the file `path`. Raises `SpecError` naming every key that is wrong."""
    hint = "it should be a TOML file in UTF-8: strings want quotes, tables [brackets]"
    table = read_toml(path, hint=hint, if_missing="`homeport init` writes one")
    return parse(table, where=str(path))


def parse(table: Mapping[str, object], *, where: str = FILE_NAME) -> Spec:
    """Return the spec in a parsed TOML table. `where` is named in the error."""
    try:
        return Spec.model_validate(table)
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors(include_url=False)]
        lines = "".join(f"\n  {problem}" for problem in problems)
        count = "one thing is" if len(problems) == 1 else f"{len(problems)} things are"
        raise SpecError(
            f"{where}: {count} wrong:{lines}", hint="docs/homeport-toml.md explains every key"
        ) from error


def with_local(spec: Spec, **local: Any) -> Spec:  # Any: values of keys, checked as the file is
    """Return `spec` with keys of `[local]` replaced. Raises `SpecError` for what the file could not say."""
    return parse({**spec.model_dump(exclude_unset=True), "local": {**spec.local.model_dump(), **local}})


def ensure_no_weights(spec: Spec, model: str) -> None:
    """Raise `SpecError` where `spec` says which weights are served: they would be served as another `model`."""
    if spec.weights is not None:
        raise SpecError(
            f"the file names weights, {spec.weights}, which would be served as {model}",
            hint="take `weights` out of the file, then swap",
        )


def _problem(detail: ErrorDetails) -> str:
    key = ".".join(_without_secrets(str(part), "") for part in detail["loc"])
    value = detail["input"]
    old = renamed(".".join(map(str, detail["loc"][:-1])), str(detail["loc"][-1])) if detail["loc"] else None
    if detail["type"] == "extra_forbidden" and old is not None:
        return f"{key}: {_called_now(old, value)}"
    if detail["type"] == "extra_forbidden":
        return f"{key}: {_unknown(detail['loc'])}"
    if detail["type"] == "missing":
        return f"{key}: is missing"
    if detail["type"] == "value_error":
        text = str(detail["ctx"]["error"])
        return f"{key}: {text}" if key else text
    message = detail["msg"].removeprefix("Input ")
    if detail["type"] in {"model_type", "dict_type"}:
        message = f"should be a table: [{key}]"
    if detail["type"] == "string_pattern_mismatch" and detail["ctx"]["pattern"] in patterns.MEANINGS:
        message = f"should be {patterns.MEANINGS[detail['ctx']['pattern']]}"
    if key in {"local.api_key", "cloudrun.hub_token"}:
        secret = key.rpartition("_")[2]
        on_loopback = ', or on loopback "none"' if key == "local.api_key" else ""
        return f'{key}: should be "env:NAME" or "file:PATH"{on_loopback}; the {secret} itself does not belong in this file'
    return f"{key}: {message}, but is {_shorten(_without_secrets(value, key) if isinstance(value, str) else value)}"


def _without_secrets(text: str, key: str) -> str:
    """Return what a message may show of a text: of an address not the name, the password and the query."""
    return shown(text) if "://" in text or key.startswith("agent.mcp") else text


def _called_now(old: RenamedKey, value: object) -> str:
    name, now = f"{old.new_table}.{old.new}" if old.new_table else old.new, old.now(value)
    try:
        TABLES[old.new_table or old.table].model_validate({old.new: now})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["loc"] == (old.new,):
                return f"is called `{name}` now, which{_problem(detail).removeprefix(f'{old.new}:')}"
    where = f" under [{old.new_table}]" if old.new_table else ""
    return f"is called `{name}` now: write {old.new} = {_toml(now)}{where}"


def _unknown(loc: tuple[int | str, ...]) -> str:
    table, name = loc[:-1], str(loc[-1])
    tables: dict[str, type[BaseModel]] = {**TABLES, "lora": Adapter, "slo": ObserveSlo}
    inner = [part for part in table if isinstance(part, str)]
    model = tables[inner[-1]] if inner else Spec
    fields = list(model.model_fields)
    close = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
    if close:
        return f"unknown key; did you mean `{close[0]}`?"
    for sub, candidate in TABLES.items():
        for match in difflib.get_close_matches(name, list(candidate.model_fields), n=1, cutoff=0.8):
            return f"unknown key here; did you mean `{sub}.{match}`?"
    return f"unknown key; known here: {', '.join(fields)}"


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else _shorten(value)


def _shorten(value: object) -> str:
    text = repr(value) if not isinstance(value, Mapping) else "a table"
    return text if len(text) <= 60 else text[:57] + "..."
