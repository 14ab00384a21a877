"""A typing mistake is told as one, with what was meant, and never passes for success."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from homeport import cli
from homeport.cli import session
from homeport.cli.chat import _named
from homeport.cli.context import rehearsed
from homeport.cli.rehearse_background import find, ports
from homeport.errors import SpecError
from homeport.spec import CloudRun
from homeport.weights.sources.registry import kind_of
from schemas import ensure_valid


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ps", "`homeport status`"), ("ls", "`homeport list`"), ("run", "`homeport up`"),
        ("pull", "`homeport weights fetch`"), ("serve", "`homeport up`"), ("stop", "`homeport down`"),
        ("deploy", "`homeport up --on cloudrun`"), ("version", "`homeport --version`"), ("help", "`homeport --help`"),
        ("login", "no login of its own"), ("statsu", "'status'"), ("restart", "`homeport up`"),
        ("generate", "`homeport chat`"), ("config", "`homeport init`"), ("upgrade", "docs/installing.md"),
        ("scale", "engine.parallel"), ("exec", "`homeport logs`"), ("auth", "no login of its own"), ("Benchmark", "`homeport bench`"),
    ],
)  # fmt: skip
def test_the_words_of_other_tools_lead_to_homeports(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([word]) == 64
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("down", "nosuch"), 20, "no endpoint called nosuch runs here"),
        (("weights", "remove", "nosuch"), 20, "no weights called nosuch are here"),
        (("verify", "--only", "nosuch"), 64, "there is no check called nosuch"),
        (("down", "-f", "nowhere/homeport.toml"), 10, "there is no folder nowhere"),
        (("key", "nosuch"), 20, "no endpoint called nosuch"),
        (("bench", "nosuch", "--users", "2"), 20, "no endpoint called nosuch"),
        (("bench", "--name", "own", "nosuch"), 64, "No such command 'nosuch'"),
        (("usage", "nosuch"), 20, "nothing is known of an endpoint called nosuch"),
        (("plan", "-f", "."), 10, ". is a folder, and a file was expected"),
        (("fit", "--gpu", "l4"), 10, "did you mean nvidia-l4?"),
        (("fit", "--context", "32q"), 64, "such as 32768 or 32k"),
        (("fit", "Qwen/Qwen3-0.6B"), 11, "did you mean hf:Qwen/Qwen3-0.6B?"),
        (("fit", "https://huggingface.co/Qwen/Qwen3-0.6B"), 10, "did you mean hf:Qwen/Qwen3-0.6B?"),
        (
            ("fit", "https://hf.co/o/n/resolve/main/m-Q8_0.gguf?download=true"),
            10,
            "did you mean hf:o/n:m-Q8_0.gguf?",
        ),
        (("fit", "https://huggingface.co/o/n/tree/v2"), 10, "did you mean hf:o/n@v2?"),
        (("fit", "huggingface.co/o/n"), 11, "did you mean hf:o/n?"),
        (("fit", "HF:o/n:Q8_0"), 11, "did you mean hf:o/n:Q8_0?"),
        (("fit", "hf://o/n"), 10, "did you mean hf:o/n?"),
        (("fit", "hf:o/n "), 10, "did you mean hf:o/n?"),
        (("fit", "\u201chf:o/n\u201d"), 11, "did you mean hf:o/n?"),
        (("fit", r"C:\models\m.gguf"), 10, "in WSL it is /mnt/c/models/m.gguf"),
        (("fit", "file:D:/m.gguf"), 10, "in WSL it is /mnt/d/m.gguf"),
        (("fit", r"\\server\share\m.gguf"), 10, "is a path of Windows"),
        (("fit", "$HOME/m.gguf"), 10, "has a variable, which only a shell replaces"),
        (("fit", "file://m.gguf"), 10, "such as file:m.gguf"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_not_called_done(
    command: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command[0] in {"verify", "fit"}:
        Path("homeport.toml").write_text('name = "own"\n')
    assert cli.run([*command]) == code
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "command", [("status",), ("down", "--yes"), ("logs",), ("chat", "hello"), ("env",), ("verify",)]
)
def test_endpoints_that_nobody_looked_for_are_not_called_none(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*command, "--on", "cloudrun"]) == 10
    told = " ".join(capsys.readouterr().err.split())
    assert "there is no homeport.toml, and no NAME was given" in told
    assert "`homeport list --on cloudrun` shows what there is" in told


@pytest.mark.parametrize("on", ["local", "cloudrun"])
def test_a_check_that_there_is_not_is_told_whatever_runs(on: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--only", "chatt"], ["nobody", "--only", "chat", "--only", "chatt"]):
        assert cli.run(["verify", "--on", on, *words]) == 64
        assert "did you mean chat?" in capsys.readouterr().err
    assert cli.run(["verify", "--only", "chat"]) == 20
    assert cli.run(["verify", "--on", "local", "--only", "no-token"]) == 64


def test_the_endpoint_of_the_file_here_need_not_run_to_be_taken_down(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("homeport.toml").write_text('name = "own"\n')
    assert cli.run(["down", "own", "--yes"]) == 0
    assert cli.run(["down", "--yes"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "model", "said"),
    [
        ('model = "file:./a.gguf" # mine\n', "", "error: '' names no model do: "),
        ('"model" = "file:./a.gguf"\n', "file:./b.gguf", 'set them by hand: model = "file:./b.gguf"'),
    ],
)
@pytest.mark.parametrize("on", ["local", "cloudrun"])
def test_a_swap_whose_file_would_be_none_any_more_is_refused_before_anything_is_done(
    text: str, model: str, said: str, on: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    monkeypatch.setattr(session, "with_file", lambda *_, **__: pytest.fail("the deployment was opened"))
    Path("homeport.toml").write_text(text)
    assert cli.run(["swap", model, "--on", on, "--yes"]) == 10
    assert said in " ".join(capsys.readouterr().err.split())
    assert Path("homeport.toml").read_text() == text


def test_homeports_own_options_may_stand_behind_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.run(["plan", "-f", "no.toml", "--debug"]) == 10
    assert "Traceback" in capsys.readouterr().err


def test_a_chat_is_with_a_name_and_about_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "home" / "endpoints" / "support").mkdir(parents=True)
    assert _named((), None, "local") == (None, None)
    assert _named(("support",), None, "local") == ("support", None)
    assert _named(("hello",), None, "local") == (None, "hello")
    assert _named(("support", "hello"), None, "local") == ("support", "hello")
    assert _named(("hello",), "support", "local") == ("support", "hello")
    assert cli.run(["chat", "how", "are", "you"]) == 64


def test_hints_of_a_rehearsal_name_its_commands() -> None:
    hint = "`homeport up` starts one; next: homeport chat · homeport env · the homeport list"
    assert rehearsed(hint) == (
        "`homeport rehearse up` starts one; next: homeport rehearse chat · homeport env · the homeport rehearse list"
    )


def test_rehearsals_on_two_ports_are_two(tmp_path: Path) -> None:
    (tmp_path / "rehearsal-8600.json").write_text("{}")
    (tmp_path / "rehearsal-8700.json").write_text("{}")
    assert ports(tmp_path) == [8600, 8700]
    assert find(tmp_path, 8600) is None


def test_a_gpu_is_suggested_by_a_part_of_its_name() -> None:
    with pytest.raises(ValueError, match="did you mean nvidia-rtx-pro-6000"):
        CloudRun(gpu="RTX_PRO_6000")
    with pytest.raises(SpecError):
        kind_of("s3://bucket/x")


def test_every_word_of_other_tools_leads_to_a_command_that_there_is() -> None:
    for word, meant in cli.ELSEWHERE.items():
        first = meant.split()[0]
        assert first in cli.COMMANDS or first in {"--version", "--help"}, word
        assert word not in cli.COMMANDS
    assert not set(cli.SENTENCES) & (set(cli.ELSEWHERE) | set(cli.COMMANDS))


def test_a_piped_chat_says_nothing_but_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from homeport.cli import chat, session

    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\n"))
    monkeypatch.setattr(session, "with_endpoint", lambda *_: None)

    async def answer(*_: object) -> dict[str, str]:
        print("Hi.")
        return {}

    monkeypatch.setattr(chat, "_answer", answer)
    assert cli.run(["chat"]) == 0
    assert capsys.readouterr() == ("Hi.\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "list"], "no bench is kept here; `homeport bench` makes one"),
        (["weights"], "no weights here yet"),
        (["top", "--once"], "no endpoint runs; `homeport up` starts one"),
    ],
)
def test_where_there_is_nothing_to_list_it_is_said_and_nothing_is_printed(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(words) == 0
    shown = capsys.readouterr()
    assert (shown.out, said in shown.err) == ("", True)
    assert cli.run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_of_a_log_the_last_200_lines_are_shown_unless_others_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "home" / "endpoints" / "own"
    folder.mkdir(parents=True)
    lines = [f"line {number}" for number in range(450)]
    (folder / "engine.log").write_text("\n".join(lines) + "\n")
    for more, shown in (
        ((), lines[-200:]),
        (("-n", "3"), lines[-3:]),
        (("--lines", "0"), []),
        (("--all",), lines),
    ):
        assert cli.run(["logs", "own", *more]) == 0
        assert capsys.readouterr().out.splitlines() == shown
        assert cli.run(["logs", "own", "--json", *more]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told == {"lines": shown}
        ensure_valid("logs", told)
    assert cli.run(["logs", "own", "--json", "--follow"]) == 64
    assert "not both" in capsys.readouterr().err
    Path("homeport.toml").write_text('name = "own"\n')
    assert cli.run(["logs"]) == 0
    assert capsys.readouterr().out.splitlines() == lines[-200:]


def test_windows_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 64
    assert "on Windows it runs in WSL" in capsys.readouterr().err
