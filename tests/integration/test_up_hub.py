"""`homeport up` with weights from a hub: a small one on loopback that speaks the real API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import Hub
from places import TAUGHT
from processes_of import processes_of
from user import User

pytestmark = pytest.mark.long

SPEC = 'model = "hf:some-org/taught:taught.gguf"\n[engine]\ncontext = 512\n[local]\nport = 0\n'


@pytest.fixture
def hub(user: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub:
        hub.push("some-org/taught", {"taught.gguf": TAUGHT.read_bytes(), "README.md": b"hello"})
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        user.write(SPEC)
        yield hub


def fetched(user: User) -> Path:
    return Path(user.run("weights", "--json").json[0]["folder"]) / "taught.gguf"


def test_a_model_from_a_hub_is_fetched_once_pinned_and_served(user: User, hub: Hub) -> None:
    plan = user.run("plan").out
    assert "hf:some-org/taught:taught.gguf" in plan
    assert "fits        yes: about" in plan, "its header was asked for"
    up = user.run("up", "--yes", "--no-verify")
    assert "fetched" in up.err
    asked = len(hub.requests)
    user.run("down", "--yes")
    user.run("up", "--yes", "--no-verify")
    assert len(hub.requests) == asked, "the second start asks nobody"
    revision = user.run("status", "--json").json[0]["weights"]["revision"]
    assert len(revision) == 40, "a commit"


def test_a_corrupted_byte_is_found_and_mended(user: User, hub: Hub) -> None:
    user.run("up", "--yes", "--no-verify")
    user.run("down", "--yes")
    file = fetched(user).resolve()
    whole = file.read_bytes()
    file.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    assert "taught.gguf" in user.run("weights", "check", code=12).out
    user.run("up", "--yes", "--no-verify")
    assert fetched(user).read_bytes() == whole
    assert "all whole" in user.run("weights", "check").out


def test_weights_that_change_under_a_running_endpoint_fail_its_verification(user: User, hub: Hub) -> None:
    user.run("up", "--yes", "--no-verify")
    file = fetched(user).resolve()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    report = user.run("verify", "--only", "identity", "--json", code=3).json
    assert "have changed" in report["results"][0]["detail"]


def test_an_up_that_was_killed_while_it_fetched_is_completed_by_the_next(user: User, hub: Hub) -> None:
    size = TAUGHT.stat().st_size
    hub.faults("taught.gguf").stall_after = size // 2
    doomed = user.begin("up", "--yes", "--no-verify")
    assert doomed.stderr is not None
    assert hub.stalled.wait(300)
    doomed.kill()
    doomed.communicate(timeout=120)
    hub.faults("taught.gguf").stall_after = None
    user.run("up", "--yes", "--no-verify")
    assert len(processes_of(user)) == 1
    assert fetched(user).read_bytes() == TAUGHT.read_bytes()


def test_a_gated_model_is_told_with_the_page_to_accept_its_licence_on(user: User, hub: Hub) -> None:
    hub.push("some-org/gated", {"taught.gguf": TAUGHT.read_bytes()}, gated=True)
    user.write(SPEC.replace("taught:", "gated:"))
    refused = user.run("up", "--yes", code=13)
    assert f"{hub.address}/some-org/gated" in refused.err
    assert "HF_TOKEN" in refused.err
    assert processes_of(user) == []


def test_a_hub_that_cannot_be_reached_is_one_clear_error(user: User, hub: Hub) -> None:
    refused = user.run("up", "--yes", code=19, HF_ENDPOINT="http://127.0.0.1:9")
    assert "127.0.0.1:9" in refused.err
    assert "Traceback" not in refused.err


def test_a_repository_that_is_not_there_is_told(user: User, hub: Hub) -> None:
    user.write(SPEC.replace("some-org/taught", "some-org/nothing"))
    refused = user.run("up", "--yes", code=13)
    assert "some-org/nothing" in refused.err
    assert "or it is not there" in refused.err, "the hub does not tell strangers which"


def test_a_model_of_a_hub_that_cannot_fit_is_refused_by_its_header(user: User, hub: Hub) -> None:
    user.write(SPEC.replace("context = 512", "context = 8192\nparallel = 256\nkv_dtype = 'auto'"))
    before = hub.served["taught.gguf"]
    user.run("plan")
    assert hub.served["taught.gguf"] - before <= 2 << 20, (
        "at most the first megabyte, and what was on its way"
    )
    user.write(SPEC.replace("context = 512", "context = 9000"))
    assert "was made for 8192 tokens" in user.run("up", "--yes", code=10).err
    assert not list(user.home.rglob("taught.gguf"))
