"""The built-in tools: a clock, a calculator and files, and what they do not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeport.agents.builtin import builtin, calculate, current_time
from homeport.agents.tool import ToolFailed
from homeport.errors import SpecError
from homeport.sync import run


def call(folder: Path, name: str, **arguments: Any) -> Any:
    async def work() -> Any:
        return await {one.name: one for one in builtin("files", folder)}[name].run(arguments)

    return run(work())


@pytest.mark.parametrize(
    ("expression", "value"),
    [("1 + 2 * 3", "7"), ("2 ** 10", "1024"), ("-7 // 2", "-4"), ("sqrt(2.25)", "1.5"), ("0.1 + 0.2", "0.3"), ("max(1, 2)", "2")],
)  # fmt: skip
def test_arithmetic_is_calculated(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "(1).__class__", "9**9**9", "10**400", "2**-99999", "1/0", "'a'*10**9", "x", "1 if 1 else 2",
     "[1]*9", "(" * 50 + "1" + ")" * 50 + "+" * 200, "-" * 350 + "1", "1" * 500, "sqrt(-1)", "lambda: 1", "", "True"],
)  # fmt: skip
def test_what_is_no_arithmetic_or_too_much_of_it_is_refused(expression: str) -> None:
    with pytest.raises(ToolFailed):
        calculate(expression)


def test_the_clock_knows_time_zones_and_refuses_others() -> None:
    assert current_time().endswith("UTC")
    for name in ("../etc/passwd", "Nowhere/Land", "", "Europe"):
        with pytest.raises(ToolFailed, match="no time zone"):
            current_time(name)


def test_files_below_the_folder_are_listed_and_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "hosts.csv").write_text("alpha,1999\n")
    assert call(tmp_path, "list_files") == "a/hosts.csv (11 bytes)"
    assert call(tmp_path, "read_file", path="a/hosts.csv") == "alpha,1999\n"


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        ".env",
        "out/secret",
        "link",
        "binary",
        "none",
        "a\x00b",
        "circle",
        "circle/a",
    ],
)
def test_nothing_else_is_read(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / ".env").write_text("KEY=secret")
    (folder / "out").symlink_to(tmp_path)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "circle").symlink_to("circle")
    (folder / "binary").write_bytes(b"\x00\x01")
    with pytest.raises(ToolFailed):
        call(folder, "read_file", path=name)
    assert "secret" not in call(folder, "list_files")


def test_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no built-in tool"):
        builtin("shell", tmp_path)
