"""An engine that died, that is deaf, or that takes all memory comes back; one that is merely busy is left alone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import psutil
import pytest

from homeport.engines.llamacpp.metrics import REQUEST_LINE
from homeport.supervisor import journal, judge, pulse
from homeport.supervisor.judge import Judge
from homeport.supervisor.memory import COUNTS_MEMORY, own_bytes
from homeport.supervisor.order import MOST, Order
from patience import until
from places import TAUGHT
from processes_of import all_of, pid, spec
from user import User

pytestmark = pytest.mark.long

_DEADLINE_S = 300.0


KEYLESS = 'api_key = "none"'


@pytest.fixture
def served(user: User) -> User:
    """A user whose tiny model runs, and wants no key."""
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512", local=KEYLESS))
    user.run("up", "--yes", "--no-verify")
    return user


def status(user: User) -> Any:  # Any: JSON
    return user.run("status", "--json", code=None).json[0]


def so(user: User, wanted: Callable[[Any], bool]) -> Any:  # Any: JSON
    """The endpoint's status once it is so."""
    return until(
        lambda: status(user),
        wanted,
        within_s=_DEADLINE_S,
        told=lambda: user.run("logs").out[-2000:],
    )


def post(url: str, *, timeout: float = 300.0, **body: Any) -> int:  # Any: JSON
    """The status of the answer; 0 where the connection broke."""
    try:
        return httpx2.post(
            f"{url}/completions", json={"prompt": "Hello", "max_tokens": 1, **body}, timeout=timeout
        ).status_code
    except httpx2.TransportError:
        return 0


def test_a_grammar_that_kills_llamacpp_costs_one_restart(served: User) -> None:
    before = status(served)
    assert post(before["url"], grammar=f'root ::= {"(" * 40_000}"a"{")" * 40_000}') == 0
    after = so(served, lambda now: now["state"] == "ready" and now["pid"] != before["pid"])
    assert after["restarts"] == 1
    assert "SIG" in after["last_restart"]["reason"]
    assert after["supervisor_pid"] == before["supervisor_pid"]
    told = served.run("status").err
    assert "started again once" in told
    assert "it is started again in 1 s (1 of at most 5 times in 10 minutes)" in served.run("logs").out
    assert post(after["url"]) == 200
    assert "nothing to do" in served.run("up", "--yes", "--no-verify").err


@pytest.mark.skipif(not COUNTS_MEMORY, reason="only Linux tells memory of one's own from mapped weights")
def test_a_request_that_takes_all_memory_is_ended_by_the_plans_limit(served: User) -> None:
    assert "of memory of its own" in served.run("plan").out
    before = status(served)
    answered: deque[int] = deque()
    hostile = threading.Thread(
        target=lambda: answered.append(
            post(before["url"], dry_multiplier=1.0, dry_penalty_last_n=2_147_483_647, max_tokens=4)
        )
    )
    hostile.start()
    after = so(served, lambda now: now["state"] == "ready" and now["pid"] != before["pid"])
    hostile.join()
    assert list(answered) == [0]
    assert "GiB of memory of its own" in after["last_restart"]["reason"]
    assert "are its limit" in served.run("logs").out


@pytest.mark.skipif(not COUNTS_MEMORY, reason="only Linux tells memory of one's own from mapped weights")
@pytest.mark.long
def test_contexts_full_to_their_limit_stay_within_the_plan(
    user: User, real_weights: Mapping[str, Path], record_property: Callable[[str, object], None]
) -> None:
    user.write(
        spec("gemma-3-270m-pt", more=f'weights = "file:{real_weights["gemma-3-270m-pt"]}"\n[engine]\ncontext = 1024\nparallel = 2', local=KEYLESS)
    )  # fmt: skip
    user.run("up", "--yes", "--no-verify")
    before = status(user)
    full = [
        threading.Thread(target=post, args=(before["url"],), kwargs={"prompt": f"{word} " * 1000, "max_tokens": 20})
        for word in ("north", "south", "north")
    ]  # fmt: skip
    for one in full:
        one.start()
    most = 0
    while any(one.is_alive() for one in full):
        most = max(most, own_bytes([before["pid"]]))
    after = so(user, lambda now: now["state"] == "ready")
    assert (after["pid"], after["restarts"]) == (before["pid"], 0)
    assert most > 100 * 2**20
    record_property(
        "seen", f"two full contexts of Gemma 3 270M: {most / 2**20:.0f} MiB of memory of its own at most"
    )


def test_an_engine_that_neither_answers_nor_works_is_ended_and_started_again(served: User) -> None:
    before = pid(served)
    os.kill(before, signal.SIGSTOP)
    assert status(served)["state"] == "unresponsive"
    after = so(served, lambda now: now["state"] == "ready")
    assert after["pid"] != before
    assert "does nothing" in after["last_restart"]["reason"]


def test_one_that_works_for_others_is_busy_and_left_alone(user: User) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 4096\nparallel = 1", local=KEYLESS))
    user.run("up", "--yes", "--no-verify")
    before = status(user)
    # A grammar that does not end keeps its only slot at work for the whole context.
    body = {"max_tokens": 4000, "grammar": 'root ::= "a" root', "n_probs": 0}
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            post(before["url"], timeout=600.0, **body)

    threading.Thread(target=work, daemon=True).start()
    try:
        seen = so(user, lambda now: now["state"] == "busy")
        assert seen["reason"] == "it works on other requests"
        assert "nothing to do" in user.run("up", "--yes", "--no-verify").err
        assert pid(user) == before["pid"]
    finally:
        over.set()


def test_when_the_supervisor_dies_the_engine_serves_on_and_up_gives_it_another(served: User) -> None:
    before = status(served)
    os.kill(before["supervisor_pid"], signal.SIGKILL)
    now = so(served, lambda now: now["supervisor_pid"] is None)
    assert (now["state"], now["pid"]) == ("unsupervised", before["pid"])
    assert post(before["url"]) == 200
    assert "supervisor: none → restarts it: on-failure" in served.run("plan").out
    served.run("up", "--yes", "--no-verify")
    after = status(served)
    assert (after["state"], after["pid"]) == ("ready", before["pid"])
    os.kill(after["pid"], signal.SIGKILL)
    last = so(served, lambda now: now["state"] == "ready" and now["pid"] != before["pid"])
    served.run("down", "--yes")
    asked = re.findall(REQUEST_LINE, Path(last["log"]).read_text(errors="replace"), re.MULTILINE)
    (all_of_it,) = served.run(
        "usage", "--by", "caller", "--json"
    ).json  # Days are two where midnight was between.
    assert (all_of_it["requests"], all_of_it["starts"]) == (len(asked), 2), (
        "whoever watched, and nobody while nobody did"
    )


def test_who_changes_local_restart_gets_another_supervisor_and_keeps_the_engine(served: User) -> None:
    before = status(served)
    served.write(
        spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512", local=f'{KEYLESS}\nrestart = "never"')
    )
    assert "restarts it: on-failure → restarts it: never" in served.run("plan").out
    served.run("up", "--yes", "--no-verify")
    after = status(served)
    assert after["pid"] == before["pid"]
    assert after["supervisor_pid"] != before["supervisor_pid"]
    os.kill(after["pid"], signal.SIGKILL)
    dead = so(served, lambda now: now["state"] == "failed")
    assert 'local.restart is "never"' in dead["reason"]
    # The supervisor writes why before it ends.
    so(served, lambda now: now["supervisor_pid"] is None)
    assert all_of(served) == []
    served.run("up", "--yes", "--no-verify")
    assert status(served)["state"] == "ready"


@pytest.mark.parametrize("wait", [0.0, 1.0, 1.4, 2.0])
def test_down_at_any_moment_of_a_restart_leaves_nothing(served: User, wait: float) -> None:
    os.kill(pid(served), signal.SIGKILL)
    threading.Event().wait(wait)
    served.run("down", "--yes")
    assert all_of(served) == []
    assert not list(served.home.glob("endpoints/*/supervisor.json"))


def test_a_supervisor_that_is_asked_to_end_ends_its_engine(served: User) -> None:
    now = status(served)
    engine, supervisor = psutil.Process(now["pid"]), psutil.Process(now["supervisor_pid"])
    supervisor.terminate()
    assert psutil.wait_procs([engine, supervisor], timeout=120)[1] == []
    assert status(served)["state"] == "dead"


def test_the_key_is_in_memory_alone_and_holds_after_a_restart(user: User) -> None:
    key = "sk-a-key-that-nobody-sees"
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512", local='api_key = "env:MYKEY"'))
    user.run("up", "--yes", "--no-verify", MYKEY=key)
    before = status(user)
    for one, command in all_of(user):
        assert key not in " ".join(command)
        assert key not in str(psutil.Process(one).environ())
    assert not any(key in path.read_text() for path in (user.home / "endpoints").glob("*/*"))
    os.kill(before["pid"], signal.SIGKILL)
    after = so(user, lambda now: now["state"] == "ready" and now["pid"] != before["pid"])
    right = {"Authorization": f"Bearer {key}"}
    assert httpx2.get(f"{after['url']}/models", headers=right).status_code == 200
    assert httpx2.post(f"{after['url']}/completions", json={"prompt": "x"}).status_code == 401


def test_weights_that_were_mended_are_read_anew_by_the_next_up(user: User, tmp_path: Path) -> None:
    weights = tmp_path / "own.gguf"
    weights.write_bytes(TAUGHT.read_bytes())
    user.write(spec(f"file:{weights}", more="[engine]\ncontext = 512"))
    user.run("up", "--yes", "--no-verify")
    before = pid(user)
    mended = weights.with_name("mended")
    mended.write_bytes(TAUGHT.read_bytes())
    mended.replace(weights)
    user.run("up", "--yes", "--no-verify")
    assert pid(user) != before
    assert "nothing to do" in user.run("up", "--yes", "--no-verify").err


_DIES_WHEN_ASKED = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        if Handler.asked == 2: os._exit(7)
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def do_POST(self):
        os._exit(7)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
_HURRY = """
import sys
from homeport.supervisor import watch
watch._FIRST_WAIT_S = watch._LOOK_S = 0.01
from homeport.supervisor.__main__ import main
sys.exit(main())
"""


def order(folder: Path, port: int) -> Order:
    return Order(
        folder=str(folder), command=[sys.executable, "-c", _DIES_WHEN_ASKED, str(port)], environment=dict(os.environ),
        api_key=None, url=f"http://127.0.0.1:{port}", health_path="/health", pulse_path=None, busy="", model="rote",
        ready_within_s=60, restart=True, memory_limit=None, weights=[], adopt=None,
    )  # fmt: skip


def test_an_engine_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    from homeport.free_ports import free_port

    ran = subprocess.run(
        [sys.executable, "-c", _HURRY], input=order(tmp_path, free_port("127.0.0.1")).line(), cwd=tmp_path,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    told = journal.load(tmp_path)
    assert told is not None
    assert (told.phase, told.restarts) == (journal.Phase.FAILED, MOST + 1)
    assert told.last is not None
    assert told.last.reason == "it ended with code 7: 6 ends within 10 minutes"
    assert ran.stderr.count("it is started again in") == MOST


def test_an_engine_that_never_was_healthy_is_not_started_again(tmp_path: Path) -> None:
    failing = replace(order(tmp_path, 1), command=[sys.executable, "-c", "raise SystemExit(3)"])
    ran = subprocess.run(
        [sys.executable, "-m", "homeport.supervisor"], input=failing.line(), cwd=tmp_path,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "not started again: it ended with code 3 before it was ready" in ran.stderr


def test_a_supervisor_without_an_order_ends(tmp_path: Path) -> None:
    begun = [sys.executable, "-m", "homeport.supervisor"]
    assert subprocess.run(begun, input="", cwd=tmp_path, text=True, timeout=300, check=False).returncode == 1


def test_a_supervisor_begins_without_what_takes_long_to_load() -> None:
    heavy = "('pydantic', 'click', 'httpx2', 'asyncio', 'psutil', 'dataclasses')"
    program = (
        f"import sys\nimport homeport.supervisor.__main__\nprint([m for m in {heavy} if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


class Rote:
    """An engine and its pulse, as a judge sees them, and the clock."""

    def __init__(self) -> None:
        self.now, self.used, self.held, self.heard = 1000.0, 0.0, 0, 1000.0
        self.healthy = self.ready = True
        self.works_since: float | None = None
        what = replace(order(Path("/"), 1), memory_limit=2**30, ready_within_s=600)
        self.judge = Judge(what, self, self, clock=lambda: self.now)  # type: ignore[arg-type]

    def cpu_seconds(self) -> float:
        return self.used

    def own_bytes(self) -> int:
        return self.held

    def after(self, seconds: int, *, cpu: float = 0.0, answers: bool = False) -> str | None:
        """The verdict after so many looks, one a second; the first that is none."""
        for _ in range(seconds):
            self.now += 1
            self.used += cpu
            self.heard = self.now if answers else self.heard
            if (verdict := self.judge.verdict()) is not None:
                return verdict
        return None


def test_who_works_and_does_not_answer_is_left_alone_for_as_long_as_a_start_may_take() -> None:
    rote = Rote()
    assert rote.after(599, cpu=0.9) is None
    assert rote.after(5, cpu=0.9) == "it has not answered for 601 s"


def test_who_does_not_answer_and_does_nothing_is_deaf_after_twenty_seconds() -> None:
    rote = Rote()
    assert rote.after(19) is None
    verdict = rote.after(5)
    assert verdict is not None
    assert "does nothing" in verdict


def test_who_answers_is_never_deaf_however_idle() -> None:
    assert Rote().after(3000, answers=True) is None


def test_who_says_that_it_works_and_does_nothing_is_stuck() -> None:
    rote = Rote()
    rote.works_since = rote.now
    assert rote.after(59, answers=True) is None
    verdict = rote.after(5, answers=True)
    assert verdict is not None
    assert "says that it works" in verdict


def test_who_begins_to_work_after_a_quiet_while_is_not_stuck() -> None:
    rote = Rote()
    assert rote.after(600, answers=True) is None
    rote.works_since = rote.now
    assert rote.after(3, cpu=0.05, answers=True) is None
    assert rote.after(300, cpu=0.05, answers=True) is None


def test_an_engine_works_since_the_first_of_the_looks_that_say_so_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = deque(["idle", "busy", "busy", None, "busy", "idle", "busy"])
    times = iter(range(1, 100))
    thread = pulse.PulseThread(
        replace(order(tmp_path, 1), pulse_path="/slots", busy="busy"), 1, "", healthy=True, wants_token=False
    )
    monkeypatch.setattr(thread, "_get", lambda _: told.popleft())
    monkeypatch.setattr(
        "homeport.supervisor.pulse.time", SimpleNamespace(monotonic=lambda: float(next(times)))
    )
    seen = []
    while told:
        thread._next_pulse = 0.0
        thread._listen()
        seen.append(thread.works_since)
    first, again = seen[1], seen[6]
    assert seen == [None, first, first, first, first, None, again]
    assert first is not None
    assert again is not None
    assert again > first


@pytest.mark.skipif(not COUNTS_MEMORY, reason="only Linux tells memory of one's own from mapped weights")
def test_too_much_memory_for_less_than_five_seconds_is_forgiven() -> None:
    rote = Rote()
    for _ in range(10):
        rote.held = 2**31
        assert rote.after(4, answers=True) is None
        rote.held = 0
        assert rote.after(1, answers=True) is None
    rote.held = 2**31
    verdict = rote.after(7, answers=True)
    assert verdict is not None
    assert f"for {judge.OVER_S:.0f} s, and 1.0 are its limit" in verdict


def test_a_supervisor_that_slept_blames_nobody_for_that_time() -> None:
    rote = Rote()
    rote.after(10)
    rote.now += 3600
    assert rote.after(15) is None


@pytest.mark.parametrize("seen", [True, False])
def test_one_that_fell_silent_right_after_its_first_token_is_known_to_have_been_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, seen: bool
) -> None:
    monkeypatch.setattr(pulse, "_PATIENCE_S", 0.05)
    timeline = {"process": 0.1} | ({"first_token": 0.01} if seen else {})
    (tmp_path / journal.RECORD).write_text(
        json.dumps({"pid": 4711, "start_ticks": "boot 1", "timeline": timeline})
    )
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        threads = [
            pulse.PulseThread(order(tmp_path, port), pid, ticks, healthy=False, wants_token=False)
            for pid, ticks in ((4711, "boot 1"), (4711, ""), (4712, "boot 1"), (4711, "boot 2"))
        ]
        for one in threads:
            one.start()
        deaf.settimeout(60)
        for _ in range(12):
            deaf.accept()[0].close()
        for one in threads:
            one.stop()
            one.join()
    assert [one.healthy for one in threads] == [seen, seen, False, False], (
        "the record is of the first process alone"
    )


def test_a_journal_of_another_kind_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", json.dumps({"phase": "odd"}), "null"):
        (tmp_path / "supervisor.json").write_text(text)
        assert journal.load(tmp_path) is None
