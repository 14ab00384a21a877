"""`homeport up` and what follows, with the real engine on the real Gemma 3 270M."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import homeport
from homeport.free_ports import free_port
from homeport.resources.local.process_tree import MARK
from kept_files import texts
from places import TAUGHT
from processes_of import all_of, lives, pid, processes_of, spec
from shared_endpoint import SharedEndpoint, shared_endpoint
from user import HOMEPORT, User

TINY = spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedEndpoint]:
    """One endpoint for those of these tests that leave it as it is."""
    with shared_endpoint(tmp_path_factory.mktemp("shared")) as found:
        yield found


@pytest.fixture
def standing(shared: SharedEndpoint, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user whose tiny model runs, and must run on as it does."""
    return shared.user(monkeypatch, TINY)


@pytest.fixture
def served(user: User) -> User:
    """A user whose tiny model runs."""
    user.write(TINY)
    user.run("up", "--yes", "--no-verify")
    return user


@pytest.mark.long
def test_the_real_gemma_is_served_verified_and_answers(user: User, real_weights: Mapping[str, Path]) -> None:
    more = f'weights = "file:{real_weights["gemma-3-270m-pt"]}"'
    user.write(spec("gemma-3-270m-pt", more=f"{more}\n[engine]\ncontext = 1024\nparallel = 2"))
    up = user.run("up", "--yes", "--json")
    report = up.json["report"]
    assert report["passed"]
    assert {result["outcome"] for result in report["results"]} == {"passed", "skipped", "noted"}
    assert set(up.json["timeline_s"]) == {"fetch", "process", "load", "first_token"}
    assert user.run("chat", "What is the capital of France?", "--temperature", "0").out.strip() == "Paris."
    assert user.run("status", "--json").json[0]["verified"]["passed"]


def test_a_second_up_does_nothing(standing: User) -> None:
    before = pid(standing)
    again = standing.run("up", "--yes", "--no-verify")
    assert "nothing to do" in again.err
    assert pid(standing) == before


def test_a_second_up_asks_for_its_token_without_a_library_of_http_or_of_checks(standing: User) -> None:
    heavy = "('httpx2', 'rich', 'homeport.verify', 'homeport.google', 'homeport.engines.vllm.engine')"
    program = f"import sys\nfrom homeport.cli import run\nrun(['up', '--no-verify'])\nprint([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=standing.folder
    )
    assert "nothing to do" in ran.stderr
    assert ran.stdout.splitlines()[-1] == "[]"


def test_status_finds_the_endpoint_from_any_directory(served: User, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert served.run("status", cwd=elsewhere).out.splitlines()[1].split()[:2] == ["home", "ready"]
    assert "OPENAI_BASE_URL" in served.run("env", cwd=elsewhere).out
    assert served.run("logs", cwd=elsewhere).out
    served.run("down", "--yes", cwd=elsewhere)
    assert served.run("status").out == ""


def test_the_process_survives_the_one_that_started_it_and_its_session(standing: User) -> None:
    process = psutil.Process(pid(standing))
    supervisor = process.parent()
    assert supervisor is not None
    assert supervisor.pid == standing.run("status", "--json").json[0]["supervisor_pid"]
    assert supervisor.ppid() in {1, os.getpid()} or psutil.Process(supervisor.ppid()).name() != "python"
    assert os.getsid(process.pid) == process.pid
    assert os.getsid(supervisor.pid) == supervisor.pid


def test_a_changed_spec_restarts_the_process(served: User) -> None:
    before = pid(served)
    served.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 1024"))
    plan = served.run("plan", "--detailed-exitcode", code=2)
    assert "--context: 512 → 1024" in plan.out
    served.run("up", "--yes", "--no-verify")
    assert pid(served) != before
    assert processes_of(served) == [pid(served)]
    served.run("plan", "--detailed-exitcode", code=0)


def test_an_engine_that_was_killed_with_its_supervisor_is_seen_and_mended(served: User) -> None:
    before = pid(served)
    os.kill(served.run("status", "--json").json[0]["supervisor_pid"], signal.SIGKILL)
    os.kill(before, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(before)] if psutil.pid_exists(before) else [], timeout=60)
    status = served.run("status", code=20)
    assert "dead" in status.out
    assert "mends it" in status.err
    served.run("chat", "hello", code=20)
    served.run("up", "--yes", "--no-verify")
    assert pid(served) != before


@pytest.mark.long
@pytest.mark.lasts(20)
def test_an_engine_that_hangs_is_restarted(served: User) -> None:
    before = pid(served)
    os.kill(before, signal.SIGSTOP)
    assert "unresponsive" in served.run("status", code=20).out
    served.run("up", "--yes", "--no-verify")
    assert pid(served) != before
    assert not lives(before)


def test_down_ends_every_process_orphans_too(served: User) -> None:
    orphan = subprocess.Popen(
        ["sleep", "600"],
        env={**os.environ, MARK: str(served.home / "endpoints" / "home")},
        start_new_session=True,
    )
    out = served.run("down", "--yes").out
    assert "removed process of home" in out
    assert orphan.wait(timeout=60) != 0
    assert all_of(served) == []
    assert "nothing to remove" in served.run("down", "--yes").out


def test_a_pid_that_came_back_as_another_process_is_not_touched(served: User) -> None:
    record = served.home / "endpoints" / "home" / "record.json"
    served.run("down", "--yes")
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        served.run("up", "--yes", "--no-verify")
        told = json.loads(record.read_text())
        engine = told["pid"]
        os.kill(int(told["supervisor"]["pid"]), signal.SIGKILL)
        record.write_text(json.dumps({**told, "pid": stranger.pid}))
        journal = record.with_name("supervisor.json")
        journal.write_text(json.dumps({**json.loads(journal.read_text()), "engine_pid": stranger.pid}))
        assert "dead" in served.run("status", code=20).out
        served.run("down", "--yes")
        assert stranger.poll() is None
        assert not lives(engine)
    finally:
        stranger.kill()
        stranger.wait()


def test_two_ups_at_once_start_one_engine(user: User) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512"))
    both = [user.begin("up", "--yes", "--no-verify") for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert len(processes_of(user)) == 1


@pytest.mark.parametrize("moment", ["weights", "lock", "starting", "record.json"])
def test_an_up_that_was_killed_is_completed_by_the_next(user: User, moment: str) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512"))
    doomed = user.begin("up", "--yes", "--no-verify")
    assert doomed.stderr is not None
    if moment in {"weights", "starting"}:
        for line in doomed.stderr:
            if moment in line:
                break
    else:
        seen = user.home / "endpoints" / "home" / moment
        while not seen.exists() and doomed.poll() is None:
            threading.Event().wait(0.002)
    doomed.kill()
    doomed.communicate(timeout=120)
    user.run("up", "--yes", "--no-verify")
    assert len(processes_of(user)) == 1
    assert user.run("status", "--json").json[0]["state"] == "ready"
    user.run("down", "--yes")
    assert all_of(user) == []


@pytest.mark.parametrize("moment", ["starting", "record.json"])
def test_ctrl_c_leaves_what_up_completes_and_down_removes(user: User, moment: str) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512"))
    doomed = user.begin("up", "--yes", "--no-verify")
    assert doomed.stderr is not None
    if moment == "starting":
        for line in doomed.stderr:
            if moment in line:
                break
    else:
        while not (user.home / "endpoints" / "home" / moment).exists() and doomed.poll() is None:
            threading.Event().wait(0.002)
    doomed.send_signal(signal.SIGINT)
    _, err = doomed.communicate(timeout=120)
    assert "Traceback" not in err
    if doomed.returncode != 0:
        assert doomed.returncode == 130
        assert "goes on from here" in err
    user.run("up", "--yes", "--no-verify")
    assert len(processes_of(user)) == 1
    user.run("down", "--yes")
    assert all_of(user) == []


def test_a_taken_port_is_told_with_its_owner_and_a_free_one(user: User) -> None:
    with socket.socket() as taken:
        # The next one is offered, which no outgoing connection takes meanwhile.
        port = free_port("127.0.0.1")
        taken.bind(("127.0.0.1", port))
        taken.listen()
        user.write(spec(f"file:{TAUGHT}", port=port))
        refused = user.run("up", "--yes", "--no-verify", code=16)
        assert f"port {port} on 127.0.0.1 is taken by" in refused.err
        assert f"pid {os.getpid()}" in refused.err
        offer = refused.err.split("--port ")[1].split("`")[0]
        user.run("up", "--yes", "--no-verify", "--port", offer)
        assert user.run("status", "--json").json[0]["url"] == f"http://127.0.0.1:{offer}/v1"


def test_a_port_found_free_is_below_those_that_systems_give_to_outgoing_connections() -> None:
    assert {free_port("127.0.0.1") < 32768 for _ in range(100)} == {True}


def test_a_taken_port_leaves_the_old_endpoint_serving(standing: User) -> None:
    before = pid(standing)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        standing.run("up", "--yes", "--no-verify", "--port", str(taken.getsockname()[1]), code=16)
    assert pid(standing) == before
    assert standing.run("status", "--json").json[0]["state"] == "ready"


def test_a_key_is_wanted_and_never_seen(user: User) -> None:
    secret = "a-secret-that-nobody-sees"
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512", local='api_key = "env:MY_KEY"'))
    assert "MY_KEY" in user.run("up", "--yes", code=10).err
    up = user.run("up", "--yes", "--no-verify", MY_KEY=secret)
    engine = psutil.Process(pid(user))
    dumped = [up.out, up.err, " ".join(engine.cmdline()), json.dumps(engine.environ())]
    dumped += [user.run("plan", "--json", MY_KEY=secret).out, user.run("status", "--json", MY_KEY=secret).out]
    dumped += texts(user.home)
    assert not any(secret in text for text in dumped)
    assert secret in user.run("env", MY_KEY=secret).out
    user.run("chat", "hello", MY_KEY="wrong", code=22)
    assert user.run("status", "--json").json[0]["state"] == "ready", (
        "without the key it is still seen to live"
    )
    assert "api key: *** → *** (another)" in user.run("plan", MY_KEY="one-more-key-of-mine").out


def test_weights_that_were_cut_in_half_are_one_clear_error(user: User) -> None:
    (user.folder / "half.gguf").write_bytes(TAUGHT.read_bytes()[: TAUGHT.stat().st_size // 2])
    user.write(spec("half.gguf"))
    refused = user.run("up", "--yes", code=12)
    assert "half.gguf" in refused.err
    assert "Traceback" not in refused.err
    assert all_of(user) == []


def test_a_model_too_large_for_the_memory_is_refused_before_it_starts(
    user: User, real_weights: Mapping[str, Path]
) -> None:
    source = real_weights["gemma-3-270m-pt"]
    user.write(
        spec("gemma-3-270m-pt", more=f'weights = "file:{source}"\n[engine]\ncontext = 32768\nparallel = 256')
    )
    refused = user.run("up", "--yes", code=18)
    assert "GiB" in refused.err
    assert "engine.context" in refused.err


def test_a_context_beyond_the_model_is_refused(user: User) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 9000000"))
    assert "was made for" in user.run("up", "--yes", code=10).err


def test_an_unknown_model_gets_suggestions(user: User) -> None:
    user.write(spec("gema-3-270m-pt"))
    assert "did you mean gemma-3-270m-pt" in user.run("up", "--yes", code=11).err


def test_a_parameter_that_the_engine_does_not_know_is_told(user: User) -> None:
    user.write(spec(f"file:{TAUGHT}", more='[engine]\ncontext = 512\nextra_args = ["nonsense=1"]'))
    refused = user.run("up", "--yes", code=10).err
    assert "'nonsense' is not among the parameters" in refused
    assert "docs/extra-args.md" in refused
    assert all_of(user) == []


def test_a_change_that_fails_leaves_the_old_endpoint_serving(user: User) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512"))
    user.run("up", "--yes", "--no-verify")
    before = user.run("status", "--json").json[0]
    # That a template does not parse is said by llama.cpp alone, when it starts.
    (user.folder / "template.jinja").write_text("{{ messages[0].content | nofilter }}")
    user.write(spec(f"file:{TAUGHT}", more='[engine]\ncontext = 512\nchat_template = "template.jinja"'))
    refused = user.run("up", "--yes", "--no-verify", code=15)
    assert "what served before is started again" in refused.err
    after = user.run("status", "--json").json[0]
    assert (after["state"], after["url"]) == ("ready", before["url"])
    assert user.run("chat", "Hello").out
    user.run("down", "--yes")


def test_purge_leaves_weights_that_another_endpoint_serves_and_needs_no_key(user: User) -> None:
    for name in ("one", "two"):
        user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512", name=name))
        user.run("up", "--yes", "--no-verify")
    assert "stays: two serves it" in user.run("down", "--yes", "one", "--purge").err
    assert user.run("chat", "--help").out
    user.run("down", "--yes", "two", "--purge")
    assert TAUGHT.exists(), "the user's own file is never removed"


@pytest.mark.parametrize(
    ("host", "said"),
    [("10.99.99.99", "cannot listen on local.host '10.99.99.99'"), ("[::1]", "without brackets")],
)
def test_an_address_that_this_machine_has_not_is_told(user: User, host: str, said: str) -> None:
    user.write(spec(f"file:{TAUGHT}", local=f'host = "{host}"\napi_key = "env:K"'))
    assert said in user.run("up", "--yes", code=10, K="k").err


def test_ctrl_c_at_the_question_is_heard_at_once(user: User) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512"))
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [*HOMEPORT, "up"], cwd=user.folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while b"[Y/n]" not in shown:
        shown += os.read(ours, 1000)
    # It may come in the microseconds between the question and its reading, where Python only notes it: nobody types so fast.
    for _ in range(3):
        asked.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            asked.wait(60)
            break
    assert asked.returncode == 130
    os.close(ours)
    assert all_of(user) == []


def test_an_engine_that_is_not_installed_is_told_with_what_to_do(user: User) -> None:
    user.write(spec("gemma-4-e2b", more='[engine]\nkind = "ollama"'))
    refused = user.run("up", "--yes", code=14, PATH="/nowhere")
    assert "ollama" in refused.err
    assert "do:" in refused.err


def test_a_home_that_cannot_be_written_is_one_clear_error(user: User, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    user.write(spec(f"file:{TAUGHT}"))
    refused = user.run("up", "--yes", code=21, HOMEPORT_HOME=str(blocked / "home"))
    assert "HOMEPORT_HOME" in refused.err


def test_the_python_api_does_the_same(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512"))
    monkeypatch.chdir(user.folder)
    assert [action.kind for action in homeport.plan().actions] == ["create", "create"]
    endpoint = homeport.up(verify=False)
    assert endpoint.ask("Hello", max_tokens=4)
    assert homeport.connect("home") == endpoint
    nowhere = f"http://127.0.0.1:{free_port('127.0.0.1')}/v1"
    elsewhere = replace(homeport.connect("home"), base_url=nowhere)
    report = elsewhere.verify()
    assert isinstance(report, homeport.Report)
    told = {result.name: result.outcome for result in report.results}
    assert (told["identity"], told["chat"]) == ("failed", "skipped"), "a copy is asked where it says"
    assert homeport.status()[0].verified is None, "which proves nothing of what serves here"
    assert [status.state for status in homeport.status()] == ["ready"]
    assert homeport.down("home")
    assert homeport.status() == []
