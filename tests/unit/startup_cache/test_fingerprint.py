"""A cache is used for the start that it fits, and for no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from homeport.engines.base import CacheableStart, Launch
from homeport.engines.names import NAMES
from homeport.engines.registry import module
from homeport.engines.vllm.flags import ALLOWED
from homeport.startup_cache.fingerprint import CacheOrigin, fingerprint

COMMAND = ("vllm", "serve", "/models", "--served-model-name", "home", "--host", "0.0.0.0", "--port", "8080", "--max-model-len", "8192")  # fmt: skip


def vllm() -> CacheableStart:
    kept = module("vllm").STARTUP_CACHE
    assert kept is not None
    return kept


def origin(command: tuple[str, ...] = COMMAND, **environment: str) -> CacheOrigin:
    launch = Launch(
        engine="vllm",
        version="v",
        command=command,
        environment=environment,
        model="home",
        host="",
        port=8080,
        context=8192,
        parallel=4,
        keyed=False,
        weights="/models",
        tools=False,
        ready_within_s=1,
    )
    return CacheOrigin(image="sha256:1", weights="sha256:2", gpu="nvidia-l4", launch=launch, kept=vllm())


@pytest.mark.parametrize(
    "other",
    [
        replace(origin(), image="sha256:9"),
        replace(origin(), weights="sha256:9"),
        replace(origin(), gpu="nvidia-rtx-pro-6000"),
        origin((*COMMAND[:-1], "4096")),
        origin((*COMMAND, "--enforce-eager")),
        origin(COMMAND, VLLM_ATTENTION_BACKEND="FLASHINFER"),
    ],
)
def test_another_image_gpu_flag_or_variable_has_another_fingerprint(other: CacheOrigin) -> None:
    assert fingerprint(other) != fingerprint(origin())


@pytest.mark.parametrize(
    "same",
    [
        origin(tuple("another-name" if word == "home" else word for word in COMMAND)),
        origin(tuple("9999" if word == "8080" else word for word in COMMAND)),
        origin((*COMMAND[:7], "--port=9999", *COMMAND[9:])),
        origin((*COMMAND, "--chat-template", "/homeport/chat_template.jinja", "--enable-auto-tool-choice")),
        origin(COMMAND, HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1"),
    ],
)
def test_names_ports_and_templates_share_one(same: CacheOrigin) -> None:
    assert fingerprint(same) == fingerprint(origin())


def test_variables_count_whatever_their_order_and_flags_with_their_order() -> None:
    assert fingerprint(origin(COMMAND, A="1", B="2")) == fingerprint(origin(COMMAND, B="2", A="1"))
    assert fingerprint(origin((*COMMAND, "--a", "1", "--b", "2"))) != fingerprint(
        origin((*COMMAND, "--a", "2", "--b", "1"))
    )


def test_each_engine_says_what_it_keeps_and_only_one_that_compiles_has_anything() -> None:
    said = {name: module(name).STARTUP_CACHE for name in NAMES}
    assert [name for name, kept in said.items() if kept is not None] == ["vllm"]
    assert vllm().environment("/cache") == {
        "VLLM_CACHE_ROOT": "/cache/vllm",
        "TORCHINDUCTOR_CACHE_DIR": "/cache/inductor",
        "TRITON_CACHE_DIR": "/cache/triton",
        "VLLM_ENABLE_STARTUP_PLAN": "1",
    }


def test_a_flag_that_makes_no_difference_takes_the_values_that_the_engine_gives_it() -> None:
    for flag, values in vllm().indifferent_flags.items():
        known = ALLOWED.get(flag)
        assert known is None or (known.least, known.most) == (values, values), flag
