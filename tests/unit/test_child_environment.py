"""What a program that homeport starts is given of homeport's own environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.child_environment import COMMON, inherited, names_secret, without_secrets
from homeport.engines import names, registry
from places import ROOT
from planted_variables import PLANTED


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


def test_what_is_kept_from_a_tool_is_told_by_its_name_alone() -> None:
    env = {"A_TOKEN": "1", "B": "2", "C_KEY": "3"}
    assert without_secrets(env, own=("C_*",)) == {"B": "2", "C_KEY": "3"}


def test_the_page_lists_every_variable_that_engines_take() -> None:
    page = (ROOT / "docs" / "secrets.md").read_text()
    for name in (*COMMON, *(name for engine in names.NAMES for name in registry.module(engine).INHERITS)):
        assert f"`{name}`" in page, name
