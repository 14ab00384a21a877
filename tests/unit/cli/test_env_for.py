"""`homeport env --for` prints what a shell may evaluate and a file may take as it is; a file is written when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.cli.context import CliContext
from homeport.cli.env import _tell_client
from homeport.clients import CLIENTS, SHELLS
from homeport.errors import StateError
from typist import Typist

_KEY = "hp-1234"
_VARIABLES = {
    "OPENAI_BASE_URL": "http://127.0.0.1:8383/v1",
    "OPENAI_API_KEY": _KEY,
    "OPENAI_MODEL": "gemma-4-e2b",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def tell(client: str, *, write: bool = False) -> None:
    terminal = CliContext(debug=False, quiet=False).terminal(json_output=False)
    _tell_client(terminal, {"client": client, "shell": "bash", "write": write}, _VARIABLES)


@pytest.mark.parametrize("client", sorted(set(CLIENTS) - {"dotenv"}))
def test_all_that_is_printed_is_for_a_shell_and_the_rest_is_said_beside(
    client: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(client)
    printed, said = capsys.readouterr()
    assert bool(printed) is (client != "continue"), "Continue reads a file, and no variable"
    assert all(line.startswith("export ") for line in printed.splitlines())
    assert said
    assert _KEY not in said


def test_what_is_printed_for_dotenv_is_what_its_file_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell("dotenv")
    printed, said = capsys.readouterr()
    assert f"OPENAI_API_KEY={_KEY}" in printed.splitlines()
    assert "…" not in printed + said
    assert str(tmp_path / ".env") in said
    assert "chmod 600 .env" in said, "what a shell appends to is made as its umask has it"
    tell("dotenv", write=True)
    assert (tmp_path / ".env").read_text() == printed
    assert "chmod" not in capsys.readouterr().err, "what --write writes is private"
    with pytest.raises(StateError, match="is there already, and is not written over"):
        tell("dotenv", write=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_lines_of_a_file_are_in_the_words_of_no_shell(shell: str, typist: Typist) -> None:
    refused = typist.run("env", "--for", "dotenv", "--shell", shell, code=64)
    assert not refused.out
    assert (
        "--for dotenv prints the lines of a file, and --shell the words of a shell: not both." in refused.err
    )


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    for client in CLIENTS:
        tell(client)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    for client in ("llm", "continue", "dotenv"):
        tell(client, write=True)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in written} == {"extra-openai-models.yaml", "config.yaml", ".env"}
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
