"""A tool: what a model may call. Made from a Python function, or by an MCP server's description."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from homeport.errors import SpecError
from homeport.json_types import Json, JsonObject

_T = TypeVar("_T")
Function = Callable[..., Any]  # Any: whatever its author lets it take and return


class ToolFailed(Exception):
    """What a tool says when it cannot do what it was asked; the model reads it and may try something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool: what the model reads about it, and what is run when it calls."""

    name: str
    description: str
    parameters: Mapping[str, Json]
    """JSON Schema of its arguments, an object."""
    run: Callable[[JsonObject], Awaitable[Json]]
    changes: bool = True
    """Whether it may change something, and so asks first. Never taken from what a server says of itself."""
    origin: str = ""
    """Where it comes from, such as an MCP server's address; '' for one of this process."""


def tool_of(function: Function, *, changes: bool = True) -> Tool:
    """
    Return the tool that calls `function`: its name, its docstring, and a schema from its annotations.

    It asks before each call, unless you say that it changes nothing. A function that is not async runs in a thread
    of its own, so that one that hangs holds nothing up. Raises `SpecError` for parameters that JSON cannot name.
    """
    model, names = _arguments_of(function)

    async def run(arguments: JsonObject) -> Json:
        from pydantic import ValidationError

        try:
            values = model.model_validate(arguments)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, detail['loc'])) or 'arguments'}: {detail['msg']}"
                for detail in error.errors()
            )
            raise ToolFailed(f"wrong arguments: {wrong}") from error
        validated = {name: getattr(values, field) for field, name in names.items()}
        if inspect.iscoroutinefunction(function):
            return await function(**validated)
        return await in_thread(lambda: function(**validated))

    schema = model.model_json_schema()
    schema.pop("title", None)
    _ensure_defaults(function, model, names)
    return Tool(
        name=function.__name__,
        description=inspect.getdoc(function) or "",
        parameters=schema,
        run=run,
        changes=changes,
    )


async def in_thread(work: Callable[[], _T]) -> _T:
    """Return what `work` comes to in a thread that no one waits for at the end: one that hangs is left behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        if not future.cancelled():
            settle()

    def call() -> None:
        try:
            settle = partial(future.set_result, work())
        except BaseException as error:  # noqa: BLE001 - whatever a tool raises is the caller's to tell
            failure = error if isinstance(error, Exception) else ToolFailed(f"it ended with {error!r}")
            if isinstance(failure, StopIteration):  # A future cannot carry one.
                failure = ToolFailed("it raised StopIteration")
            settle = partial(future.set_exception, failure)
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, settle)

    threading.Thread(target=call, daemon=True, name="homeport-tool").start()
    return await future


def _arguments_of(
    function: Function,
) -> tuple[Any, dict[str, str]]:  # Any: a class made by pydantic
    """Return a model whose aliases are the parameters, whatever they are called, and which parameter each field of it is."""
    from pydantic import ConfigDict, Field, create_model

    fields: dict[str, Any] = {}  # Any: as pydantic takes fields
    names: dict[str, str] = {}
    for name, parameter in _signature_of(function).parameters.items():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise SpecError(
                f"the tool {function.__name__} takes {parameter}, which a model cannot give by name",
                hint="give each parameter a name and a type",
            )
        if name.startswith("_"):
            raise SpecError(
                f"the tool {function.__name__} takes {name}, and no argument's name may begin with _",
                hint="rename the parameter",
            )
        annotated = parameter.annotation is not parameter.empty
        kind = parameter.annotation if annotated else Any  # Any: which a schema lets be anything
        _ensure_json(function, parameter, kind)
        default = ... if parameter.default is parameter.empty else parameter.default
        # A field of the parameter's own name could be one of pydantic's methods or settings, such as `json`.
        field = f"arg_{len(fields)}"
        fields[field] = (Annotated[kind, Field(alias=name)], default)
        names[field] = name
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields), names


def _signature_of(function: Function) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except Exception as error:  # Annotations are the user's own code.
        raise SpecError(
            f"what the tool {function.__name__} takes cannot be read: {type(error).__name__}: {error}",
            hint="its annotations have to name types that are there when its file is run",
        ) from error


def _ensure_json(
    function: Function, parameter: inspect.Parameter, kind: Any  # Any: an annotation
) -> None:  # fmt: skip
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        json.dumps(TypeAdapter(kind).json_schema(), allow_nan=False)
    except (PydanticUserError, NameError, TypeError, ValueError, AttributeError) as error:
        taken = parameter.replace(default=inspect.Parameter.empty)
        raise SpecError(
            f"the tool {function.__name__} takes {taken}, which JSON cannot name",
            hint="take text, numbers, lists, dictionaries, dataclasses or pydantic's models of these",
        ) from error


def _ensure_defaults(
    function: Callable[..., Any], model: Any, names: Mapping[str, str]  # Any: a class made by pydantic
) -> None:  # fmt: skip
    from pydantic_core import to_jsonable_python

    for field, name in names.items():
        default = model.model_fields[field].default
        # The schema has null for what is not finite within a list.
        said = to_jsonable_python(
            default, inf_nan_mode="constants", bytes_mode="base64", serialize_unknown=True
        )
        try:
            json.dumps(said, allow_nan=False)
        except ValueError as error:
            raise SpecError(
                f"the tool {function.__name__} takes {name}, whose default {default} JSON cannot name",
                hint="take None, or finite numbers, as its default",
            ) from error
