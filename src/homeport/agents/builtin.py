"""Three tools that are safe by construction: a clock, a calculator, and the files below one folder, to be read."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from homeport.agents.tool import Tool, ToolFailed, tool_of
from homeport.errors import SpecError, WeightsError
from homeport.names import within
from homeport.own_path import looking_at
from homeport.path_rules import followed

BUILTIN = ("time", "calculator", "files")
"""What `--tool` takes by name."""
_LARGEST_FILE = 256 * 1024
_MOST_FILES = 500
_LONGEST_SUM, _DEEPEST, _LARGEST_POWER = 400, 30, 1024
_Function = Callable[..., Any]  # Any: of an int or a float each
_BINARY: Mapping[type[ast.operator], _Function] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_UNARY: Mapping[type[ast.unaryop], _Function] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: Mapping[str, _Function] = {
    "abs": abs, "ceil": math.ceil, "cos": math.cos, "exp": math.exp, "floor": math.floor, "log": math.log,
    "max": max, "min": min, "round": round, "sin": math.sin, "sqrt": math.sqrt, "tan": math.tan,
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e}
_LARGEST = 10**300


def builtin(name: str, folder: Path) -> tuple[Tool, ...]:
    """Return the built-in tools of this name; files are those below `folder`. Raises `SpecError` for another name."""
    if name == "time":
        return (tool_of(current_time, changes=False),)
    if name == "calculator":
        return (tool_of(calculate, changes=False),)
    if name == "files":
        return files(folder)
    raise SpecError(f"there is no built-in tool {name!r}", hint=f"there are {', '.join(BUILTIN)}")


def current_time(timezone: str = "UTC") -> str:
    """Tell the current date and time in a time zone, such as UTC or Europe/Berlin."""
    try:
        zone: tzinfo = UTC if timezone.upper() == "UTC" else ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise ToolFailed(f"there is no time zone {timezone!r}") from error
    return datetime.now(zone).strftime("%A, %Y-%m-%d %H:%M:%S %Z")


def calculate(expression: str) -> str:
    """Calculate an expression of numbers, + - * / // % **, brackets, and functions such as sqrt, round, min, max."""
    if len(expression) > _LONGEST_SUM:
        raise ToolFailed(f"the expression has more than {_LONGEST_SUM} characters")
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body, 0)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ToolFailed(f"{expression!r} cannot be calculated: {error}") from error
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def files(folder: Path) -> tuple[Tool, ...]:
    """Return the tools that list and read the files below `folder`: no link out, no hidden name, nothing written."""
    with looking_at(folder):
        root = Path(followed(str(folder)))
    if not root.is_dir():
        raise SpecError(f"{folder} is no folder", hint="name the folder whose files may be read")

    def list_files() -> str:
        """List the files that can be read, one a line, with their sizes in bytes."""
        return listed(root)

    def read_file(path: str) -> str:
        """Read a text file, by its path as list_files tells it."""
        return text_of(root, path)

    return tool_of(list_files, changes=False), tool_of(read_file, changes=False)


def listed(folder: Path) -> str:
    """Return the files below `folder` that `text_of` reads, one a line, with their sizes in bytes; 500 at most."""
    root = folder.resolve()
    names: list[str] = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not _is_hidden(name) and path.is_file() and path.resolve().is_relative_to(root):
            names.append(f"{name} ({path.stat().st_size} bytes)")
        if len(names) == _MOST_FILES:
            names.append("… and more")
            break
    return "\n".join(names) or "there are no files"


def text_of(folder: Path, name: str) -> str:
    """Return the text of the file `name` below `folder`, cut after 256 KiB. Raises `ToolFailed` for any other."""
    root = folder.resolve()
    try:
        path = within(root, name.removeprefix("./"), where="the model")
    except WeightsError as error:
        raise ToolFailed(str(error)) from error
    if _is_hidden(path.relative_to(root).as_posix()):
        raise ToolFailed(f"{name!r} is hidden, and hidden files are not read")
    try:
        leads_to = Path(followed(str(path)))
    except OSError as error:
        raise ToolFailed(f"{name!r} cannot be looked at: {error.strerror or error}") from error
    if not leads_to.is_relative_to(root):
        raise ToolFailed(f"{name!r} is a link that leads out of the folder")
    if not path.is_file():
        raise ToolFailed(f"there is no file {name!r}; list_files tells which there are")
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if b"\0" in data:
        raise ToolFailed(f"{name!r} is binary, and no text")
    text = data[:_LARGEST_FILE].decode("utf-8", errors="replace")
    return f"{text}\n… (cut after {_LARGEST_FILE} bytes)" if len(data) > _LARGEST_FILE else text


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _value(node: ast.expr, depth: int) -> Any:  # Any: an int or a float
    """Return the number that a node comes to. Raises `ValueError` for anything that is not arithmetic."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        return _bounded(node.value)
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _bounded(_UNARY[type(node.op)](_value(node.operand, depth + 1)))
    if isinstance(node, ast.BinOp):
        return _bounded(_combined(node, _value(node.left, depth + 1), _value(node.right, depth + 1)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _FUNCTIONS.get(node.func.id)
        if function is not None:
            return _bounded(function(*(_value(argument, depth + 1) for argument in node.args)))
    raise ValueError(f"{ast.unparse(node)!r} is no arithmetic")


def _combined(node: ast.BinOp, left: Any, right: Any) -> Any:  # Any: as above
    if isinstance(node.op, ast.Pow):
        if abs(right) > _LARGEST_POWER or (abs(left) > 1 and abs(right) * math.log10(abs(left)) > 300):
            raise ValueError("the power is too large")
        return left**right
    if type(node.op) not in _BINARY:
        raise ValueError("only + - * / // % ** are calculated")
    return _BINARY[type(node.op)](left, right)


def _bounded(value: Any) -> Any:  # Any: as above
    if isinstance(value, complex) or not -_LARGEST <= value <= _LARGEST:
        raise ValueError("the number is too large, or none")
    return value
