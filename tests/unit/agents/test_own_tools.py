"""A file of the user's that tools are taken from: what it does as it is run is told and ends nothing, and what can be no tool is told by its name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homeport.agents.own import function_tool
from homeport.agents.tool import Tool, ToolFailed
from homeport.errors import SpecError
from homeport.json_types import Json, JsonObject


@pytest.mark.parametrize(
    ("does", "told"),
    [("sys.exit()", "SystemExit: "), ("sys.exit(0)", "SystemExit: 0"), ("1 / 0", "ZeroDivisionError: division by zero")],
)  # fmt: skip
def test_a_file_that_ends_or_raises_as_it_is_run_is_told_and_ends_nothing_else(
    does: str, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "tools.py"
    file.write_text(f"import sys\ndef mine() -> str:\n    return 'x'\n{does}\n")
    with pytest.raises(SpecError, match=f"tools.py cannot be run: {told}"):
        function_tool(f"{file}:mine")


def taken(tmp_path: Path, text: str) -> str:
    """The schema's parameters of the tool `k` in a file, or what is said of it."""
    file = tmp_path / "own.py"
    file.write_text(text)
    try:
        return ", ".join(function_tool(f"{file}:k").parameters["properties"])
    except SpecError as error:
        return str(error) if error.hint else "nothing to do is said"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class K: ...\ndef k(x: K): ...\n", "the tool k takes x: own.K, which JSON cannot name"),
        ("import typing\ndef k(x: typing.Callable[[], int] = print): ...\n", "which JSON cannot name"),
        ("def k(x: 3): ...\n", "the tool k takes x: 3, which JSON cannot name"),
        ("def k(x: 'Nobody'): ...\n", "NameError: name 'Nobody' is not defined"),
        ("def k(x: 'list[Nobody'): ...\n", "what the tool k takes cannot be read: SyntaxError"),
        ("def k(x: list['Nobody']): ...\n", "the tool k takes x: list['Nobody'], which JSON cannot name"),
        ("def k(_x: int): ...\n", "the tool k takes _x, and no argument's name may begin with _"),
        ("def k(*x): ...\n", "the tool k takes *x, which a model cannot give by name"),
        ("class K:\n    def __call__(self): ...\nk = K()\n", "has no function k"),
        ("k = max\n", "what the tool max takes cannot be read: ValueError"),
        ("k = 7\n", "has no function k"),
    ],
)  # fmt: skip
def test_what_a_model_cannot_give_is_told_by_its_name(tmp_path: Path, text: str, said: str) -> None:
    assert said in taken(tmp_path, text).replace("homeport_tool_", "")


def test_what_json_can_name_is_taken(tmp_path: Path) -> None:
    made = "import dataclasses, datetime\n@dataclasses.dataclass\nclass K:\n    size: int\n"
    assert taken(tmp_path, f"{made}def k(one: K, when: datetime.date, more: dict[str, K] = {{}}, any=1): ...\n") == "one, when, more, any"  # fmt: skip


async def called(tool: Tool, arguments: JsonObject) -> Json:
    return await tool.run(arguments)


@pytest.mark.parametrize(
    "name", ["model_dump", "model_config", "model_fields", "json", "copy", "schema", "validate", "arg_1", "self", "class_"]
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_a_parameter_may_have_any_name_and_gets_its_argument(name: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"def k({name}: str, arg_0: int = 3):\n    return [{name}, arg_0]\n")
    tool = function_tool(f"{file}:k")
    assert [*tool.parameters["properties"]] == [name, "arg_0"]
    assert tool.parameters["required"] == [name]
    assert asyncio.run(called(tool, {name: "given"})) == ["given", 3]
    with pytest.raises(ToolFailed, match=f"wrong arguments: {name}: "):
        asyncio.run(called(tool, {name: []}))


@pytest.mark.parametrize(
    ("taken_as", "told"),
    [
        ("x: float = float('nan')", "takes x, whose default nan JSON cannot name"),
        ("x: float = float('-inf')", "takes x, whose default -inf JSON cannot name"),
        ("x: list[float] = [float('nan')]", "takes x, whose default [nan] JSON cannot name"),
        ("x: float = pydantic.Field(float('nan'))", "takes x, whose default nan JSON cannot name"),
        ("x: typing.Annotated[float, pydantic.Field(examples=[float('nan')])]", "which JSON cannot name"),
    ],
)
def test_a_schema_is_json_or_what_is_none_is_told(taken_as: str, told: str, tmp_path: Path) -> None:
    assert told in taken(tmp_path, f"import typing\nimport pydantic\ndef k({taken_as}): ...\n")


def test_what_a_field_of_pydantic_says_of_a_parameter_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from pydantic import Field\ndef k(x: int = Field(3, description='how many')):\n    return x\n"
    )
    tool = function_tool(f"{file}:k")
    assert tool.parameters["properties"]["x"] == {
        "default": 3, "description": "how many", "title": "X", "type": "integer"
    }  # fmt: skip
    assert asyncio.run(called(tool, {})) == 3
