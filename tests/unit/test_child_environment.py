"""What a program that homeport starts is given of homeport's own environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.child_environment import COMMON, inherited, names_secret, without_secrets
from homeport.engines import names, registry
from homeport.google.gcloud import find
from homeport.weights.sources import pip
from places import ROOT, TAUGHT
from user import User

PLANTED = {
    "OPENAI_API_KEY": "sk-planted-openai",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/planted",
    "VLLM_API_KEY": "sk-planted-vllm",
    "LLAMA_API_KEY": "sk-planted-llama",
    "LLAMA_ARG_HOST": "planted.example",
    "OLLAMA_API_KEY": "sk-planted-ollama",
    "OLLAMA_ORIGINS": "planted.example",
    "HF_TOKEN": "hf_planted",
    "AWS_SECRET_ACCESS_KEY": "planted-aws",
    "ANTHROPIC_API_KEY": "sk-planted-other",
    "GOOGLE_APPLICATION_CREDENTIALS": "/planted.json",
    "CLOUDSDK_AUTH_ACCESS_TOKEN": "ya29.planted",
    "CUDA_LICENCE_KEY": "planted-cuda",
    "PYTHON_KEYRING_PASSWORD": "planted-python",
    "DATABASE_URL": "postgres://planted@db",
    "MY_OWN": "sk-planted-own",
    "OMP_PLANTED": "sk-planted-threads",
}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("planted")
def test_a_real_engine_has_none_of_the_variables_that_are_not_on_its_list(user: User) -> None:
    """Also not the one that holds its own key, though a pattern would take it."""
    user.write(
        f'model = "file:{TAUGHT}"\n[engine]\ncontext = 512\n[local]\nport = 0\napi_key = "env:OMP_PLANTED"\n'
    )
    user.run("up", "--yes", "--no-verify")
    leader = psutil.Process(user.run("status", "--json").json[0]["pid"])
    for process in (leader, *leader.children(recursive=True)):
        environment = process.environ()
        assert PLANTED.keys().isdisjoint(environment)
        assert "planted" not in " ".join(environment.values())
        assert environment["PATH"] == os.environ["PATH"]
        assert environment["PYTHONPATH"] == os.environ["PYTHONPATH"], (
            "which keeps engines of tests off the network"
        )
        allowed = {*inherited(registry.module("llamacpp").INHERITS), "GGML_NO_BACKTRACE", "GOMP_SPINCOUNT"}
        assert {name for name in environment if name not in allowed} <= {
            "HOMEPORT_ENDPOINT_FOLDER",
            "PYTHONUNBUFFERED",
        }


@pytest.mark.parametrize("name", names.NAMES)
def test_no_engine_asks_for_a_secret_or_for_what_homeport_decides(name: str) -> None:
    taken = inherited(
        registry.module(name).INHERITS, env={**PLANTED, "OLLAMA_HOST": "0.0.0.0", "PATH": "/bin"}
    )
    assert taken == {"PATH": "/bin", "OMP_PLANTED": PLANTED["OMP_PLANTED"]}


def test_vllm_is_not_told_to_open_what_homeport_keeps_shut() -> None:
    opening = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_INSECURE_SERIALIZATION": "1",
               "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_PLUGINS": "x"}  # fmt: skip
    kept = {"VLLM_CPU_KVCACHE_SPACE": "4", "HF_HOME": "/hf", "CUDA_VISIBLE_DEVICES": "1"}
    assert inherited(registry.module("vllm").INHERITS, env={**opening, **kept}) == kept


def test_ollama_which_pulls_its_weights_has_the_proxies_and_others_have_none() -> None:
    proxy = {"https_proxy": "http://127.0.0.1:3128", "NO_PROXY": "localhost"}
    assert inherited(registry.module("ollama").INHERITS, env=proxy) == proxy
    assert inherited(registry.module("llamacpp").INHERITS, env=proxy) == {}
    assert inherited(registry.module("vllm").INHERITS, env=proxy) == {}


@given(
    st.from_regex(r"[A-Z]{1,6}(_[A-Z]{1,6}){0,3}_(KEY|TOKEN|SECRET|PASSWORD)(_[A-Z]{1,4})?", fullmatch=True)
)
def test_a_pattern_never_takes_a_variable_that_is_named_as_a_secret(name: str) -> None:
    assert names_secret(name)
    assert inherited(("*",), env={name: "x"}) == {}


def test_words_that_only_look_alike_are_no_secrets() -> None:
    for name in ("VLLM_MAX_TOKENS_PER_EXPERT", "KEYBOARD", "PWD", "TOKENIZERS_PARALLELISM", "PATH"):
        assert not names_secret(name)


@pytest.mark.usefixtures("planted")
def test_pip_has_the_settings_of_the_user_and_none_of_their_other_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nenv > {seen}\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PIP_INDEX_TOKEN", "of-pip")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(Exception, match="pip"):
        pip.resolve("anything")
    told = seen.read_text()
    assert "PIP_INDEX_TOKEN=of-pip" in told
    assert "HTTPS_PROXY=http://127.0.0.1:9" in told
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "CLOUDSDK_AUTH_ACCESS_TOKEN"):
        assert name not in told


@pytest.mark.usefixtures("planted")
def test_gcloud_has_what_is_its_own_and_none_of_the_other_secrets(tmp_path: Path) -> None:
    command = tmp_path / "gcloud"
    command.write_text(f"#!/bin/sh\nenv > {tmp_path / 'seen'}\necho someone@example.com\n")
    command.chmod(0o755)
    found = find({**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert found is not None
    assert found.who() == "someone@example.com"
    told = (tmp_path / "seen").read_text()
    assert "CLOUDSDK_AUTH_ACCESS_TOKEN=ya29.planted" in told
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        assert name not in told


def test_what_is_kept_from_a_tool_is_told_by_its_name_alone() -> None:
    env = {"A_TOKEN": "1", "B": "2", "C_KEY": "3"}
    assert without_secrets(env, own=("C_*",)) == {"B": "2", "C_KEY": "3"}


def test_the_page_lists_every_variable_that_engines_take() -> None:
    page = (ROOT / "docs" / "secrets.md").read_text()
    for name in (*COMMON, *(name for engine in names.NAMES for name in registry.module(engine).INHERITS)):
        assert f"`{name}`" in page, name
