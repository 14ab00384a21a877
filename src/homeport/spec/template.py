"""The file for people and editors: template, JSON Schema, what each key means."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Collection, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel

from homeport.json_types import JsonObject
from homeport.spec.agent import Agent
from homeport.spec.edge import Edge
from homeport.spec.guard import Guard
from homeport.spec.observe import Observe, ObserveSlo
from homeport.spec.scaling import Scaling
from homeport.spec.schema import (
    FILE_NAME,
    SCHEMA_NAME,
    TABLES,
    Access,
    Adapter,
    CloudRun,
    Engine,
    Local,
    Spec,
)


def json_schema() -> JsonObject:
    """Return the JSON Schema of homeport.toml, for editors. Generated from the model; shipped as a file."""
    schema = Spec.model_json_schema()
    schema.pop("description", None)
    models: tuple[type[BaseModel], ...] = (Spec, *TABLES.values(), Adapter, ObserveSlo)
    for model in models:
        described = schema if model is Spec else schema["$defs"][model.__name__]
        for name, text in descriptions(model).items():
            described["properties"][name]["description"] = text
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": FILE_NAME, **schema}


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """
    Return what each key of a table means: the text under its line in this file.

    Read when it is wanted. pydantic would read it whenever this module is imported, which takes 40 ms.
    """
    (definition,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)
    meanings = {}
    for field, text in pairwise(definition.body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
        ):
            meanings[field.target.id] = inspect.cleandoc(ast.literal_eval(text.value))
    return meanings


def template(tables: Collection[str] = (), /, **chosen: str) -> str:
    """
    Return a commented homeport.toml with every key at its default; `chosen` sets `name`, `model`, `project`,
    `region`.

    The tables that one target alone has are off, except for `tables`; the first of these has `project` and `region`.
    """
    lines = [
        f"#:schema ./{SCHEMA_NAME}",
        "# What `homeport up` serves. Every key is shown with its default; those behind # are off.",
    ]
    lines += _keys(Spec, chosen)
    shown: tuple[tuple[str, type[BaseModel]], ...] = (("engine", Engine), ("local", Local))
    for table, model in shown:
        lines += ["", f"# {model.__doc__}", f"[{table}]", *_keys(model, {})]
    for table, model in (("cloudrun", CloudRun), ("scaling", Scaling), ("access", Access)):
        keys = [f"[{table}]", *_keys(model, chosen if table in tables else {})]
        off = [line if line.startswith("#") else f"# {line}" for line in keys]
        lines += ["", f"# {model.__doc__}", *(keys if table in tables else off)]
    optional: tuple[tuple[str, type[BaseModel]], ...] = (
        ("agent", Agent), ("guard", Guard), ("edge", Edge), ("observe", Observe),
    )  # fmt: skip
    for table, model in optional:
        keys = [f"[{table}]", *_keys(model, {})]
        lines += ["", f"# {model.__doc__}", *(line if line.startswith("#") else f"# {line}" for line in keys)]
    return "\n".join(lines) + "\n"


def _keys(model: type[BaseModel], chosen: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    meanings = descriptions(model)
    for name, field in model.model_fields.items():
        if name in TABLES:
            continue
        lines += ["", f"# {meanings[name]}"] if model is Spec else [f"# {meanings[name]}"]
        if name == "lora":
            lines += ["# [[engine.lora]]", '# name = "support-tone"', '# source = "hf:my-org/my-adapter"']
        elif field.default is None and name not in chosen:
            lines.append(f"# {name} = {_toml((field.examples or [''])[0])}")
        else:
            lines.append(f"{name} = {_toml(chosen.get(name, field.default))}")
    return lines


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return str(value)
