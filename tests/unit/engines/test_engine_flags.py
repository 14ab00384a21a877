"""What homeport owns cannot be said in any spelling: of an engine's own settings only the listed ones are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.llamacpp import engine as llamacpp
from homeport.engines.llamacpp import fields
from homeport.engines.vllm import engine as vllm
from homeport.engines.vllm import flags
from homeport.errors import SpecError
from homeport.spec import Engine
from places import ROOT
from requests_to_engines import gguf, installed, request_of

HOSTILE = [
    *(
        ["--host", "0.0.0.0"],
        ["--hos", "0.0.0.0", "--trust-remote"],
        ["--host=0.0.0.0"],
        ["--h", "::"],
        ["--ho=::"],
    ),
    *(
        ["--trust_remote_code"],
        ["--trust-remote-cod"],
        ["--no-trust-remote-code"],
        ["--api_key", "x"],
        ["--api-k=x"],
    ),
    *(
        ["--config", "x.yaml"],
        ["--conf=x.yaml"],
        ["--seed", "1", "--config", "x.yaml"],
        ["--seed", "--config"],
    ),
    *(
        ["-O3"],
        ["-O", "3"],
        ["-tp", "2"],
        ["-q", "fp8"],
        ["-cc", "{}"],
        ["-"],
        ["--"],
        ["-h"],
        ["--help=host"],
    ),
    *(
        ["--hf-overrides.architectures", "X"],
        ["--hf_overrides={}"],
        ["--uds=/run/x"],
        ["--middleware", "os.system"],
    ),
    *(
        ["--allowed-local-media-path", "/"],
        ["--allowed_local_media_pat=/"],
        ["--load-format", "pt"],
        ["--load-format=custom"],
    ),
    *(
        ["--tokenizer-mode", "custom"],
        ["--tokenizer-mode=a.b"],
        ["--worker-cls", "a.B"],
        ["--worker-extension-cls=a.B"],
    ),
    *(["--logits-processors", "a.B"], ["--root-path", "/x"], ["--ssl-keyfile", "k"], ["--ssl_certfile=c"]),
    *(
        ["--allow-credentials"],
        ["--allowed-origins", '["*"]'],
        ["--lora-modules", "a=/b"],
        ["--lora-mod=a=/b"],
    ),
    *(["--enable-sleep-mode"], ["--enable-tokenizer-info-endpoint"], ["--tool-server", "demo"], ["--grpc"]),
    *(["--tool-parser-plugin", "x.py"], ["--reasoning-parser-plugin=x.py"], ["--io-processor-plugin", "x"]),
    *(
        ["--chat-template", "/etc/passwd"],
        ["--trust-request-chat-template"],
        ["--otlp-traces-endpoint", "http://x"],
    ),
    *(["--kv-transfer-config", "{}"], ["--kv-events-config={}"], ["--profiler-config.profiler", "torch"]),
    *(
        ["--download-dir", "/x"],
        ["--hf-token", "x"],
        ["--tokenizer", "org/other"],
        ["--revision=x"],
        ["--model=x"],
    ),
    *(
        ["--api-server-count=2"],
        ["--headless"],
        ["--scheduler-cls", "a.B"],
        ["--distributed-executor-backend", "a.B"],
    ),
    *(
        ["--seed"],
        ["--seed", "1", "2"],
        ["--enforce-eager", "model"],
        ["model"],
        ["--seed", "-0.5"],
        ["--seed.x", "1"],
    ),
    *(["--compilation-config", '{"backend": "a.b"}'], ["--compilation-config.backend", "a.b"]),
    *(
        ["--compilation_config.debug_dump_path=/x"],
        ["--compilation-config", "[]"],
        ["--compilation-config", "{"],
    ),
    *(
        ["--compilation-config", '{"mode": 3, "backend": "a.b"}'],
        ["--compilation-config", '{"backend": 1, "backend": 2}'],
    ),
    *(["--speculative-config", '{"model": "org/x"}'], ["--speculative-config.model", "org/x"]),
    *(
        ["--speculative-config.model+", "org/x"],
        ["--structured-outputs-config", '{"reasoning_parser_plugin": "x.py"}'],
    ),
    *(
        ["--no-seed", "1"],
        ["--no-host"],
        ["--ENFORCE-EAGER"],
        ["--enforce-eage"],
        [""],
    ),
]
USUAL = [
    *(
        ["--enable-prefix-caching"],
        ["--no-enable-prefix-caching"],
        ["--enable_prefix_caching"],
        ["--seed", "-1"],
    ),
    *(["--gpu-memory-utilization=0.8"], ["--max_num_batched_tokens", "4096", "--enforce-eager"]),
    *(["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'],),
    *(["--structured-outputs-config.backend", "xgrammar"], ["--limit-mm-per-prompt", '{"image": 2}']),
    *(["--speculative-config", '{"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}'],),
    *(["--cudagraph-capture-sizes", "1", "2", "4", "--seed", "1"], ["--tokenizer-mode", "mistral"]),
    *(["--default-chat-template-kwargs", '{"enable_thinking": false}'], []),
]
FIELDS = [
    *("hostnames=['0.0.0.0']", "server_tools=['shell']", "media_path='/'", "path_prompts_log_dir='/x'", "ssl_file_key='k'"),
    *("slot_save_path='/x'", "path_prompt_cache='/x'", "public_path='/'", "mcp_servers_config='/x'", "ui_mcp_proxy=True"),
    *("models_dir='/x'", "model.path='/x'", "model.url='http://x'", "mmproj.path='/x'", "hf_token='x'", "api_prefix='/x'"),
    *("speculative.draft.mparams.path='/x'", "speculative.ngram_cache.lookup_cache_static='/x'", "endpoint_props=True"),
    *("api_keys=[]", "cors_origins='*'", "reuse_port=True", "port=80", "lora_adapters=[]", "system_prompt='x'"),
    *("chat_template='x'", "n_ctx=1", "n_parallel=9", "cache_type_k=1", "endpoint_slots=True", "sampling.grammar.grammar='x'"),
    *("__class__=1", "sampling.__class__.x=1", "sampling=1", "N_BATCH=1", "n_batch .x=1", "", "=1", "n_batch", "--host=x"),
    *("n_batch=0", "n_batch=x", "n_batch=1e9", "n_batch=True", "n_batch=[1]", "n_batch=__import__('os')", "swa_full=1"),
    *("sampling.dry_penalty_last_n=2147483647", "sampling.temp=1e999", "sampling.temp='1'", "n_batch=" + "(" * 5000),
]  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE, ids=" ".join)
def test_vllm_is_told_nothing_that_is_not_listed_in_any_spelling(words: list[str]) -> None:
    for given_ in (words, ["--enforce-eager", *words], ["--cudagraph-capture-sizes", "1", "2", *words]):
        if not words[0].startswith("-") and given_[0] == "--cudagraph-capture-sizes":
            continue  # There it is a third size, and vLLM says that it is none.
        with pytest.raises(SpecError, match=r"engine\.extra_args") as refused:
            vllm.check(Engine(extra_args=tuple(given_)))
        assert refused.value.hint


@pytest.mark.parametrize("words", USUAL, ids=" ".join)
def test_vllm_is_told_what_makes_it_faster(words: list[str], tmp_path: Path) -> None:
    vllm.check(Engine(extra_args=tuple(words)))
    command = vllm.launch(request_of(tmp_path, extra_args=words), installed("vllm")).command
    assert list(command[len(command) - len(words) :]) == words


@given(st.text(max_size=12), st.integers(1, 12))
def test_no_shortening_of_a_flag_is_taken_for_it(rest: str, kept: int) -> None:
    for flag in (
        "--host",
        "--trust-remote-code",
        "--config",
        "--api-key",
        "--middleware",
        "--uds",
        "--enforce-eager",
    ):
        with pytest.raises(SpecError):
            flags.check([flag[: min(kept, len(flag) - 1)] + (f"={rest}" if rest else "")])


@pytest.mark.parametrize("given_", FIELDS)
def test_llamacpp_is_told_nothing_that_is_not_listed(given_: str) -> None:
    with pytest.raises(SpecError, match=r"engine.extra_args cannot be honoured by llamacpp") as refused:
        llamacpp.check(Engine(extra_args=(given_,)))
    assert "docs/extra-args.md" in refused.value.hint


def test_llamacpp_is_told_what_makes_it_faster(tmp_path: Path) -> None:
    given_ = (
        "n_batch=256",
        "sampling.min_p = 0.1",
        "swa_full=true",
        "sampling.temp=1",
        "enable_reasoning=-1",
    )
    request = gguf(request_of(tmp_path, extra_args=list(given_)))
    command = list(llamacpp.launch(request, installed("llamacpp")).command)
    told = [command[at + 1] for at, word in enumerate(command) if word == "--set"]
    assert told == [
        "n_batch=256",
        "sampling.min_p=0.1",
        "swa_full=True",
        "sampling.temp=1.0",
        "enable_reasoning=-1",
    ]


def test_every_parameter_that_llamacpp_may_be_told_is_one_of_the_real_ones_and_a_number() -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    for name, allowed in fields.FIELDS.items():
        *path, last = name.split(".")
        target = params
        for part in path:
            target = getattr(target, part)
        value = getattr(target, last)
        assert type(value) in {allowed.kind, int}, name
        for extreme in (allowed.least, allowed.most):
            setattr(target, last, allowed.kind(extreme))


def test_the_page_lists_all_of_them() -> None:
    page = (ROOT / "docs" / "extra-args.md").read_text()
    for name in (*flags.ALLOWED, *fields.FIELDS):
        assert f"`{name}`" in page, name
