"""Nothing is ended that was not meant: an explicit file must be there, and `down` shows what goes and asks."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import psutil
import pytest

from homeport import cli
from places import TAUGHT
from user import HOMEPORT, User

COMMANDS = (
    ("up",), ("plan",), ("down",), ("down", "home"), ("status",), ("logs",), ("env",), ("chat", "hi"), ("verify",),
    ("proxy",), ("swap", "gemma-4-e2b"), ("rollback",), ("export", "knative"), ("fit",), ("cost",),
    ("rehearse", "down"), ("rehearse", "up"), ("down", "--on", "cloudrun"), ("env", "--on", "cloudrun"),
)  # fmt: skip


@pytest.fixture
def served(user: User) -> User:
    """A user whose tiny model runs."""
    user.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 256\n[local]\nport = 0\n')
    user.run("up", "--yes", "--no-verify")
    return user


def engine(user: User) -> psutil.Process:
    return psutil.Process(user.run("status", "--json").json[0]["pid"])


def pids(shown: str) -> list[str]:
    """Those of the engine and its supervisor, as the teardown shows them."""
    found = re.search(r"- process/home: pid ([\d ]+)", shown)
    assert found, shown
    return found[1].split()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_file_that_was_named_must_be_there(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("homeport.toml").write_text('name = "home"\n')
    flag = "--file" if command[0] == "logs" else "-f"
    assert cli.run([*command, flag, "typo.toml"]) == 10
    assert "there is no typo.toml" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "homeport.toml"]


def test_init_writes_the_file_that_was_named(user: User) -> None:
    user.run("init", "-f", "new.toml")
    assert (user.folder / "new.toml").exists()


def test_down_ends_nothing_without_a_yes_where_nobody_can_be_asked(served: User, tmp_path: Path) -> None:
    process, elsewhere = engine(served), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder, words in (
        (elsewhere, ()),
        (served.folder, ()),
        (elsewhere, ("home",)),
        (elsewhere, ("--purge",)),
    ):
        refused = served.run("down", *words, cwd=folder, code=23)
        assert str(process.pid) in pids(refused.err)
        assert str(served.folder / "homeport.toml") in refused.err, "whose it is"
        assert "--yes" in refused.err
        assert refused.out == ""
    assert process.is_running()
    served.run("down", "-f", "typo.toml", "--yes", cwd=elsewhere, code=10)
    assert process.is_running()
    assert "removed process of home" in served.run("down", "--yes", cwd=elsewhere).out
    assert "nothing to remove" in served.run("down", "home", cwd=elsewhere).out, "there is nothing to ask"


def test_down_asks_whoever_is_there(served: User) -> None:
    process = engine(served)
    for answer in ("\n", "n\n", "\x04"):
        assert answered(served, process, answer) == 23
        assert process.is_running(), repr(answer)
    assert answered(served, process, "y\n") == 0
    assert not process.is_running()


def answered(user: User, process: psutil.Process, answer: str) -> int:
    """How `down` ends that is answered so, once it has shown whom it would end and asked."""
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [*HOMEPORT, "down"],
        cwd=user.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1000)
    assert str(process.pid) in pids(shown.decode())
    os.write(ours, answer.encode())
    code = asked.wait(120)
    os.close(ours)
    return code
