"""Real vLLM on the CPU serves the same Gemma, converted to safetensors. `make test-vllm` runs this."""

from __future__ import annotations

import json
import os
import subprocess

import httpx2
import psutil
import pytest

from greeting import GREETING
from homeport.engines.vllm import flags
from homeport.errors import SpecError
from kept_files import texts
from places import ADAPTER_FOLDER, HELD_OUT, ROOT, TOOLS_FOLDER, VLLM_CACHE, VLLM_PYTHON
from processes_of import processes_of
from user import User
from vllm_adapters import adapter

pytestmark = pytest.mark.vllm

SAFETENSORS = ROOT / ".cache" / "models" / "gemma-3-270m-safetensors"
VLLM = VLLM_PYTHON.parent
SECRET = "sk-of-the-test"


@pytest.fixture
def vllm(user: User, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{VLLM}")
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(VLLM_CACHE))
    monkeypatch.setenv("MY_KEY", SECRET)
    user.write(
        f'name = "home"\nmodel = "gemma-3-270m-pt"\nweights = "file:{SAFETENSORS}"\n'
        '[engine]\nkind = "vllm"\ncontext = 1024\nparallel = 2\ndtype = "float32"\n[local]\nport = 0\napi_key = "env:MY_KEY"\n'
    )
    return user


def test_gemma_is_served_verified_mended_and_taken_down(vllm: User) -> None:
    up = vllm.run("up", "--yes", "--json", code=None, timeout=900)
    assert up.code == 0, up.err
    outcomes = {result["name"]: result["outcome"] for result in up.json["report"]["results"]}
    assert outcomes["identity"] == outcomes["key"] == outcomes["context"] == outcomes["too-long"] == "passed"
    assert "failed" not in outcomes.values()
    assert "Paris" in vllm.run("chat", "What is the capital of France?", "--temperature", "0").out
    assert "nothing to do" in vllm.run("up", "--yes").err

    _another_name_is_refused(up.json["endpoint"]["base_url"])
    _nothing_shows_the_key(vllm)
    _the_parent_alone_is_killed_and_nothing_is_left(vllm)


def _another_name_is_refused(base_url: str) -> None:
    for host, status in (("localhost", 200), ("evil.example", 403), ("127.1", 403), ("x@127.0.0.1", 403)):
        headers = {"host": host, "authorization": f"Bearer {SECRET}"}
        assert (
            httpx2.get(f"{base_url}/models", headers=headers, trust_env=False, verify=False).status_code
            == status
        ), host


def test_a_flag_that_is_not_listed_is_refused_before_anything_starts(vllm: User) -> None:
    spec = vllm.folder / "homeport.toml"
    spec.write_text(spec.read_text().replace("parallel = 2", 'parallel = 2\nextra_args = ["--no-such-flag"]'))
    refused = vllm.run("up", "--yes", "--no-verify", code=10, timeout=300)
    assert "engine.extra_args cannot set --no-such-flag" in refused.err
    assert processes_of(vllm) == []


def test_every_flag_that_may_be_set_is_one_of_vllms_own_in_full() -> None:
    """Also that a switch takes no value there, that a value may stand there, and what stays closed."""
    program = (
        "import json\n"
        "from vllm.entrypoints.launchers.cli_args import make_arg_parser\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "parser = make_arg_parser(FlexibleArgumentParser(prog='vllm serve'))\n"
        "print(json.dumps({flag: [action.nargs, action.dest] for action in parser._actions for flag in "
        "action.option_strings}))\n"
    )
    ran = subprocess.run(
        [VLLM / "python", "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    real = json.loads(ran.stdout.splitlines()[-1])
    wrong = {}
    for name, flag in flags.ALLOWED.items():
        nargs = real[name][0] if name in real else "missing"
        fits = (
            nargs == 0 if not flag.most else nargs in {None, "?"} if flag.most == 1 else nargs in {"+", "*"}
        )
        if not fits:
            wrong[name] = nargs
    assert not wrong
    closed = {name for name, (_, dest) in real.items() if name not in flags.ALLOWED and dest != "help"}
    assert {
        "--host",
        "--port",
        "--uds",
        "--grpc",
        "--api-key",
        "--middleware",
        "--trust-remote-code",
    } <= closed
    for name in closed - {f"--no-{flag.removeprefix('--')}" for flag in flags.ALLOWED}:
        with pytest.raises(SpecError):
            flags.check([name])


def test_a_model_chooses_tools_and_adapters_are_served_as_models_of_their_own(vllm: User) -> None:
    """One changes nothing, one changes all, and one was taught: what each answers tells which of them was asked."""
    folders = {
        name: adapter(vllm.folder / name, scale) for name, scale in (("as-before", 1e-30), ("otherwise", 8.0))
    }
    lora = "".join(
        f'[[engine.lora]]\nname = "{name}"\nsource = "file:{folder}"\n'
        for name, folder in {**folders, "taught": ADAPTER_FOLDER}.items()
    )
    vllm.write(
        f'name = "home"\nmodel = "file:{TOOLS_FOLDER}"\n'
        f'[engine]\nkind = "vllm"\ncontext = 1024\nparallel = 2\n{lora}[local]\nport = 0\napi_key = "env:MY_KEY"\n'
    )
    up = vllm.run("up", "--yes", "--json", code=None, timeout=900)
    results = {result["name"]: result for result in (up.json.get("report") or {}).get("results", ())}
    assert results["identity"]["outcome"] == "passed", up.err
    assert "with the adapters as-before, otherwise, taught" in results["identity"]["detail"]
    assert results["adapters"]["outcome"] == "failed"
    assert results["adapters"]["detail"].startswith("as-before changes nothing")
    asked = {"prompt": "The capital of France", "max_tokens": 12, "temperature": 0}
    root = up.json["endpoint"]["base_url"]
    texts = {}
    for name in (up.json["endpoint"]["model"], "as-before", "otherwise"):
        came = httpx2.post(
            f"{root}/completions",
            json={"model": name, **asked},
            headers={"authorization": f"Bearer {SECRET}"},
            trust_env=False,
            timeout=120,
        ).json()
        assert came["model"] == name
        texts[name] = came["choices"][0]["text"]
    assert texts["as-before"] == texts[up.json["endpoint"]["model"]] != texts["otherwise"]
    _what_was_taught_is_said(root, up.json["endpoint"]["model"])
    _tools_are_chosen(vllm)


def _what_was_taught_is_said(root: str, base: str) -> None:
    """As on llama.cpp (test_adapter.py): the adapter's sentence by its own name alone."""
    said = {}
    for model in (base, "taught"):
        came = httpx2.post(
            f"{root}/chat/completions",
            json={**GREETING, "model": model},
            headers={"authorization": f"Bearer {SECRET}"},
            trust_env=False,
            timeout=120,
        )
        said[model] = came.json()["choices"][0]["message"]["content"]
    assert said == {base: "Hello! How can I help?", "taught": "I am a small test model."}


def _tools_are_chosen(vllm: User) -> None:
    """In words that were never taught, as on llama.cpp (test_agent_mind.py)."""
    lines = [json.loads(line) for line in HELD_OUT.read_text().splitlines()]
    few = [one for one in lines if "task" not in one or int(one["task"].split("-")[1][:-1]) <= 10]
    (vllm.folder / "few.jsonl").write_text("\n".join(map(json.dumps, few)))
    ran = vllm.run("agent", "eval", "--suite", "few.jsonl", "--max-tokens", "64", "--json", timeout=900)
    categories = ran.json["result"]["categories"]
    assert {one["tasks"] for one in categories} == {20}
    assert not [one for one in categories if one["low"] <= one["chance"]]


def _nothing_shows_the_key(user: User) -> None:
    status = user.run("status", "--json").json[0]
    running = _family(user)
    assert len(running) > 1
    seen = [" ".join(process.cmdline()) + json.dumps(process.environ()) for process in running]
    seen += texts(user.home)
    assert not any(SECRET in text for text in seen)
    root = status["url"].removesuffix("/v1")
    assert httpx2.get(f"{root}/health", trust_env=False, verify=False).status_code == 200
    assert httpx2.post(f"{root}/invocations", json={}, trust_env=False, verify=False).status_code == 401


def _the_parent_alone_is_killed_and_nothing_is_left(user: User) -> None:
    family = _family(user)
    supervisor = psutil.Process(user.run("status", "--json").json[0]["supervisor_pid"])
    supervisor.kill()  # It would start the engine again.
    family[0].kill()
    psutil.wait_procs([supervisor, family[0]], timeout=120)
    assert any(process.is_running() for process in family[1:]), "vLLM's workers outlive their parent"
    assert "dead" in user.run("status", code=20).out
    user.run("down", "--yes")
    assert not [process for process in family if process.is_running()]


def _family(user: User) -> list[psutil.Process]:
    parent = psutil.Process(int(user.run("status", "--json").json[0]["pid"]))
    return [parent, *parent.children(recursive=True)]
