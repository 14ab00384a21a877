"""An endpoint is called like its folder, and belongs to the file that made it."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeport
from homeport import cli, naming, spec
from homeport.errors import NotManaged, SpecError
from places import TAUGHT
from user import User

pytestmark = pytest.mark.long

FILE = f'model = "file:{TAUGHT}"\n[engine]\ncontext = 256\n[local]\nport = 0\n'


def folder(user: User, name: str, text: str = FILE) -> Path:
    """A folder beside the user's, with a file."""
    made = user.folder.parent / name
    made.mkdir()
    (made / "homeport.toml").write_text(text)
    return made


def up(user: User, where: Path, *words: str) -> None:
    user.run("up", "--yes", "--no-verify", *words, cwd=where)


def running(user: User) -> dict[str, tuple[int, str]]:
    """Pid and file of what runs, by name."""
    found = user.run("status", "--json").json
    assert {one["state"] for one in found} <= {"ready"}
    return {one["name"]: (one["pid"], one["spec_file"]) for one in found}


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("support", "support"),
        ("My Models", "my-models"),
        ("Ärger & Freude", "arger-freude"),
        ("2026", "home-2026"),
        ("--x--", "x"),
        ("家", "home"),
        ("a" * 36 + "_b", "a" * 36),
        ("b" * 60, "b" * 37),
    ],
)
def test_a_folders_name_is_made_valid(called: str, name: str) -> None:
    assert naming.name_from_folder(Path("/somewhere") / called / "homeport.toml") == name


def test_the_root_has_a_name_too() -> None:
    assert naming.name_from_folder(Path("/homeport.toml")) == "home"


@given(called=st.text(min_size=1, max_size=80).filter(lambda text: "/" not in text and "\0" not in text))
def test_whatever_a_folder_is_called_its_name_is_valid(called: str) -> None:
    name = naming.name_from_folder(Path("/somewhere") / called / "homeport.toml")
    assert spec.parse({"name": name}).name == name


def test_init_writes_the_name_of_the_folder(user: User) -> None:
    named = user.folder.parent / "My Support"
    named.mkdir()
    user.run("init", cwd=named)
    assert tomllib.loads((named / "homeport.toml").read_text())["name"] == "my-support"


def test_a_name_that_is_too_long_is_told_with_the_limit_that_there_is() -> None:
    assert spec.parse({"name": "a" * 37}).name == "a" * 37
    with pytest.raises(SpecError, match="at most 37"):
        spec.parse({"name": "a" * 38})


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--on", "cloudrun"), ("up", "--on", "cloudrun", "--yes"), ("down", "--on", "cloudrun", "--yes"),
        ("status", "--on", "cloudrun"), ("env", "--on", "cloudrun"), ("verify", "--on", "cloudrun"),
        ("chat", "hi", "--on", "cloudrun"), ("logs", "--on", "cloudrun"), ("swap", "gemma-4-e2b", "--on", "cloudrun"),
        ("rollback", "--on", "cloudrun"),
        ("export", "knative"), ("proxy", "--port", "0"), ("rehearse", "plan"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_on_cloud_run_a_name_is_not_guessed(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "support"
    work.mkdir()
    (work / "homeport.toml").write_text('model = "gemma-4-e2b"\n[cloudrun]\nproject = "my-project"\n')
    monkeypatch.chdir(work)
    assert cli.run([*words]) == 10
    said = capsys.readouterr().err
    assert "gives the endpoint no name" in said
    assert 'name = "support"' in said


def test_two_folders_without_a_name_have_an_endpoint_each(user: User) -> None:
    first, second = folder(user, "first"), folder(user, "second")
    up(user, first)
    up(user, second)
    assert {name: file for name, (_, file) in running(user).items()} == {
        "first": str(first / "homeport.toml"),
        "second": str(second / "homeport.toml"),
    }
    assert "removed process of first" in user.run("down", "--yes", cwd=first).out
    assert set(running(user)) == {"second"}


def test_another_files_endpoint_is_neither_changed_nor_used_nor_ended(user: User) -> None:
    mine = folder(user, "mine", 'name = "home"\n' + FILE)
    other = folder(user, "other", 'name = "home"\n' + FILE.replace("256", "512"))
    up(user, mine)
    before = running(user)
    planned = user.run("plan", cwd=other).out
    assert f"in the way: home belongs to {mine / 'homeport.toml'}" in planned
    assert "--take-over" in planned
    for words in (("up", "--yes"), ("env",), ("chat", "hi"), ("verify",), ("logs",), ("down", "--yes")):
        refused = user.run(*words, cwd=other, code=25)
        assert (
            f"home belongs to {mine / 'homeport.toml'}, and not to {other / 'homeport.toml'}" in refused.err
        )
        assert "--take-over" in refused.err
        assert refused.out == ""
    assert running(user) == before
    assert "OPENAI_BASE_URL" in user.run("env", "home", cwd=other).out, "an explicit name is one"
    assert user.run("chat", "hi", "--name", "home", cwd=other).out
    assert (
        f"takes home over from {mine / 'homeport.toml'}"
        in user.run("up", "--yes", "--no-verify", "--take-over", cwd=other).err
    )
    assert running(user)["home"][1] == str(other / "homeport.toml")
    assert "homeport env home" in user.run("env", cwd=mine, code=25).err
    assert "removed process of home" in user.run("down", "--yes", cwd=other).out


def test_a_folder_that_was_moved_keeps_its_endpoint_if_its_file_is_as_it_was(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = folder(user, "old", 'name = "support"\n' + FILE)
    up(user, old)
    pid, _ = running(user)["support"]
    new = user.folder.parent / "new"
    old.rename(new)
    assert "OPENAI_BASE_URL" in user.run("env", cwd=new).out
    changed = user.folder.parent / "changed"
    shutil.copytree(new, changed)
    (changed / "homeport.toml").write_text('name = "support"\n' + FILE.replace("256", "512"))
    refused = user.run("up", "--yes", cwd=changed, code=25).err
    assert f"belongs to {old / 'homeport.toml'}, which is gone" in refused
    up(user, new)
    assert running(user) == {"support": (pid, str(new / "homeport.toml"))}, "it was not started again"
    link = user.folder.parent / "link"
    link.symlink_to(new)
    assert "nothing to do" in user.run("up", "--yes", "--no-verify", "-f", str(link / "homeport.toml")).err
    monkeypatch.chdir(changed)
    with pytest.raises(NotManaged):
        homeport.up(spec.load(changed / "homeport.toml"))
    assert homeport.plan(spec.Spec(model=f"file:{TAUGHT}")).name == "changed"


def test_what_an_earlier_version_started_for_a_file_without_a_name_keeps_its_name(user: User) -> None:
    where = folder(user, "where", 'name = "home"\n' + FILE)
    up(user, where)
    path = user.home / "endpoints" / "home" / "record.json"
    told = json.loads(path.read_text())
    later = ("start_ticks", "key", "supervisor")
    path.write_text(
        json.dumps({key: value for key, value in told.items() if key not in later} | {"version": 1})
    )
    (where / "homeport.toml").write_text(FILE)
    user.run("up", "--yes", "--no-verify", cwd=where)  # It gets a supervisor, and serves on.
    assert running(user) == {"home": (told["pid"], str(where / "homeport.toml"))}
    user.run("down", "--yes", cwd=where)
    assert user.run("plan", "--json", cwd=where).json["name"] == "where"
