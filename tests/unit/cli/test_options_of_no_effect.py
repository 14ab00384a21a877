"""An option of an agent that would be of no effect is refused, and so is a number that is none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from homeport.agents.transcript import VERSION, Transcript
from source_tree import MODULES, name, tree
from typist import Typist


@pytest.fixture
def typing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typist:
    monkeypatch.setenv("HOMEPORT_HOME", str(tmp_path / "home"))
    folder = tmp_path / "folder"
    typist = Typist(folder)
    with Transcript(folder / "t.jsonl") as transcript:
        transcript.add("run", version=VERSION, question="Hello?")
    return typist


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run --replay t.jsonl --max-steps 12", "--replay asks no engine and runs no tool, so there is nothing for --max-steps"),
        ("run --replay t.jsonl --tool nosuch", "nothing for --tool"),
        ("run --replay t.jsonl --on local", "nothing for --on"),
        ("run --replay t.jsonl --anyway", "nothing for --anyway"),
        ("eval --check --transcript zz.jsonl", "--check asks no endpoint, so there is nothing for --transcript"),
        ("eval --check --name nosuch", "nothing for --name"),
        ("eval --check --max-tokens 1024", "nothing for --max-tokens"),
        ("eval --check --at-least 5", "nothing for --at-least"),
        ("eval --engine vllm", "--engine is that of the price: say --tokens-per-second, too"),
        ("run Hello --max-seconds nan", "'nan' is no finite number"),
        ("run Hello --tool-seconds inf", "'inf' is no finite number"),
        ("serve --max-usd nan", "'nan' is no finite number"),
        ("chat --temperature nan", "'nan' is no finite number"),
    ],
)  # fmt: skip
def test_it_is_refused_by_its_name(typing: Typist, words: str, told: str) -> None:
    assert told in " ".join(typing.run("agent", *words.split(), code=64).err.split())


def test_tools_that_exclude_each_other_are_refused(typing: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    from homeport.cli import session
    from tool_script import ToolScript

    with ToolScript("Hello.") as engine:
        monkeypatch.setattr(session, "agents_endpoint", lambda *_, **__: engine.endpoint)
        for words, told in (
            (("--no-tools", "--tool", "time"), "--no-tools leaves nothing for --tool"),
            (("--tool", "time", "--folder", "."), "--folder is where the tool files reads"),
            (("--no-tools", "--folder", "."), "--folder is where the tool files reads"),
        ):
            assert told in typing.run("agent", "run", "Hello?", *words, code=64).err
        typing.run("agent", "run", "Hello?", "--tool", "files", "--folder", ".")
        assert not engine.requests[1:]


def test_every_number_of_the_command_line_is_of_the_type_that_refuses_what_is_none() -> None:
    broken = [
        f"{name(path)}:{node.lineno}"
        for path in MODULES
        if name(path).startswith("homeport.cli.") and name(path) != "homeport.cli.context"
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in {"FloatRange", "FLOAT"})
        or (isinstance(node, ast.keyword) and node.arg == "type" and getattr(node.value, "id", "") == "float")
    ]
    assert not broken


def test_an_evaluation_writes_into_no_file_of_another_kind(
    typing: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    from homeport.cli import session
    from tool_script import ToolScript

    (typing.folder / "mine.against.md").write_text("mine")
    with ToolScript("Hello.") as engine:
        monkeypatch.setattr(session, "agents_endpoint", lambda *_, **__: engine.endpoint)
        ran = typing.run("agent", "eval", "--against", "other", "--transcript", "mine.md", code=10)
        assert not engine.requests
    assert "mine.against.md is there, and is no transcript" in ran.err
    assert (typing.folder / "mine.against.md").read_text() == "mine"
    assert not (typing.folder / "mine.md").exists()
