"""What is remembered of an endpoint: read in every version, judged, and never in the way of another's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import StateError
from homeport.resources.local import endpoint_record, process_tree
from places import ROOT, TAUGHT
from processes_of import lives
from user import User

pytestmark = pytest.mark.long

VERSION_1 = json.loads((ROOT / "tests" / "records" / "version-1.json").read_text())
"""As homeport wrote it before records had a second version, of an endpoint that was verified."""
PLACES = [
    ("pid",), ("create_time",), ("launch",), ("launch", "port"), ("launch", "command"), ("launch", "model"), ("url",),
    ("spec",), ("spec", "model"), ("spec", "engine"), ("spec_file",), ("weights",), ("weights", "digest"),
    ("started_at",), ("timeline",), ("timeline", "load"), ("receipt",), ("receipt", "passed"), ("receipt", "counts"),
    ("name",), ("version",),
]  # fmt: skip


def written(folder: Path, content: object, name: str = "home") -> Path:
    """A folder of the endpoint `name` whose record is this."""
    there = folder / name
    there.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (there / "record.json").write_bytes(text)
    return there


def changed(place: tuple[str, ...], value: object, table: Any = VERSION_1) -> Any:  # Any: JSON
    """The first version's record with another value at a place."""
    if not place:
        return value
    return {**table, place[0]: changed(place[1:], value, table[place[0]])}


@pytest.mark.parametrize(
    ("way", "delivery"), [("stream", "stream"), ("fuse-cache", "gcsfuse-cached"), ("auto", "auto")]
)
def test_the_spec_of_an_earlier_version_is_read_by_the_names_of_this_one(
    tmp_path: Path, way: str, delivery: str
) -> None:
    """Version 2 said `cloudrun.way` for what is called `delivery` since."""
    spec = {**VERSION_1["spec"], "cloudrun": {"region": "us-east4", "way": way}}
    folder = written(tmp_path, {**VERSION_1, "version": 2, "spec": spec})
    found = endpoint_record.load(folder)
    assert found is not None
    assert found.spec["cloudrun"] == {"region": "us-east4", "delivery": delivery}
    found.save(folder)
    again = endpoint_record.load(folder)
    assert again == found


@pytest.fixture
def served(user: User) -> User:
    """A user with two tiny models that run."""
    for name in ("home", "other"):
        user.write(f'name = "{name}"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 256\n[local]\nport = 0\n')
        user.run("up", "--yes", "--no-verify")
    return user


def stored(user: User, name: str = "home") -> Path:
    return user.home / "endpoints" / name / "record.json"


def as_version_1(path: Path) -> None:
    """Write a record again as the first version of it would have been."""
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**{key: told[key] for key in VERSION_1}, "version": 1}))


def states(user: User) -> dict[str, str]:
    return {one["name"]: one["state"] for one in user.run("status", "--json", code=None).json}


def test_a_record_of_the_first_version_is_read(tmp_path: Path) -> None:
    found = endpoint_record.load(written(tmp_path, VERSION_1))
    assert found is not None
    assert (found.pid, found.was_ready, found.start_ticks, found.key, found.supervisor) == (
        10573,
        True,
        "",
        None,
        None,
    )


def test_what_is_saved_is_read_again_in_the_present_version(tmp_path: Path) -> None:
    folder = written(tmp_path, VERSION_1)
    found = endpoint_record.load(folder)
    assert found is not None
    found.save(folder)
    assert json.loads((folder / "record.json").read_text())["version"] == endpoint_record.VERSION
    assert endpoint_record.load(folder) == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not JSON"),
        (b'{"version": 1, "name": ', "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"version": NaN}', "it is not JSON"),
        (b"[]", "of which version"),
        ({}, "of which version"),
        (changed(("version",), True), "of which version"),
        (changed(("version",), 0), "of which version"),
        (changed(("version",), 4), "of version 4, from a newer homeport; this one knows those up to 3"),
        (changed(("pid",), "10573"), "pid: Input should be a valid integer"),
        (changed(("pid",), 0), "pid: Input should be greater than 0"),
        (changed(("launch", "port"), "many"), "launch.port: Input should be a valid integer"),
        (changed(("weights",), {}), "weights.source: Field required"),
        (changed(("url",), "file:///etc/passwd"), "url: String should match"),
        (changed(("spec", "engine"), {"kind": "other"}), "spec: it: one thing is wrong: engine.kind"),
        (changed(("receipt",), {"at": "now"}), "receipt.passed: Field required"),
        (changed(("surplus",), 1, {**VERSION_1, "surplus": 0}), "surplus: Unexpected keyword argument"),
        (changed(("name",), "another"), "it is that of 'another'"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_clear_error(
    tmp_path: Path, content: object, reason: str
) -> None:
    folder = written(tmp_path, content)
    found = endpoint_record.read(folder)
    assert isinstance(found, endpoint_record.Unreadable)
    assert found.reason.startswith(reason) or reason in found.reason
    assert "\n" not in found.reason
    with pytest.raises(StateError, match="the record of home cannot be read") as caught:
        endpoint_record.load(folder)
    assert "homeport down home" in caught.value.hint


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(place=st.sampled_from(PLACES), value=_JSON)
def test_whatever_stands_in_a_record_it_is_a_record_or_is_told(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, ...], value: object
) -> None:
    folder = written(tmp_path_factory.mktemp("records"), changed(place, value))
    found = endpoint_record.read(folder)
    assert isinstance(found, endpoint_record.EndpointRecord | endpoint_record.Unreadable)


def test_a_record_that_cannot_be_read_is_one_line_of_status_and_others_are_as_they_are(served: User) -> None:
    stored(served).write_text('{"version": 1, "name": "home", "pid": "many"}')
    table = served.run("status", code=21)
    lines = {line.split()[0]: line for line in table.out.splitlines()[1:]}
    assert "unreadable" in lines["home"]
    assert "pid: Input should be a valid integer" in lines["home"]
    assert "ready" in lines["other"]
    assert "homeport down home" in table.err
    found = {one["name"]: one for one in served.run("status", "--json", code=21).json}
    assert found["home"].keys() == found["other"].keys()
    assert found["home"]["resident_bytes"] > 2**20, "its engine runs on"
    assert "pid" in found["home"]["reason"]
    served.run("status", "other")
    assert served.run("chat", "--name", "other", "Hello").out


@pytest.mark.parametrize("text", ["", "[]", '{"version": 99}', '{"version": 1, "pid": {}}'])
def test_an_endpoint_whose_record_cannot_be_read_is_taken_down(served: User, text: str) -> None:
    engine = psutil.Process(json.loads(stored(served).read_text())["pid"])
    stored(served).write_text(text)
    for command in (["up", "--yes"], ["env"], ["verify"], ["chat", "hi"]):
        name = {"up": [], "chat": ["--name", "home"]}.get(command[0], ["home"])
        served.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n')
        refused = served.run(*command, *name, code=21)
        assert "the record of home cannot be read" in refused.err
        assert "homeport down home" in refused.err
    assert "removed process of home" in served.run("down", "home", "--yes").out
    assert not lives(engine.pid)
    assert states(served) == {"other": "ready"}


def test_purge_keeps_all_weights_while_a_record_cannot_be_read(served: User) -> None:
    stored(served).write_text("[]")
    assert (
        "all weights stay: the record of home cannot be read"
        in served.run("down", "--yes", "other", "--purge").err
    )


def test_an_endpoint_of_the_first_version_is_shown_asked_changed_and_taken_down(served: User) -> None:
    as_version_1(stored(served))
    as_version_1(stored(served, "other"))
    # It serves, and nobody is there who would start it again: the first version had no supervisors.
    assert states(served) == {"home": "unsupervised", "other": "unsupervised"}
    assert served.run("chat", "--name", "home", "Hello").out
    assert json.loads(stored(served).read_text())["version"] == 1
    served.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 512\n[local]\nport = 0\n')
    assert "--context: 256 → 512" in served.run("up", "--yes", "--no-verify").err
    assert json.loads(stored(served).read_text())["version"] == endpoint_record.VERSION
    assert "removed process of other" in served.run("down", "--yes", "other").out
    assert states(served) == {"home": "ready"}


@pytest.mark.parametrize("version", [1, endpoint_record.VERSION])
def test_a_clock_that_is_set_does_not_end_an_endpoint(served: User, version: int) -> None:
    """Start times by the clock of the day move with it, so a record written before differs by the step."""
    if version == 1:
        as_version_1(stored(served))
    told = json.loads(stored(served).read_text())
    stored(served).write_text(json.dumps({**told, "create_time": told["create_time"] - 3600}))
    assert states(served)["home"] == ("unsupervised" if version == 1 else "ready")
    assert served.run("chat", "--name", "home", "Hello").out
    served.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 256\n[local]\nport = 0\n')
    said = served.run("up", "--yes", "--no-verify").err
    assert ("nothing to do" in said) is (version != 1), "an engine without a supervisor gets one"
    assert str(told["pid"]) in served.run("down", "home", "--yes").out, "the very same one served on"


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that carries the mark of `tmp_path`, and does not lead its session."""
    process = subprocess.Popen(
        ["cat"], env={process_tree.MARK: str(tmp_path)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(b"a")
        process.stdin.flush()
        process.stdout.read(1)  # Its environment can be read a moment after Popen returns.
        yield process
        process.kill()


def test_a_process_is_told_from_one_that_came_back_under_its_pid(
    tmp_path: Path, marked: subprocess.Popen[bytes]
) -> None:
    ticks = process_tree.start_ticks(marked.pid)
    began = psutil.Process(marked.pid).create_time()
    assert process_tree.alive(marked.pid, 0, tmp_path, ticks) is not None
    assert process_tree.alive(marked.pid, began, tmp_path, "another-boot 1") is None
    assert process_tree.alive(marked.pid, began, tmp_path) is not None
    assert process_tree.alive(marked.pid, began - 10, tmp_path) is None, "it leads no session"
    assert process_tree.alive(marked.pid, began, tmp_path / "other", ticks) is None


def test_start_ticks_are_read_behind_whatever_the_program_is_called(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    odd.write_text("#!/bin/sh\nsleep 600\n")
    odd.chmod(0o755)
    process = subprocess.Popen([odd], start_new_session=True)
    try:
        boot, ticks = process_tree.start_ticks(process.pid).split()
        mine = process_tree.start_ticks(psutil.Process().pid).split()
        assert boot == mine[0]
        assert int(ticks) > int(mine[1])
    finally:
        for one in [*psutil.Process(process.pid).children(), psutil.Process(process.pid)]:
            one.kill()
        process.wait()


def test_no_start_is_told_of_a_process_that_is_not_there() -> None:
    assert process_tree.start_ticks(2**22 + 1) == ""
