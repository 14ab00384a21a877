"""A path that no disk has, that its owner keeps closed, or of a home that is not here ends in one clear error, wherever it is written."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeport import cli
from homeport.errors import NotRunning, SpecError, StateError
from homeport.home import ensure_file_writable, ensure_folder_writable, writing
from homeport.own_path import expanded, is_there, looking_at
from homeport.secret import resolve
from homeport.spec import load
from homeport.targets.cloudrun.edge.names import read_pem
from places import TAUGHT, TAUGHT_FOLDER

LONG, DEEP, CLOSED = "n" * 300, "d/" * 2500 + "x", "closed/x"
STRANGER, NUL = "~nobodyxx/x", "a\x00b"
TEXTS = {
    "long": LONG, "deep": DEEP, "closed": CLOSED, "a stranger's": STRANGER, "below a file": "homeport.toml/x",
    "a circle": "circle", "below a circle": "circle/x",
}  # fmt: skip
COMMANDS = (
    ("fit", "{}"), ("fit", "{}.gguf"), ("fit", "file:{}"), ("plan", "-f", "{}"), ("status", "-f", "{}"),
    ("init", "-f", "{}"), ("agent", "init", "{}"), ("guard", "try", "x", "-f", "{}"), ("usage", "--file", "{}"),
    ("cost", "--prices", "{}"), ("capacity", "--trace", "{}"), ("weights", "fetch", "{}.gguf"),
    ("export", "terraform", "-f", "served.toml", "-o", "{}"),
)  # fmt: skip
PLACES = {
    "model": "model = {}\n",
    "weights": "weights = {}\n",
    "chat_template": "[engine]\nchat_template = {}\n",
    "projector": "[engine]\nprojector = {}\n",
    "lora": '[[engine.lora]]\nname = "a"\nsource = {}\n',
    "api_key": "[local]\napi_key = {}\n",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with a file, a circle of links, and a folder that only its owner may open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_HOME", str(tmp_path / "home"))
    Path("homeport.toml").write_text('name = "own"\n')
    Path("served.toml").write_text(
        f'name = "served"\nmodel = "file:{TAUGHT_FOLDER}"\n[cloudrun]\nproject = "p-12345"\nregion = "europe-west1"\n'
    )
    Path("circle").symlink_to("circle")
    for module, name in (*((os, name) for name in _ASKS), (io, "open"), (builtins, "open")):
        monkeypatch.setattr(module, name, _closed(getattr(module, name)))


_ASKS = ("stat", "lstat", "open", "scandir", "listdir", "mkdir", "rename", "replace", "unlink")


def _closed(asks: Callable[..., Any]) -> Callable[..., Any]:
    """Return what asks the disk as `asks` does, and is refused below a folder called closed: the tests may run as root, whom no mode stops."""

    def asked(path: Any = ".", *more: Any, **how: Any) -> Any:
        if isinstance(path, str | os.PathLike) and "closed" in Path(os.fspath(path)).parts:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return asks(path, *more, **how)

    return asked


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_command_takes_a_path_that_is_none_for_a_mistake_of_homeports(
    text: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run([part.format(text) for part in command])
    told = capsys.readouterr().err
    if command[0] in {"agent", "export"} and text == STRANGER:
        assert code == 0  # A shell has replaced `~` before; here it is a folder of that name.
        return
    assert code not in {0, 1}, told
    assert "error: " in told
    assert "mistake of homeport's" not in told
    assert "HOMEPORT_HOME" not in told  # Homeport's own folder is as it should be.


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("text", [CLOSED, "closed/x/y"])
@pytest.mark.parametrize("python", ["this Python", "Python 3.14"])
def test_a_folder_that_is_closed_is_told_as_that_and_not_as_one_that_is_not_there(
    python: str,
    text: str,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if python == "Python 3.14":
        for name, looks in {
            "exists": os.path.exists,
            "is_dir": os.path.isdir,
            "is_file": os.path.isfile,
        }.items():
            monkeypatch.setattr(Path, name, lambda path, looks=looks: looks(path))
    assert cli.run([part.format(text) for part in command]) not in {0, 1}
    told = capsys.readouterr().err
    assert "Permission denied" in told, told
    assert "error: there is no" not in told


@pytest.mark.parametrize(
    ("text", "do"),
    [
        (LONG, "no disk has such a name"), ("homeport.toml/x", "a file lies where a folder was expected"),
        ("circle", "its links lead in a circle"), ("circle/x", "its links lead in a circle"),
        (CLOSED, "name a path that you may"),
    ],
)  # fmt: skip
def test_what_to_do_about_a_folder_that_cannot_be_written_is_about_that_folder(
    text: str, do: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["export", "terraform", "-f", "served.toml", "-o", text]) not in {0, 1}
    told = capsys.readouterr().err
    assert do in told.partition("   do: ")[2], told


def test_where_homeports_own_folder_cannot_be_written_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StateError) as told, writing(tmp_path / "home" / "x"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert told.value.hint.startswith("set HOMEPORT_HOME to")
    with pytest.raises(StateError) as told, writing(tmp_path / "hub" / "models--org--name" / "x"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert told.value.hint.startswith("set HF_HOME to")
    monkeypatch.setenv("HOMEPORT_HOME", STRANGER)
    with pytest.raises(StateError) as told, writing(Path("none") / "x"):
        Path("none", "x").touch()
    assert told.value.hint.startswith("make the folder")


@pytest.mark.parametrize("text", [LONG, "circle", "homeport.toml", "homeport.toml/x", CLOSED])
@pytest.mark.parametrize(
    "command",
    [["list"], ["weights"], ["status"], ["usage"], ["down", "x"]],
    ids=" ".join,
)
def test_a_homeport_home_that_is_no_folder_is_told_by_every_command(
    command: list[str], text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEPORT_HOME", text)
    assert cli.run(command) not in {0, 1}
    told = capsys.readouterr().err
    assert "error: homeport's folder " in told
    assert "   do: set HOMEPORT_HOME to a folder that you may write to" in told


def test_the_doctor_tells_of_a_homeport_home_that_is_no_folder_among_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEPORT_HOME", LONG)
    cli.run(["doctor", "--json"])
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert "File name too long" in found["folder"]["detail"]
    assert "memory" in found


@pytest.mark.parametrize(
    ("text", "do"),
    [
        ("closed/x.toml", "name a path that you may read"), (LONG, "no disk has such a name"), ("circle", "its links lead in a circle"),
        ("homeport.toml/x", "a file lies where a folder was expected"), (".", "a folder lies there"), ("none.toml", "`homeport init` writes one"),
    ],
)  # fmt: skip
def test_what_to_do_about_a_spec_that_cannot_be_read_is_about_its_path(text: str, do: str) -> None:
    with pytest.raises(SpecError) as told:
        load(Path(text))
    assert told.value.hint.startswith(do)


def test_weights_of_a_long_name_are_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    name = "\u00fc" * 117 + ".gguf"
    Path(name).symlink_to(TAUGHT)
    assert cli.run(["weights", "fetch", f"./{name}"]) == 0, capsys.readouterr().err
    assert cli.run(["weights", "fetch", f"./{LONG}.gguf"]) not in {0, 1}
    assert "File name too long" in capsys.readouterr().err


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("text", [*TEXTS.values(), NUL], ids=[*TEXTS, "nul"])
def test_no_line_of_the_file_with_a_path_that_is_none_is_called_a_mistake_of_homeports(
    text: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("homeport.toml").write_text(place.replace("{}", json.dumps(f"file:{text}")))
    codes = []
    for command in (["plan"], ["fit"]):
        codes.append(cli.run(command))
        told = capsys.readouterr().err
        assert "mistake of homeport's" not in told
    assert any(codes)


def test_weights_are_fetched_by_a_name_whose_every_letter_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["weights", "fetch", "m\u200b.gguf"]) == 10
    assert "has the character U+200B, which nobody sees" in capsys.readouterr().err


@pytest.mark.parametrize("text", [*TEXTS.values(), NUL], ids=[*TEXTS, "nul"])
def test_no_certificate_and_no_key_is_read_from_a_path_that_is_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as told:
        read_pem(f"file:{text}", "edge.certificate", tmp_path)
    assert told.value.hint
    with pytest.raises(SpecError) as told:
        resolve(f"file:{text}", key="hub_token", base=tmp_path)
    assert told.value.hint


def test_what_the_disk_refuses_to_tell_is_an_error_and_never_no() -> None:
    with pytest.raises(SpecError, match="cannot be looked at: Permission denied") as told:
        is_there(Path(CLOSED))
    assert "let its owner open the folders" in told.value.hint
    with pytest.raises(SpecError, match="File name too long"), looking_at(Path(LONG)):
        Path(LONG).stat()
    assert not is_there(Path(LONG))
    assert not is_there(Path("nowhere"))
    assert is_there(Path("homeport.toml"))


def test_a_home_of_somebody_who_is_not_here_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the home of somebody whom this machine does not know"):
        expanded(STRANGER, tmp_path)
    assert expanded("~/x", tmp_path) == Path.home() / "x"
    assert expanded("x", tmp_path) == tmp_path / "x"


@pytest.mark.parametrize(
    "command",
    [
        ("export", "terraform", "-f", "served.toml", "-o", "{}"),
        ("verify", "none", "--junit", "{}"),
        ("bench", "none", "--html", "{}"),
        ("bench", "none", "--output-file", "{}"),
        ("cost", "--versus", "none.toml", "--plot", "{}"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("text", ["homeport.toml/x", "closed/x"])
def test_where_a_result_cannot_be_written_is_told_before_the_work(
    text: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing here that any of them could work on, which would be told later."""
    assert cli.run([part.format(text) for part in command]) == StateError.exit_code
    assert f"cannot write {text}" in capsys.readouterr().err


def test_a_look_whether_something_can_be_written_leaves_nothing_and_changes_nothing(tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for path in (Path("homeport.toml"), Path("new.xml")):
        ensure_file_writable(path)
    for path in (Path(), Path("new/below")):
        ensure_folder_writable(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert Path("homeport.toml").read_text() == 'name = "own"\n'


def test_a_look_at_a_link_leaves_the_link_and_nothing_where_it_leads(tmp_path: Path) -> None:
    Path("latest.xml").symlink_to("today.xml")
    Path("again.xml").symlink_to("latest.xml")
    Path("own.xml").symlink_to("homeport.toml")
    before = sorted(tmp_path.rglob("*"))
    for path in (Path("latest.xml"), Path("again.xml"), Path("own.xml")):
        ensure_file_writable(path)
        assert path.is_symlink()
    assert sorted(tmp_path.rglob("*")) == before
    assert Path("homeport.toml").read_text() == 'name = "own"\n'


def test_a_command_that_does_not_succeed_leaves_the_link_that_was_to_lead_to_its_result() -> None:
    Path("latest.xml").symlink_to("today.xml")
    assert cli.run(["verify", "none", "--junit", "latest.xml"]) == NotRunning.exit_code
    assert Path("latest.xml").readlink() == Path("today.xml")
    assert not Path("today.xml").exists()


def test_a_result_is_written_where_a_link_leads_and_the_link_stays() -> None:
    Path("latest.toml").symlink_to("today.toml")
    assert cli.run(["init", "--force", "-f", "latest.toml"]) == 0
    assert Path("latest.toml").readlink() == Path("today.toml")
    assert 'name = "' in Path("today.toml").read_text()


@pytest.mark.parametrize("text", ["latest", "latest/below"])
def test_a_link_to_a_folder_that_is_not_there_is_told_before_the_work(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("latest").symlink_to("today")
    assert cli.run(["export", "terraform", "-f", "served.toml", "-o", text]) == StateError.exit_code
    told = capsys.readouterr().err
    assert f"cannot write {text}: the link " in told
    assert "make the folder that it leads to" in told
    Path("today").mkdir()
    ensure_folder_writable(Path(text))
    assert not [*Path("today").iterdir()]
