"""What a conversation with the agent goes on after, and what a script's ends with."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from homeport import cli
from homeport.agents.transcript import read
from homeport.cli import session
from homeport.terminal import Terminal
from tool_script import ToolScript


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Typed(io.TextIOWrapper):
    """Questions, for each of which an engine refuses everything with a status, or answers at 0."""

    def __init__(self, engine: ToolScript, *statuses: int) -> None:
        super().__init__(io.BytesIO(b"question\n" * len(statuses)))
        self._engine = engine
        self._statuses = [*statuses]

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override] # its two parents disagree
        if self._statuses:
            self._engine.refuses = self._statuses.pop(0)
        return super().readline(size)


def chatted(monkeypatch: pytest.MonkeyPatch, *statuses: int) -> tuple[int, list[str]]:
    """The exit code of `homeport agent chat`, and how each question ended."""
    with ToolScript("Hello.") as engine, monkeypatch.context() as patched:
        patched.setattr(session, "agents_endpoint", lambda *_, **__: engine.endpoint)
        patched.setattr(sys, "stdin", Typed(engine, *statuses))
        code = cli.run(["agent", "chat", "--no-tools", "--transcript", "t"])
    lines = Path("t").read_text().splitlines()
    assert read(Path("t"))
    return code, [line.split('"outcome": "')[1].split('"')[0] for line in lines if '"outcome": "' in line]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_after_what_other_words_mend_it_goes_on_and_a_script_is_told_all_the_same(
    status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chatted(monkeypatch, status, 0) == (22, ["failed", "answered"])
    told = capsys.readouterr()
    assert told.out == "Hello.\n"
    assert told.err.count(f"the endpoint refused ({status})") == 1


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_what_no_words_mend_ends_a_scripts_conversation(
    status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chatted(monkeypatch, status, 0) == (22, ["failed"])
    assert capsys.readouterr().err.count(f"the endpoint refused ({status})") == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_person_keeps_the_conversation_over_what_a_while_mends(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terminal, "interactive", True)
    assert chatted(monkeypatch, status, 0) == (0, ["failed", "answered"])


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_nothing_mends_ends_a_persons_conversation_too(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terminal, "interactive", True)
    assert chatted(monkeypatch, status, 0) == (22, ["failed"])


def test_a_person_who_has_read_an_error_ends_it_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "interactive", True)
    assert chatted(monkeypatch, 400, 0) == (0, ["failed", "answered"])


def test_a_conversation_without_an_error_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chatted(monkeypatch, 0, 0) == (0, ["answered", "answered"])


def test_an_answer_that_was_cut_off_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        ToolScript, "_called", lambda *_, **__: ({"role": "assistant", "content": "Hel"}, "length")
    )
    assert chatted(monkeypatch, 0) == (0, ["answered"])
    told = capsys.readouterr()
    assert told.out == "Hel\n"
    assert "the answer is cut after 8 tokens" in told.err
