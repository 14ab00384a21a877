"""Real vLLM on the CPU serves the same Gemma, converted to safetensors. `make test-vllm` runs this."""

from __future__ import annotations

import json
import os

import httpx2
import psutil
import pytest

from conftest import ROOT, User
from test_up import processes_of

pytestmark = pytest.mark.vllm

SAFETENSORS = ROOT / ".cache" / "models" / "gemma-3-270m-safetensors"
VLLM = ROOT / ".venv-vllm" / "bin"
SECRET = "sk-of-the-test"


@pytest.fixture
def vllm(user: User, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{VLLM}")
    monkeypatch.setenv("MY_KEY", SECRET)
    user.write(
        f'model = "gemma-3-270m-pt"\nweights = "file:{SAFETENSORS}"\n'
        '[engine]\nkind = "vllm"\ncontext = 1024\nparallel = 2\n[local]\nport = 0\napi_key = "env:MY_KEY"\n'
    )
    return user


def test_gemma_is_served_verified_mended_and_taken_down(vllm: User) -> None:
    up = vllm.run("up", "--yes", "--json", code=None, timeout=900)
    assert up.code == 0, up.err
    outcomes = {result["name"]: result["outcome"] for result in up.json["report"]["results"]}
    assert outcomes["identity"] == outcomes["key"] == outcomes["context"] == outcomes["too-long"] == "passed"
    assert "failed" not in outcomes.values()
    assert "Paris" in vllm.run("chat", "What is the capital of France?").out
    assert "nothing to do" in vllm.run("up", "--yes").err

    _nothing_shows_the_key(vllm)
    _the_parent_alone_is_killed_and_nothing_is_left(vllm)


def test_an_unknown_flag_is_told_by_its_name(vllm: User) -> None:
    spec = vllm.folder / "homeport.toml"
    spec.write_text(spec.read_text().replace("parallel = 2", 'parallel = 2\nextra_args = ["--no-such-flag"]'))
    refused = vllm.run("up", "--yes", "--no-verify", code=10, timeout=300)
    assert "vLLM does not know: --no-such-flag" in refused.err
    assert processes_of(vllm) == []


def _nothing_shows_the_key(user: User) -> None:
    status = user.run("status", "--json").json[0]
    running = _family(user)
    assert len(running) > 1
    seen = [" ".join(process.cmdline()) + json.dumps(process.environ()) for process in running]
    seen += [path.read_text(errors="replace") for path in user.home.rglob("*") if path.is_file()]
    assert not any(SECRET in text for text in seen)
    root = status["url"].removesuffix("/v1")
    assert httpx2.get(f"{root}/health", trust_env=False).status_code == 200
    assert httpx2.post(f"{root}/invocations", json={}, trust_env=False).status_code == 401


def _the_parent_alone_is_killed_and_nothing_is_left(user: User) -> None:
    family = _family(user)
    family[0].kill()
    psutil.wait_procs(family[:1], timeout=30)
    assert any(process.is_running() for process in family[1:]), "vLLM's workers outlive their parent"
    assert "dead" in user.run("status", code=20).out
    user.run("down")
    assert not [process for process in family if process.is_running()]


def _family(user: User) -> list[psutil.Process]:
    parent = psutil.Process(int(user.run("status", "--json").json[0]["pid"]))
    return [parent, *parent.children(recursive=True)]
