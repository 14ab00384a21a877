"""How each engine would be started: what cannot run here is at least read here."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeport import catalog
from homeport.engines import base, names, registry
from homeport.engines.base import Launch
from homeport.engines.llamacpp import engine as llamacpp
from homeport.engines.ollama import engine as ollama
from homeport.engines.vllm import adapter
from homeport.engines.vllm import engine as vllm
from homeport.errors import (
    EngineFailed,
    EngineMissing,
    HomeportError,
    MemoryTooSmall,
    PortTaken,
    SpecError,
    WeightsError,
)
from homeport.fit.cold_start import expected
from homeport.hardware import Gpu
from homeport.spec import Delivery, Engine, Spec
from requests_to_engines import CPU, gguf, installed, request_of

GPU = replace(CPU, gpus=(Gpu(name="NVIDIA L4", memory=24 * 2**30),))


def flags(launch: Launch) -> str:
    return " ".join(launch.command)


def test_vllm_on_a_gpu_is_told_what_the_arithmetic_counts_with(tmp_path: Path) -> None:
    launch = vllm.launch(request_of(tmp_path, machine=GPU), installed("vllm"))
    assert "--enforce-eager" not in launch.command
    assert "--kv-cache-memory-bytes" not in launch.command
    assert "--max-num-batched-tokens 2048 --gpu-memory-utilization 0.92" in flags(launch)
    assert "GOMP_SPINCOUNT" not in launch.environment


def test_vllm_is_told_how_many_it_serves_at_once_by_which_it_chooses_the_graphs_that_it_captures(
    tmp_path: Path,
) -> None:
    launch = vllm.launch(request_of(tmp_path, parallel=3, machine=GPU), installed("vllm"))
    assert "--max-num-seqs 3 " in flags(launch)
    assert "cudagraph" not in flags(launch), "a list of our own would stand in the way of its choice"


def test_vllm_on_a_cpu_is_told_how_much_cache_it_may_have(tmp_path: Path) -> None:
    launch = vllm.launch(request_of(tmp_path, context=2048, parallel=2), installed("vllm"))
    assert "--enforce-eager" in launch.command
    given = int(launch.command[launch.command.index("--kv-cache-memory-bytes") + 1])
    request = request_of(tmp_path, context=2048, parallel=2)
    assert request.footprint is not None
    assert request.footprint.cache.sequences(given) == 2
    assert request.footprint.cache.sequences(given - 1) == 1


def test_vllm_gets_the_catalogs_parsers_unless_the_file_names_others(tmp_path: Path) -> None:
    theirs = flags(vllm.launch(request_of(tmp_path), installed("vllm")))
    assert "--enable-auto-tool-choice --tool-call-parser gemma4 --reasoning-parser gemma4" in theirs
    ours = flags(vllm.launch(request_of(tmp_path, tool_parser="hermes"), installed("vllm")))
    assert "--tool-call-parser hermes" in ours
    none = vllm.launch(request_of(tmp_path, "gemma-3-1b"), installed("vllm"))
    assert "--tool-call-parser" not in none.command
    assert not none.tools


@pytest.mark.parametrize(
    "flag", ["--host=0.0.0.0", "--api-key", "--api-server-count=2", "--trust-remote-code"]
)
def test_vllm_refuses_flags_that_homeport_promises_something_about(flag: str) -> None:
    with pytest.raises(SpecError, match="cannot set --"):
        vllm.check(Engine(extra_args=(flag,)))


def test_vllm_serves_adapters_as_models_of_their_own(tmp_path: Path) -> None:
    adapters = {"tone": Path("/a/tone"), "terse": Path("/a b/terse,1=2")}
    command = vllm.launch(
        replace(request_of(tmp_path), adapters=adapters, adapter_rank=64), installed("vllm")
    ).command
    at = command.index("--enable-lora")
    assert command[at : at + 6] == (
        "--enable-lora",
        "--max-loras",
        "2",
        "--max-lora-rank",
        "64",
        "--lora-modules",
    )
    assert [json.loads(text) for text in command[at + 6 : at + 8]] == [
        {"name": name, "path": str(path), "base_model_name": "gemma-4-e2b"} for name, path in adapters.items()
    ]


def config(**changed: Any) -> bytes:
    told = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "bias": "none"}
    return json.dumps({**told, "modules_to_save": None, **changed}).encode()


@pytest.mark.parametrize(
    ("changed", "rank"),
    [
        ({}, 8),
        ({"init_lora_weights": "gaussian"}, 8),
        ({"r": 9}, 16),
        ({"r": 512}, 512),
        ({"rank_pattern": {"q_proj": 100}}, 128),
        ({"rank_pattern": {}, "target_modules": "all-linear", "use_rslora": True}, 8),
        ({"lora_alpha": -0.5, "modules_to_save": []}, 8),
    ],
)
def test_an_adapter_gets_room_in_the_next_rank_that_vllm_knows(changed: dict[str, Any], rank: int) -> None:
    assert adapter.rank(config(**changed), "tone") == rank


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"r": 1024}, "rank 1024, and vllm serves 512 at most"),
        ({"use_dora": True}, "trained with DoRA"),
        (
            {"modules_to_save": ["lm_head"], "bias": "all"},
            r"lm_head as a whole \(modules_to_save\) and biases",
        ),
        ({"modules_to_save": "lm_head"}, "lm_head as a whole"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa'"),
        ({"lora_alpha": 0}, "changes nothing: its lora_alpha is 0"),
    ],
)
def test_an_adapter_that_vllm_would_refuse_at_its_start_is_refused_before(
    changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(SpecError, match=why):
        adapter.rank(config(**changed), "tone")


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b'{"peft_type": "LORA"}', b'{"peft_type": "LORA", "r": 8, "lora_alpha": 16}'),
        *(config(peft_type="IA3"), config(r="8"), config(r=0), config(r=True), config(r=8.0)),
        *(config(lora_alpha=None), config(lora_alpha="16"), config(lora_alpha=True)),
        *(
            config(rank_pattern=rank_pattern)
            for rank_pattern in ([1], "q", 5, {"q": 0}, {"q": "8"}, {"q": None})
        ),
    ],
)
def test_what_is_no_lora_adapter_is_called_so(text: bytes) -> None:
    with pytest.raises(WeightsError, match="tone"):
        adapter.rank(text, "tone")


def test_vllm_ends_answers_at_the_tokens_of_a_pretrained_models_stop_strings(tmp_path: Path) -> None:
    request = request_of(tmp_path, "gemma-3-270m-pt")
    vocabulary = {"model": {"vocab": {"\n\n": 108, "a": 1}}}
    (request.weights / "tokenizer.json").write_text(json.dumps(vocabulary))
    (request.weights / "generation_config.json").write_text('{"eos_token_id": 1, "top_k": 64}')
    launch = vllm.launch(request, installed("vllm"))
    (text,) = launch.files.values()
    assert json.loads(text) == {"eos_token_id": [1, 108], "top_k": 64}
    assert f"--generation-config {tmp_path}" in flags(launch)


def test_the_key_is_announced_and_never_handed_over_in_a_launch(tmp_path: Path) -> None:
    keyed = replace(request_of(tmp_path), keyed=True)
    assert "--api-key-on-stdin" in llamacpp.launch(gguf(keyed), installed("llamacpp")).command
    assert vllm.launch(keyed, installed("vllm")).environment["HOMEPORT_KEY_ON_STDIN"] == "1"


def test_llamacpp_gets_the_makers_sampling_and_the_models_stop_strings(tmp_path: Path) -> None:
    launch = llamacpp.launch(gguf(request_of(tmp_path)), installed("llamacpp"))
    assert "--temperature 1 --top-p 0.95 --top-k 64" in flags(launch)
    pretrained = llamacpp.launch(gguf(request_of(tmp_path, "gemma-3-270m-pt")), installed("llamacpp"))
    assert "\nQuestion:" in pretrained.command
    assert "--chat-template" in pretrained.command


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"dtype": "float16"}, "dtype"),
        ({"quantization": "fp8"}, "quantization"),
        ({"extra_args": ["--flag"]}, "extra_args"),
        ({"extra_args": ["hostnames=['0.0.0.0']"]}, "extra_args"),
        ({"kv_dtype": "fp8"}, "kv_dtype"),
        ({"lora": [{"name": "a", "source": "x"}, {"name": "b", "source": "y"}]}, "lora"),
    ],
)
def test_llamacpp_refuses_what_it_cannot_honour(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(SpecError, match=f"engine.{key} cannot be honoured by llamacpp"):
        llamacpp.check(Engine.model_validate(settings))


@pytest.mark.parametrize("name", names.NAMES)
def test_more_requests_at_once_than_an_engine_serves_are_refused_whichever_it_is(name: str) -> None:
    most = registry.module(name).MOST_SEQUENCES
    registry.ensure_honoured(name, Engine(parallel=most or 1000))
    if most is None:
        return
    with pytest.raises(
        SpecError, match=f"engine.parallel {most + 1} cannot be honoured by {name}"
    ) as refused:
        registry.ensure_honoured(name, Engine(parallel=most + 1))
    assert refused.value.hint == f"set engine.parallel to at most {most}"


def test_ollama_is_started_for_its_librarys_tag(tmp_path: Path) -> None:
    launch = ollama.launch(request_of(tmp_path, context=8192, parallel=3), installed("ollama"))
    assert launch.command == ("/bin/ollama", "serve")
    assert launch.environment["OLLAMA_HOST"] == "127.0.0.1:8383"
    assert launch.environment["OLLAMA_CONTEXT_LENGTH"] == "8192"
    assert launch.environment["OLLAMA_KEEP_ALIVE"] == "-1"
    assert launch.environment["OLLAMA_NUM_PARALLEL"] == "3"
    assert launch.setup[0].body == {"model": "gemma4:e2b", "stream": False}


def test_ollama_refuses_a_key_that_it_could_not_ask_for(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="would protect nothing"):
        ollama.launch(replace(request_of(tmp_path), keyed=True), installed("ollama"))


def test_auto_takes_the_first_engine_that_is_here_and_has_weights() -> None:
    chosen = registry.choose(Spec(model="gemma-3-270m-pt"), catalog.find("gemma-3-270m-pt"))[1]
    assert chosen.engine == "llamacpp"


def test_an_engine_without_weights_in_the_catalog_is_refused_with_those_that_have_some() -> None:
    spec = Spec(model="gemma-3-270m-pt", engine=Engine(kind="ollama"))
    with pytest.raises(EngineMissing, match="no weights of gemma-3-270m-pt for ollama") as refused:
        registry.choose(spec, catalog.find("gemma-3-270m-pt"))
    assert "llamacpp" in refused.value.hint


def test_an_address_of_all_interfaces_is_called_by_loopback(tmp_path: Path) -> None:
    launch = vllm.launch(request_of(tmp_path), installed("vllm"))
    assert replace(launch, host="0.0.0.0").url == "http://127.0.0.1:8383"
    assert replace(launch, host="::").url == "http://[::1]:8383"


@pytest.mark.parametrize(
    ("engine", "log", "kind"),
    [
        (vllm, "OSError: [Errno 98] Address already in use", PortTaken),
        (vllm, "vllm: error: unrecognized arguments: --nonsense", SpecError),
        (
            vllm,
            "(0.04 GiB KV cache is needed, which is larger than the available KV cache memory",
            MemoryTooSmall,
        ),
        (vllm, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", MemoryTooSmall),
        (vllm, "safetensors_rust.SafetensorError: Error while deserializing header", WeightsError),
        (vllm, "ValueError: the cause\nRuntimeError: Engine core initialization failed", EngineFailed),
        (llamacpp, "couldn't bind HTTP server socket, hostname: 127.0.0.1", PortTaken),
        (llamacpp, "llama_model_load: error loading model: tensor data is not within the file", WeightsError),
        (llamacpp, "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer", MemoryTooSmall),
        (llamacpp, "GGML_ASSERT(n_layer > 0) failed", EngineFailed),
        (ollama, "Error: listen tcp 127.0.0.1:11434: bind: address already in use", PortTaken),
    ],
)
def test_a_log_is_explained_by_its_cause(
    engine: base.EngineModule, log: str, kind: type[HomeportError]
) -> None:
    explained = engine.explain(f"starting\n{log}\n")
    assert type(explained) is kind
    assert explained.hint


@pytest.mark.parametrize("name", names.NAMES)
def test_a_log_that_says_nothing_is_not_explained(name: str) -> None:
    assert registry.module(name).explain("all is well\n") is None


def test_of_vllms_errors_the_first_is_told() -> None:
    explained = vllm.explain("ValueError: the cause\nRuntimeError: Engine core initialization failed")
    assert "the cause" in str(explained)


@pytest.mark.parametrize("name", names.NAMES)
def test_an_engine_says_all_that_is_asked_of_engines(name: str) -> None:
    engine = registry.module(name)
    functions = {key for key, value in vars(base.EngineModule).items() if inspect.isfunction(value)}
    wanted = {key for key in {*base.EngineModule.__annotations__, *functions} if not key.startswith("_")}
    assert {"DELIVERIES", "HOST_MEMORY", "image", "launch"} <= wanted
    assert {key for key in wanted if not hasattr(engine, key)} == set()
    assert engine.INSTALL_HINT.startswith(f"{name}: ")
    assert set(engine.WEIGHTS) <= set(catalog.kinds())
    engine.check(Engine.model_validate({"kv_dtype": engine.HALF_KV}))
    for kind in engine.QUANTIZES_TO:
        engine.check(Engine(quantization=kind))


@pytest.mark.parametrize("name", names.NAMES)
def test_an_engine_names_each_of_its_paths_once_and_the_open_ones_among_them(name: str) -> None:
    paths = registry.module(name).PATHS
    every = (*paths.asked, *paths.only_got)
    assert len(every) == len(set(every))
    assert set(paths.open) <= set(paths.asked)


@pytest.mark.parametrize("name", registry.on_cloud())
def test_an_engine_of_a_cloud_has_a_usual_delivery_and_each_has_a_speed_the_quickest_first(name: str) -> None:
    engine = registry.module(name)
    assert engine.USUAL_DELIVERY in engine.DELIVERIES
    starts = [expected(engine=name, delivery=one, weights_bytes=10**10) for one in engine.DELIVERIES]
    assert starts == sorted(starts, key=lambda start: (start.likely, start.low))
    assert engine.HOST_MEMORY


@pytest.mark.parametrize(
    ("kind", "delivery", "engines"),
    [
        ("auto", "auto", ("vllm", "ollama")),
        ("llamacpp", "auto", ("vllm", "ollama")),
        ("ollama", "auto", ("ollama",)),
        ("auto", "baked", ("ollama",)),
        ("auto", "stream", ("vllm",)),
        ("vllm", "baked", ("vllm",)),
    ],
)
def test_the_engine_of_a_cloud_follows_from_what_the_file_says(
    kind: str, delivery: str, engines: tuple[str, ...]
) -> None:
    assert registry.on_cloud(kind, delivery) == engines


@pytest.mark.parametrize(("name", "has"), [("vllm", "gcsfuse-buffered"), ("ollama", "baked")])
def test_a_delivery_is_one_that_the_engine_has(name: str, has: Delivery) -> None:
    assert registry.delivery_of(name, "auto") == registry.delivery_of(name, has) == has
    other: Delivery = "baked" if has != "baked" else "stream"
    with pytest.raises(SpecError, match=f"delivery {other} cannot be honoured by {name}") as refused:
        registry.delivery_of(name, other)
    assert has in refused.value.hint


def test_an_engine_for_this_machine_alone_has_no_delivery() -> None:
    with pytest.raises(SpecError, match="llamacpp is for this machine alone"):
        registry.delivery_of("llamacpp", "auto")


def test_an_engine_that_nobody_registered_is_one_clear_error() -> None:
    with pytest.raises(EngineMissing, match="knows no engine 'sglang'") as refused:
        registry.module("sglang")
    assert "llamacpp, vllm, ollama" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "log", "told"),
    [
        # Lines of vLLM 0.32 on this project's machine, of its issues for a GPU, and of Ollama's issue 14028.
        ("vllm", "[default_loader.py:501] Loading weights took 0.72 seconds\n[core.py:402] init engine (profile, …) took 177.62 s",
         {"fetch": 0.72, "warm-up": 177.62}),
        ("vllm", "init engine (profile, create kv cache, warmup model) took 61.50 s (compilation: 43.25 s)", {"compile": 43.25, "warm-up": 18.25}),
        ("vllm", "init engine (profile, create kv cache, warmup model) took 61.50 s (compilation: 43.25 s — language_model: 40.00 s, encoder: 3.25 s)",
         {"compile": 43.25, "warm-up": 18.25}),
        ("vllm", "init engine (profile, create kv cache, warmup model) took 36.11 seconds", {"warm-up": 36.11}),
        ("ollama", 'time=2026-02-02T12:29:02.735Z level=INFO source=server.go:1339 msg="llama runner started in 29.96 seconds"',
         {"engine + fetch": 29.96}),
        ("llamacpp", "anything", {}),
    ],
)  # fmt: skip
def test_a_log_tells_how_long_the_parts_of_a_start_took(name: str, log: str, told: dict[str, float]) -> None:
    assert dict(registry.module(name).start_times(log)) == pytest.approx(told)
    assert not registry.module(name).start_times("INFO: it started\n")
