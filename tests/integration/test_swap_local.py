"""`homeport swap` and `homeport rollback` on this machine, with the real engine: nothing unverified replaces what serves."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import homeport
from homeport.errors import VerificationFailed
from homeport.hardware import this_machine
from homeport.resources.local import candidate, endpoint_record
from homeport.resources.local.process_tree import MARK
from homeport.verify import Outcome, Report
from places import TAUGHT
from processes_of import all_of, lives, pid, processes_of, spec
from schemas import ensure_valid
from user import User

SETTINGS = "[engine]\ncontext = 512"


@pytest.fixture
def served(user: User) -> User:
    """A user whose taught model runs and was verified; a copy of it, `other.gguf`, lies in the folder."""
    shutil.copy(TAUGHT, user.folder / "other.gguf")
    user.write(spec(f"file:{TAUGHT}", more=SETTINGS))
    user.run("up", "--yes")
    return user


def model(user: User) -> str:
    return str(user.run("status", "--json").json[0]["model"])


def on_spare_port(user: User) -> list[int]:
    """Pids of whatever serves, or supervises, beside the endpoint."""
    folder = str(candidate.folder_of(user.home / "endpoints" / "home"))
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == folder:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def swap(user: User, *more: str, code: int | None = 0) -> str:
    ran = user.run("swap", "file:./other.gguf", "--yes", *more, code=code)
    return ran.out + ran.err


def test_a_swap_is_verified_on_a_spare_port_then_takes_the_port_and_tells_the_gap(served: User) -> None:
    before = served.run("status", "--json").json[0]
    key = served.run("env", "--json").json
    told = swap(served)
    now = served.run("status", "--json").json[0]
    assert "is verified on a spare port first: it takes about" in told
    assert "gap: " in told
    assert now["timeline_s"]["gap"] > 0
    assert (now["url"], now["state"], now["verified"]["passed"]) == (before["url"], "ready", True)
    assert now["pid"] != before["pid"]
    assert now["weights"]["source"] != before["weights"]["source"]
    assert served.run("env", "--json").json["OPENAI_API_KEY"] == key["OPENAI_API_KEY"]
    assert served.run("chat", "hello").out
    assert processes_of(served) == [now["pid"]]
    assert on_spare_port(served) == []
    assert 'model = "file:./other.gguf"' in (served.folder / "homeport.toml").read_text()
    assert "nothing to do" in served.run("up", "--yes").err


@pytest.mark.long
def test_the_plan_says_that_both_fit_with_the_figures(served: User) -> None:
    swap(served)
    served.write(spec(f"file:{TAUGHT}", more=SETTINGS))
    planned = served.run("plan", "--model", f"file:{TAUGHT}", "--json").json
    ensure_valid("plan", planned)
    turn = planned["facts"]["takes_over"]
    assert (turn["beside"], turn["reason"]) == (True, "both-fit")
    assert 0 < turn["needs_bytes"] <= turn["free_bytes"]
    assert "takes_over" not in served.run("plan", "--json").json["facts"], "`up` does not verify it beside"
    refused = served.run("swap", f"file:{TAUGHT}", code=23).err
    assert "takes over  the new engine is verified on a spare port first: it takes about" in refused
    assert "are free" in refused


def test_a_new_engine_that_cannot_load_leaves_the_old_one_serving_untouched(served: User) -> None:
    before = pid(served)
    whole = TAUGHT.read_bytes()
    (served.folder / "other.gguf").write_bytes(whole[: len(whole) - 500_000])
    told = swap(served, code=None)
    assert "serves as before" in told or "truncated" in told or "other.gguf" in told
    assert pid(served) == before
    assert served.run("chat", "hello").out
    assert processes_of(served) == [before]
    assert f'model = "file:{TAUGHT}"' in (served.folder / "homeport.toml").read_text()
    assert "nothing to do" in served.run("up", "--yes").err


@pytest.mark.long
def test_where_memory_does_not_hold_both_the_old_one_stops_first(
    served: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(served.folder)
    before = pid(served)
    monkeypatch.setattr("homeport.targets.local.target.this_machine", _without_free_memory)
    endpoint = homeport.swap("file:./other.gguf", on="local")
    assert endpoint.model == "other"
    assert not lives(before)
    assert not (candidate.folder_of(served.home / "endpoints" / "home")).exists(), "nothing ran beside it"
    assert homeport.status()[0].rollback_to == TAUGHT.stem


@pytest.mark.long
@pytest.mark.parametrize("both_fit", [True, False])
def test_a_new_engine_that_is_not_verified_leaves_or_brings_back_the_old_one(
    served: User, monkeypatch: pytest.MonkeyPatch, both_fit: bool
) -> None:
    monkeypatch.chdir(served.folder)
    before = homeport.status()[0]
    if not both_fit:
        monkeypatch.setattr("homeport.targets.local.target.this_machine", _without_free_memory)
    monkeypatch.setattr("homeport.targets.local.swap.check", _fails)
    with pytest.raises(VerificationFailed, match="serves as before" if both_fit else "serves again"):
        homeport.swap("file:./other.gguf", on="local")
    now = homeport.status()[0]
    assert (now.model, now.url, now.verified) == (before.model, before.url, before.verified)
    assert (now.pid == before.pid) is both_fit
    assert now.rollback_to is None
    assert homeport.connect("home").ask("What is the capital of France?")
    assert on_spare_port(served) == []


@pytest.mark.long
def test_rollback_brings_back_the_model_and_settings_and_again_what_it_replaced(served: User) -> None:
    swap(served)
    address = served.run("status", "--json").json[0]["url"]
    assert f"would serve {TAUGHT.stem} again" in served.run("status").err
    served.write(spec("file:./other.gguf", more="[engine]\ncontext = 256"))
    rolled = served.run("rollback", "--json")
    ensure_valid("rollback", rolled.json)
    assert "gap" in rolled.err
    assert rolled.json["timeline_s"]["gap"] > 0
    assert (rolled.json["serving"], rolled.json["report"]["passed"]) == (TAUGHT.stem, True)
    assert rolled.json["endpoint"]["base_url"] == address
    now = served.run("status", "--json").json[0]
    assert (now["model"], now["context"], now["url"]) == (TAUGHT.stem, 512, address)
    assert now["verified"]["passed"]
    name = served.run("status", "--json").json[0]["name"]
    assert served.run("rollback", "nosuch", code=20).err
    assert "other serves" in served.run("rollback", name).out, "by its name, from any folder"
    assert served.run("status", "--json").json[0]["context"] == 512, (
        "as it was verified, not as the file says"
    )
    assert "--context: 512 → 256" in served.run("plan").out
    assert processes_of(served) == [pid(served)]


@pytest.mark.long
def test_rollback_with_nothing_before_is_refused_and_changes_nothing(served: User) -> None:
    before = pid(served)
    assert "was verified before" in served.run("rollback", code=32).err
    assert pid(served) == before
    swap(served)
    served.run("down", "--yes")
    assert "was verified before" in served.run("rollback", code=32).err


@pytest.mark.long
def test_two_swaps_at_once_leave_one_engine_that_is_the_new_one(served: User) -> None:
    both = [served.begin("swap", "file:./other.gguf", "--yes") for _ in range(2)]
    ended = [one.communicate(timeout=200) for one in both]
    assert [one.returncode for one in both] == [0, 0], ended
    assert model(served) == "other"
    assert processes_of(served) == [pid(served)]
    assert on_spare_port(served) == []


@pytest.mark.long
def test_a_swap_beside_one_that_runs_is_told_so_waits_and_says_in_words_what_serves_by_then(
    served: User,
) -> None:
    shutil.copy(TAUGHT, served.folder / "third.gguf")
    first = served.begin("swap", "file:./other.gguf", "--yes")
    while not STAGES["beside"](served):
        assert first.poll() is None, first.communicate()
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)
    planned = served.run("plan", "--model", "file:./third.gguf")
    down = served.run("down", code=23).err
    second = served.begin("swap", "file:./third.gguf", "--yes")
    assert second.stderr is not None
    told = ""
    while "waiting for it" not in told:
        line = second.stderr.readline()
        assert line, told
        told += line
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=200)
    _, refused = second.communicate(timeout=200)
    assert first.returncode == 0
    assert "note: another homeport is working on home now" in planned.out
    assert "candidate/" not in planned.out, "it is at work"
    assert "an engine on a spare port, of a swap that runs now" in down
    assert "process/home has changed since the plan was shown: it is other" in refused
    assert f", was {TAUGHT.stem}" in refused
    assert model(served) == "other"


STAGES: dict[str, Callable[[User], bool]] = {
    "beside": lambda user: bool(on_spare_port(user)),
    "verifying": lambda user: _was_ready(candidate.folder_of(user.home / "endpoints" / "home")),
    "switching": lambda user: endpoint_record.verified(user.home / "endpoints" / "home") is not None,
}
"""What shows that a swap has come so far."""


@pytest.mark.long
@pytest.mark.parametrize(
    ("stage", "then"),
    [
        ("beside", "down"),
        ("verifying", "up"),
        ("verifying", "swap"),
        ("switching", "rollback"),
        ("switching", "up"),
    ],
)
def test_a_swap_that_is_killed_converges_and_leaves_nothing_on_the_spare_port(
    served: User, stage: str, then: str
) -> None:
    begun = served.begin("swap", "file:./other.gguf", "--yes")
    until = time.monotonic() + 600
    while not STAGES[stage](served):
        assert begun.poll() is None, begun.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)
    begun.send_signal(signal.SIGKILL)
    begun.communicate()
    if then == "down":
        served.run("down", "--yes")
        assert all_of(served) == []
        return
    if then == "swap":
        swap(served)
    elif then == "rollback":
        # Killed before the old engine was ended it serves on, and there is nothing to return to.
        assert served.run("rollback", code=None).code in {0, 32}
    else:
        served.run("up", "--yes")
    assert model(served) == ("other" if then == "swap" else TAUGHT.stem)
    assert served.run("chat", "hello").out
    assert processes_of(served) == [pid(served)]
    assert on_spare_port(served) == []


@pytest.mark.long
def test_what_a_killed_swap_had_kept_and_ended_is_started_again_by_rollback(served: User) -> None:
    folder = served.home / "endpoints" / "home"
    served.run("verify")
    now = endpoint_record.load(folder)
    assert now is not None
    endpoint_record.keep_verified(now, folder)
    for process in (served.run("status", "--json").json[0]["supervisor_pid"], pid(served)):
        os.kill(process, signal.SIGKILL)
    assert served.run("status", "--json", code=None).json[0]["rollback_to"] == TAUGHT.stem
    served.run("rollback")
    assert model(served) == TAUGHT.stem
    assert served.run("chat", "hello").out
    assert processes_of(served) == [pid(served)]


@pytest.mark.long
def test_ctrl_c_while_the_new_engine_is_verified_ends_it_and_leaves_the_old_one(served: User) -> None:
    before = pid(served)
    begun = served.begin("swap", "file:./other.gguf", "--yes")
    while not STAGES["verifying"](served):
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.005)
    begun.send_signal(signal.SIGINT)
    begun.communicate(timeout=300)
    assert begun.returncode != 0
    assert on_spare_port(served) == []
    assert pid(served) == before


@pytest.mark.long
def test_ctrl_c_in_the_turn_leaves_what_was_verified_and_says_what_to_do(served: User) -> None:
    begun = served.begin("swap", "file:./other.gguf", "--yes")
    assert begun.stderr is not None
    said = ""
    while "stopping llamacpp" not in said:
        line = begun.stderr.readline()
        assert line, said
        said += line
    begun.send_signal(signal.SIGINT)
    _, rest = begun.communicate(timeout=300)
    assert begun.returncode == 130
    assert "`homeport status` tells what serves, and the same command again goes on" in rest
    (now,) = served.run("status", "--json").json
    assert now["verified"], "nothing unverified keeps the port"
    assert served.run("chat", "hello", "--max-tokens", "4").out
    assert on_spare_port(served) == []
    swap(served)
    assert model(served) == "other"


@pytest.mark.long
def test_ctrl_c_while_what_took_the_port_is_verified_brings_back_what_served(
    served: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(served.folder)
    before = homeport.status()[0]
    monkeypatch.setattr("homeport.targets.local.target.this_machine", _without_free_memory)
    monkeypatch.setattr("homeport.targets.local.swap.check", _presses_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        homeport.swap("file:./other.gguf", on="local")
    now = homeport.status()[0]
    assert (now.model, now.url, now.verified) == (before.model, before.url, before.verified)
    assert now.rollback_to is None
    assert homeport.connect("home").ask("What is the capital of France?")


async def _presses_ctrl_c(*_: object, **__: object) -> Report:
    signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(60)
    raise AssertionError("nobody was interrupted")


def _was_ready(folder: Path) -> bool:
    found = endpoint_record.read(folder)
    return isinstance(found, endpoint_record.EndpointRecord) and found.was_ready


def _without_free_memory(*, gpus: bool = True) -> object:
    return replace(this_machine(gpus=gpus), memory_available=2**20)


async def _fails(graph: object, **_: object) -> Report:
    from homeport.targets.local import verification

    report = await verification.check(graph)  # type: ignore[arg-type]
    first = replace(report.results[0], outcome=Outcome.FAILED, detail="planted")
    return replace(report, results=(first, *report.results[1:]))
