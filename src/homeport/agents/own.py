"""Tools of the user's own: functions of a Python file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from homeport.agents.tool import Tool, tool_of
from homeport.errors import SpecError


def function_tool(named: str) -> Tool:
    """
    Return the tool of `FILE.py:FUNCTION`. The file is run, as any program of the user's is.

    It asks before each call, unless the function has an attribute `changes` that is False. Raises `SpecError`.
    """
    file, _, name = named.rpartition(":")
    path = Path(file)
    hint = "say --tool FILE.py:FUNCTION"
    if not path.is_file():
        raise SpecError(f"there is no {path} to take the tool {name} from", hint=hint)
    spec = importlib.util.spec_from_file_location(f"homeport_tool_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SpecError(f"{path} is no Python file", hint=hint)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # `sys.exit` would end this program, and without a word.
        raise SpecError(f"{path} cannot be run: {type(error).__name__}: {error}", hint="run it with python to see where") from error  # fmt: skip
    function: Callable[..., object] | None = getattr(module, name, None)
    if not callable(function) or not hasattr(function, "__name__"):
        raise SpecError(f"{path} has no function {name}", hint=hint)
    return tool_of(function, changes=getattr(function, "changes", True) is not False)
