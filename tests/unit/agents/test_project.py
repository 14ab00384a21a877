"""`homeport agent init`: a whole project or nothing, and what it says is so."""

from __future__ import annotations

import ast
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from homeport import catalog
from homeport.agents.project import FRAMEWORKS, write_project
from homeport.errors import SpecError


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_file_is_there_and_every_program_can_be_read(framework: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    names = write_project(folder, framework=framework, mcp=["http://127.0.0.1:9/mcp"], endpoint="home")
    assert {"agent.py", "tools.py", "test_agent.py", "requirements.txt", "README.md"} <= set(names)
    assert sorted(names) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    for path in folder.glob("*.py"):
        ast.parse(path.read_text())
    assert "ENDPOINT, ON = 'home', 'local'" in (folder / "agent.py").read_text()
    assert "MCP = ['http://127.0.0.1:9/mcp']" in (folder / "tools.py").read_text()
    assert ",mcp]" in (folder / "requirements.txt").read_text()


def test_the_model_is_shown_the_tools_that_were_asked_for(tmp_path: Path) -> None:
    write_project(tmp_path / "mine", framework="pydantic-ai", tools=["files", "time", "files"])
    assert "TOOLS = [list_files, read_file, current_time]" in (tmp_path / "mine" / "tools.py").read_text()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "agent.py").write_text("of somebody")
    with pytest.raises(SpecError, match="is there, and not empty"):
        write_project(tmp_path / "mine", framework="adk")
    assert (tmp_path / "mine" / "agent.py").read_text() == "of somebody"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["agent.py"]
    assert not list(tmp_path.glob(".mine-*"))


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_project(tmp_path / "mine", framework="adk")
    assert (tmp_path / "mine" / "agent.py").is_file()


@pytest.mark.parametrize("address", ["stdio server", "ftp://example.com", "http://", 'http://x"\nimport os'])
def test_an_address_that_is_none_is_refused_or_harmless(address: str, tmp_path: Path) -> None:
    try:
        write_project(tmp_path / "mine", framework="adk", mcp=[address])
    except SpecError:
        assert not (tmp_path / "mine").exists()
        return
    ast.parse((tmp_path / "mine" / "tools.py").read_text())
    assert "\nimport os" not in (tmp_path / "mine" / "tools.py").read_text()


def test_a_tool_that_is_not_built_in_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no built-in tool 'shell'"):
        write_project(tmp_path / "mine", framework="adk", tools=["shell"])


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            '{"url": "file:///home/me/homeport", "dir_info": {}}',
            "homeport[agents,local] @ file:///home/me/homeport\n",
        ),
        (
            '{"url": "https://example.com/homeport", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "homeport[agents,local] @ git+https://example.com/homeport@abc\n",
        ),
        (None, "# homeport[agents,local] @ ADDRESS"),
        ("no JSON", "# homeport[agents,local] @ ADDRESS"),
    ],
)
def test_no_stranger_can_take_homeports_name_in_an_index(
    told: str | None, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PathDistribution, "read_text", lambda self, name: told)
    write_project(tmp_path / "mine", framework="pydantic-ai")
    wanted = (tmp_path / "mine" / "requirements.txt").read_text()
    assert wanted.startswith(line)
    assert "pydantic-ai-slim[openai]" in wanted


@pytest.mark.parametrize(
    ("endpoint", "commands"),
    [
        (None, "homeport init --on cloudrun --model gemma-4-e2b\nhomeport up --on cloudrun\n"),
        ("home", "homeport status home --on cloudrun\n"),
    ],
)
def test_the_readme_serves_a_model_that_was_trained_to_call_tools(
    endpoint: str | None, commands: str, tmp_path: Path
) -> None:
    write_project(tmp_path / "mine", framework="adk", endpoint=endpoint, on="cloudrun")
    assert commands in (tmp_path / "mine" / "README.md").read_text()
    known = catalog.find("gemma-4-e2b")
    assert known is not None
    assert known.tool_parser
