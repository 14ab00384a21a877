"""What homeport writes in its home is its user's alone, whatever the umask, and whatever was there before."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from file_modes import modes
from homeport import home
from homeport.errors import HomeportError, StateError
from homeport.home import Home, private_folder, private_opener, write_private, write_whole
from homeport.progress import Silent
from homeport.weights.store import WeightsStore
from places import TAUGHT


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=lambda umask: f"umask {umask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask that the test, and all that it starts, has."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_folders_and_files_are_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "one" / "two"
    private_folder(folder)
    write_private(folder / "record", "text")
    with open(folder / "log", "ab", opener=private_opener) as file:
        file.write(b"text")
    assert modes(tmp_path / "one") == {}
    assert (folder / "record").read_text() == "text"


def test_what_was_open_to_others_is_closed(tmp_path: Path) -> None:
    home = Home(tmp_path / "homeport")
    folder = home.endpoint("home")
    folder.mkdir(parents=True)
    home.weights.mkdir()
    (folder / "record.json").write_text("{}")
    for path in (home.root, *home.root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    home.prepare("home")
    assert modes(home.root) == {}


def test_a_file_that_was_open_is_closed_when_it_is_written(tmp_path: Path) -> None:
    record, log = tmp_path / "record", tmp_path / "log"
    for path in (record, log):
        path.write_text("")
        path.chmod(0o666)
    write_private(record, "text")
    with open(log, "ab", opener=private_opener):
        pass
    assert {stat.S_IMODE(path.stat().st_mode) for path in (record, log)} == {0o600}


def test_a_root_that_holds_other_things_too_stays_the_users(tmp_path: Path) -> None:
    home = Home(tmp_path / "shared")
    home.root.mkdir()
    (home.root / "site").mkdir()
    home.root.chmod(0o755)
    home.prepare("home")
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o755
    assert modes(home.root / "endpoints") == {}


def test_the_ledger_of_the_weights_is_private(umask: int, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(TAUGHT.read_bytes())
    (tmp_path / "model.gguf").chmod(0o644)
    private_folder(tmp_path / "weights")
    WeightsStore(tmp_path / "weights").ensure(f"file:{tmp_path / 'model.gguf'}", "gguf", Silent())
    assert modes(tmp_path / "weights") == {}


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "endpoint"
    private_folder(folder)
    write_private(folder / "record", "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(folder / "record", "\udc80")
    assert (folder / "record").read_text() == "old"
    assert [path.name for path in folder.iterdir()] == ["record"]


def test_a_file_of_the_users_keeps_its_mode_and_its_link_when_it_is_rewritten(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    real, link = folder / "real.toml", folder / "homeport.toml"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_whole(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(one.name for one in folder.iterdir()) == ["homeport.toml", "real.toml"]


@pytest.mark.parametrize("named", ["real", "link"])
def test_whoever_reads_a_result_reads_the_old_or_the_new_and_never_a_part(named: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    real, link = folder / "real", folder / "link"
    real.write_text("old")
    link.symlink_to(real)
    with real.open() as reader:
        write_whole(folder / named, "new")
        assert reader.read() == "old"
    assert link.is_symlink()
    assert link.read_text() == "new"
    assert sorted(path.name for path in folder.iterdir()) == ["link", "real"]


def test_a_result_that_is_not_there_yet_is_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "real").read_text() == "new"
    with pytest.raises(StateError, match="is a folder, and a file was expected"):
        write_whole(tmp_path, "new")


@pytest.mark.parametrize("write", [write_whole, write_private])
def test_no_link_that_was_planted_leads_a_draft_elsewhere(
    write: Callable[[Path, str], None], tmp_path: Path
) -> None:
    folder, victim = tmp_path / "project", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("old")
    for name in (f".homeport-{os.getpid()}", f".report.html.{os.getpid()}"):
        (folder / name).symlink_to(victim)
    write(folder / "report.html", "new")
    assert victim.read_text() == "old"
    assert (folder / "report.html").read_text() == "new"


@pytest.mark.parametrize("write", [write_whole, write_private])
def test_no_draft_takes_a_name_that_is_there(
    write: Callable[[Path, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, victim = tmp_path / "project", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("old")
    (folder / ".homeport-foreseen").symlink_to(victim)
    monkeypatch.setattr(home, "_draft_beside", lambda path: path.with_name(".homeport-foreseen"))
    with pytest.raises(StateError, match="File exists"):
        write(folder / "report.html", "new")
    assert victim.read_text() == "old"


@pytest.mark.parametrize("names", [["a", "b", "c", "d"], ["a"] * 4], ids=["other files", "one file"])
@pytest.mark.parametrize("write", [write_whole, write_private])
def test_threads_write_into_one_folder_at_once(
    write: Callable[[Path, str], None], names: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    at_once = Barrier(len(names))
    text = "text" * 1000

    def often(name: str) -> None:
        at_once.wait()
        for _ in range(50):
            write(folder / name, text)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(often, names))
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(names, text)


def test_a_file_with_a_second_name_has_the_new_text_under_both(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old")
    second.hardlink_to(first)
    write_whole(first, "new")
    assert second.read_text() == "new"


@pytest.mark.parametrize("refused", [False, True], ids=["given on", "refused"])
def test_a_file_of_somebody_else_stays_theirs(
    refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "file"
    file.write_text("old")
    before, unchanged = file.stat(), Path.stat
    given: list[tuple[int, int]] = []

    def stat_of(path: Path, **how: bool) -> os.stat_result:
        found = unchanged(path, **how)
        if path.name != "file":
            return found
        return os.stat_result((*found[:4], found.st_uid + 1, found.st_gid + 1, *found[6:]))

    def give(_: Path, owner: int, group: int) -> None:
        if refused:
            raise OSError(22, "Invalid argument")
        given.append((owner, group))

    monkeypatch.setattr(Path, "stat", stat_of)
    monkeypatch.setattr(os, "chown", give)
    write_whole(file, "new")
    assert file.read_text() == "new"
    assert (unchanged(file).st_ino == before.st_ino) is refused
    assert given == ([] if refused else [(before.st_uid + 1, before.st_gid + 1)])
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_file_that_nothing_can_be_put_beside_is_written_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mounted(self: Path, _: Path) -> Path:
        raise OSError(16, "Device or resource busy")

    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "file"
    file.write_text("old")
    monkeypatch.setattr(Path, "replace", mounted)
    write_whole(file, "new")
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("file", "new")]


def test_a_file_of_the_users_keeps_its_text_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "homeport.toml"
    file.write_text("old")

    def full(self: Path, text: str, **_: object) -> int:
        with self.open("w") as half:
            half.write(text[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(HomeportError, match="disk is full"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert [one.name for one in folder.iterdir()] == ["homeport.toml"]
