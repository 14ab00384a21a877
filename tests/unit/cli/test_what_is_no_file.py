"""What lies where a file was expected: a folder, a pipe that nobody writes to, a socket, a device. Nothing waits for it, and it stays as it is."""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from homeport import cli, toml_file
from homeport.agents import transcript
from homeport.agents.evaluation import reader, report
from homeport.errors import DiskFull, SpecError, StateError
from homeport.fit import own_starts
from homeport.home import ensure_file_writable, private_opener, write_whole
from homeport.traffic import trace
from places import TAUGHT_FOLDER

READERS: dict[str, Callable[[Path], Any]] = {  # Any: whatever each one reads
    "a spec": lambda path: toml_file.read_toml(path, hint="write it"),
    "a transcript": transcript.read,
    "a result": report.saved,
    "a graded set": lambda path: reader.read(str(path)),
    "a trace": trace.read,
    "a start": own_starts.read_report,
}
PLACES = {"dir": "a folder", "pipe": "a pipe", "socket": "a socket", "/dev/zero": "a device"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    Path("dir").mkdir()
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        yield


@pytest.mark.parametrize(("place", "kind"), PLACES.items(), ids=PLACES.values())
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_file_is_told_as_what_it_is_and_not_by_its_format(
    read: Callable[[Path], Any], place: str, kind: str
) -> None:
    with pytest.raises(SpecError, match=f"{place} is {kind}, and a file was expected") as told:
        read(Path(place))
    assert told.value.hint == f"{kind} lies there: name the file that you mean"


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_file_that_is_not_there_or_is_kept_closed_is_told_as_that(
    read: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpecError, match=r"there is no none\.x"):
        read(Path("none.x"))
    Path("closed.x").write_text("x")

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "closed.x")

    monkeypatch.setattr(Path, "open", closed)
    monkeypatch.setattr(Path, "read_bytes", closed)  # The tests may run as root, whom no mode stops.
    with pytest.raises(SpecError) as told:
        read(Path("closed.x"))
    assert "closed.x cannot be looked at: Permission denied" in str(told.value)
    assert told.value.hint.startswith("name a path that you may read")


def test_what_a_shell_has_opened_is_read() -> None:
    """As `<(…)` gives it."""
    reading, writing = os.pipe()
    with os.fdopen(reading):
        with os.fdopen(writing, "w") as pipe:
            pipe.write('name = "x"\n')
        assert toml_file.read_toml(Path(f"/dev/fd/{reading}"), hint="") == {"name": "x"}


@pytest.mark.parametrize(("place", "kind"), PLACES.items(), ids=PLACES.values())
def test_no_transcript_is_written_to_what_is_no_file(place: str, kind: str) -> None:
    with pytest.raises((SpecError, StateError), match=kind if place != "socket" else "socket"):
        transcript.Transcript(Path(place))


def test_a_transcript_may_go_nowhere_and_its_run_is_known_all_the_same() -> None:
    before = Path(os.devnull).stat().st_mode
    with transcript.Transcript(Path(os.devnull)) as written:
        written.add("run", question="1")
        written.add("run", question="2")
        written.add("end", outcome="answered")
    assert [event["event"] for event in written.last_run] == ["run", "end"]
    assert written.last_run[0]["question"] == "2"
    assert Path(os.devnull).stat().st_mode == before


def test_a_device_keeps_its_mode_where_a_file_is_closed_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root could take /dev/null from everybody else on the machine: so it is watched here, and not tried."""
    closed: list[int] = []
    monkeypatch.setattr(os, "fchmod", lambda file, mode: closed.append(os.fstat(file).st_mode))
    for path in (Path(os.devnull), Path("file")):
        with open(path, "ab", opener=private_opener):
            pass
    assert [stat.S_ISREG(mode) for mode in closed] == [True]


def test_a_disk_that_is_full_is_one_error() -> None:
    with transcript.Transcript(Path("file")) as written, Path("/dev/full").open("wb", buffering=0) as full:
        os.dup2(full.fileno(), written._file.fileno())
        with pytest.raises(DiskFull):
            written.add("run", question="1")


@pytest.mark.parametrize("asked_first", [True, False])
def test_what_another_run_writes_to_the_same_transcript_stays(asked_first: bool) -> None:
    """A conversation in which nothing is asked began the file: it takes away its own, and no more."""
    path = Path("shared")
    with ExitStack() as other:
        with transcript.Transcript(path):
            run = other.enter_context(transcript.Transcript(path))
            if asked_first:
                run.add("run", version=transcript.VERSION, question="1")
        assert path.exists() is asked_first
        if not asked_first:
            run.add("run", version=transcript.VERSION, question="1")
        run.add("end", outcome="answered")
    assert [event["event"] for event in transcript.read(path)] == ["run", "end"]


def test_a_link_to_a_transcript_of_nothing_stays() -> None:
    link = Path("link")
    link.symlink_to("target")
    with transcript.Transcript(link):
        pass
    assert link.is_symlink()


def test_a_transcript_of_nothing_is_none_and_one_that_was_there_stays() -> None:
    for path in (Path("new"), Path("folder", "new")):
        with transcript.Transcript(path):
            assert path.exists()  # It is known at once that it can be written.
        assert not path.exists()
    Path("old").touch()
    with transcript.Transcript(Path("old")):
        pass
    assert Path("old").exists()


RESULTS = (
    ("verify", "none", "--junit", "{}"),
    ("bench", "none", "--html", "{}"),
    ("cost", "--versus", "none.toml", "--plot", "{}"),
    ("init", "--force", "-f", "{}"),
    ("export", "terraform", "-f", "served.toml", "-o", "holds"),
    ("mcp", "skill", "--install", "skills"),
)


@pytest.mark.parametrize("command", RESULTS, ids=" ".join)
@pytest.mark.parametrize("place", ["pipe", "link"])
def test_no_result_is_written_to_a_pipe_whose_reader_nobody_waits_for(
    place: str, command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("link").symlink_to("pipe")
    Path("holds").mkdir()
    Path("holds", "main.tf").symlink_to(tmp_path / place)
    Path("skills", "homeport").mkdir(parents=True)
    Path("skills", "homeport", "SKILL.md").symlink_to(tmp_path / place)
    Path("served.toml").write_text(
        f'name = "served"\nmodel = "file:{TAUGHT_FOLDER}"\n[cloudrun]\nproject = "p-12345"\nregion = "europe-west1"\n'
    )
    assert cli.run([part.format(place) for part in command]) in {SpecError.exit_code, StateError.exit_code}
    assert " is a pipe, and a file was expected" in capsys.readouterr().err


def test_the_reader_of_a_pipe_is_not_ended_by_a_look_at_it() -> None:
    with os.fdopen(os.open("pipe", os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        with pytest.raises(StateError, match="pipe is a pipe, and a file was expected"):
            ensure_file_writable(Path("pipe"))
        hung_up = select.poll()
        hung_up.register(reader)
        assert not hung_up.poll(0)


def test_a_result_may_go_to_what_this_process_has_opened_also_by_a_link() -> None:
    reading, writing = os.pipe()
    Path("folder").symlink_to("dir")
    Path("dir", "out").symlink_to(f"/dev/fd/{writing}")
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb"):
        for path in (Path(os.devnull), Path(f"/dev/fd/{writing}"), Path("folder", "out")):
            ensure_file_writable(path)
        write_whole(Path("folder", "out"), "x")
        assert pipe.read(2) == b"x"


def test_a_file_that_the_shell_has_opened_is_written_and_not_replaced() -> None:
    """Another in its place would have what is printed after it go nowhere."""
    with Path("out").open("a+") as opened:
        write_whole(Path(f"/dev/fd/{opened.fileno()}"), "the page")
        opened.write(" and the rest")
    assert Path("out").read_text() == "the page and the rest"
