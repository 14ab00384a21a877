"""A package of others that is missing, or is there and broken, is told in one clear error with the command that mends it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from homeport import cli
from homeport.agents import brain
from homeport.errors import ExtraMissing
from homeport.extras import missing, unimportable

BROKEN = {
    "raises": ('raise RuntimeError("built for another numpy")', "RuntimeError: built for another numpy"),
    "lacks a name": ("from json import loafs", "ImportError: cannot import name 'loafs' from 'json'"),
    "is no Python": ("def (", "SyntaxError: "),
}


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package `askew` that is installed, and that cannot be imported."""
    (tmp_path / "askew").mkdir()
    (tmp_path / "askew" / "__init__.py").write_text("from askew import inner\n")
    (tmp_path / "askew" / "inner.py").write_text(BROKEN[request.param][0] + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    return BROKEN[request.param][1]


@pytest.mark.parametrize("broken", BROKEN, indirect=True)
def test_a_command_names_the_package_that_cannot_be_imported_and_how_it_is_installed_anew(
    broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(brain, "ensure_installed", lambda: import_module("askew"))
    assert cli.run(["agent", "run", "hello"]) == ExtraMissing.exit_code
    told = capsys.readouterr().err
    assert f"the package askew is installed here, and cannot be imported: {broken}" in told
    assert "--force-reinstall --no-deps askew" in told
    assert "mistake of homeport's" not in told


@pytest.mark.parametrize("broken", BROKEN, indirect=True)
def test_a_broken_package_is_not_told_as_one_that_is_not_installed(broken: str) -> None:
    try:
        import_module("askew")
    except Exception:  # noqa: BLE001 - a broken package raises whatever it likes
        error = missing("this needs askew", "agents")
    assert broken in str(error)
    assert "homeport[agents]" not in error.hint


def test_a_package_that_is_not_there_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(brain, "ensure_installed", lambda: import_module("nowhere_to_be_found"))
    assert cli.run(["agent", "run", "hello"]) == ExtraMissing.exit_code
    assert (
        "this needs the package nowhere_to_be_found, which is not installed here" in capsys.readouterr().err
    )


def test_an_extra_that_is_not_installed_is_told_with_the_command_for_this_python() -> None:
    error = missing("an agent needs mcp", "agents")
    assert str(error) == "an agent needs mcp, which is not installed here"
    assert error.hint.endswith("'homeport[agents]'")
    assert "pip install" in error.hint


@pytest.mark.parametrize("module", ["homeport.nowhere", "json.nowhere"])
def test_what_homeport_imports_wrongly_remains_its_own_mistake(module: str) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        import_module(module)
    assert unimportable(caught.value) is None


def test_an_error_within_a_package_that_was_imported_is_no_broken_package() -> None:
    with pytest.raises(TypeError) as caught:
        sys.modules["click"].echo(fg=1)
    assert unimportable(caught.value) is None
