"""Weights are sized as vLLM serves them, and not as they lie on the disk; what writes no text is told as such."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from homeport.catalog import Published, models
from homeport.catalog.families import NOTES
from homeport.catalog.inspect import from_folder
from homeport.catalog.served_for import served_for
from homeport.cli.show_fit import _count
from homeport.engines.footprint import Device, Sizing
from homeport.engines.vllm import flags, memory
from homeport.engines.vllm.engine import COMPACT_JSON, _compact_json
from homeport.errors import SpecError, WeightsError
from homeport.fit import Serving, fit, unknown_size
from homeport.fit.devices import cloud
from homeport.spec import Engine
from homeport.verify.checks.structure import endless
from homeport.weights.manifest import Format
from homeport.weights.selection import choose

LLAMA: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "hidden_size": 4096,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192, "vocab_size": 128256,
    "intermediate_size": 14336,
}  # fmt: skip


# As they are published, without what says nothing of size. LLaVA's leaves out what its language model has by default.
LLAVA_MISTRAL: dict[str, Any] = {
    "model_type": "llava_next", "architectures": ["LlavaNextForConditionalGeneration"], "torch_dtype": "bfloat16",
    "text_config": {
        "model_type": "mistral", "intermediate_size": 14336, "max_position_embeddings": 32768, "num_key_value_heads": 8,
        "sliding_window": None, "torch_dtype": "bfloat16", "vocab_size": 32064,
    },
    "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "num_hidden_layers": 24},
}  # fmt: skip
LLAVA_VICUNA: dict[str, Any] = {
    **LLAVA_MISTRAL,
    "text_config": {
        "model_type": "llama",
        "max_position_embeddings": 4096,
        "torch_dtype": "float16",
        "vocab_size": 32064,
    },
}
PHI_4: dict[str, Any] = {
    "model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "hidden_size": 5120, "intermediate_size": 17920,
    "max_position_embeddings": 16384, "num_attention_heads": 40, "num_hidden_layers": 40, "num_key_value_heads": 10,
    "sliding_window": None, "vocab_size": 100352,
}  # fmt: skip
GRANITE_2B: dict[str, Any] = {
    "model_type": "granite", "architectures": ["GraniteForCausalLM"], "vocab_size": 49152, "hidden_size": 2048,
    "intermediate_size": 8192, "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
}  # fmt: skip
QWEN_VL_7B: dict[str, Any] = {
    "model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"], "hidden_size": 3584,
    "intermediate_size": 18944, "max_position_embeddings": 128000, "max_window_layers": 28, "num_attention_heads": 28,
    "num_hidden_layers": 28, "num_key_value_heads": 4, "sliding_window": 32768, "use_sliding_window": False,
    "vocab_size": 152064, "vision_config": {"depth": 32, "hidden_size": 1280},
}  # fmt: skip


def sized(tmp_path: Path, config: dict[str, Any], quantization: str, **settings: Any) -> Any:
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = from_folder(tmp_path, name="x")
    weights = Published(source="x", size=32 << 30, quantization=quantization, how="")
    device = Device(name="gpu", memory=96 << 30, gpu=True)
    return memory.footprint(Sizing(model=model, weights=weights, settings=Engine(**settings), device=device))


def test_a_float32_checkpoint_is_counted_as_vllm_serves_it(tmp_path: Path) -> None:
    positions = 8192 * 128
    assert sized(tmp_path, LLAMA, "float32").weights == (16 << 30) + 2 * positions
    assert sized(tmp_path, LLAMA, "float32", dtype="bfloat16").weights == (16 << 30) + 2 * positions
    assert sized(tmp_path, LLAMA, "float32", dtype="float32").weights == (32 << 30) + 4 * positions
    assert sized(tmp_path, LLAMA, "bfloat16").weights == (32 << 30) + 2 * positions


@pytest.mark.parametrize(
    "made",
    [
        {"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"},
        {
            "quant_method": "compressed-tensors",
            "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": False},
        },
    ],
)
def test_a_cache_that_the_checkpoint_declares_as_fp8_is_half(tmp_path: Path, made: dict[str, Any]) -> None:
    plain = sized(tmp_path, LLAMA, "fp8").cache.block_bytes
    assert sized(tmp_path, {**LLAMA, "quantization_config": made}, "fp8").cache.block_bytes * 2 == plain


@pytest.mark.parametrize(
    "kind", ["phi3", "phimoe", "granite", "granitemoe", "olmo2", "glm4", "qwen2_vl", "qwen2_5_vl"]
)
def test_plain_attention_under_other_names_is_sized(tmp_path: Path, kind: str) -> None:
    assert sized(tmp_path, {**LLAMA, "model_type": kind}, "bfloat16") is not None


@pytest.mark.parametrize(
    ("config", "kibibytes"),
    [
        (LLAVA_MISTRAL, 32 * 8 * 128 * 4 / 1024),
        (LLAVA_VICUNA, 32 * 32 * 128 * 4 / 1024),
        (PHI_4, 40 * 10 * 128 * 4 / 1024),
        (GRANITE_2B, 40 * 8 * 64 * 4 / 1024),
        (QWEN_VL_7B, 28 * 4 * 128 * 4 / 1024),
    ],
    ids=["LLaVA-1.6 Mistral", "LLaVA-1.6 Vicuna", "Phi-4", "Granite 3.1 2B", "Qwen2.5-VL 7B"],
)
def test_a_token_of_a_published_config_takes_what_its_layers_keep(
    tmp_path: Path, config: dict[str, Any], kibibytes: float
) -> None:
    cache = sized(tmp_path, config, "bfloat16", context=4096).cache
    assert cache.sequence_bytes / 4096 / 1024 == kibibytes


@pytest.mark.parametrize("missing", ["hidden_size", "num_hidden_layers", "num_attention_heads"])
def test_a_config_of_ones_own_is_not_filled_with_defaults(tmp_path: Path, missing: str) -> None:
    config = {key: value for key, value in LLAMA.items() if key != missing}
    with pytest.raises(WeightsError, match=f"{missing} is missing"):
        sized(tmp_path, config, "bfloat16")


def test_what_extra_args_say_of_memory_is_reckoned_with(tmp_path: Path) -> None:
    def said(*words: str) -> Any:
        return sized(tmp_path, LLAMA, "bfloat16", extra_args=words)

    usual = said()
    eager = said("--enforce-eager")
    assert usual.cache_bytes + 600 * 2**20 == eager.cache_bytes
    assert said("--gpu-memory-utilization=0.5").usable.size == 48 << 30
    assert said("--max-num-batched-tokens", "8192").cache_bytes < usual.cache_bytes
    assert not any(one.unknown for one in (eager, said("--no-async-scheduling")))
    assert "reckoned with: --block-size 32" in said("--enforce-eager", "--block-size", "32").unknown[0]


def test_one_batch_in_flight_keeps_less_behind_a_window(tmp_path: Path) -> None:
    config = {**LLAMA, "model_type": "mistral", "sliding_window": 1024}

    def kept(*words: str) -> int:
        return int(
            sized(tmp_path, config, "bfloat16", context=8192, extra_args=words).cache.blocks_per_sequence
        )

    assert kept() == (1023 + 2 * 2048 + 15) // 16 + 1
    assert kept("--no-async-scheduling") == (1023 + 2048 + 15) // 16 + 1
    assert kept("--max-num-batched-tokens", "1024") == (1023 + 2 * 1024 + 15) // 16 + 1


@pytest.mark.parametrize(
    ("given", "counted"),
    [("8k", 8000), ("8K", 8192), ("1.5k", 1500), ("1.5K", 2048), ("many", 2048), ("0", 2048)],
)
def test_a_number_of_tokens_is_read_as_vllm_reads_it(given: str, counted: int) -> None:
    told = memory.flags(Engine(extra_args=("--max-num-batched-tokens", given)))
    assert told["--max-num-batched-tokens"] == f"{counted}"


def test_flags_that_are_shown_are_those_that_count() -> None:
    told = memory.flags(
        Engine(extra_args=("--max_num_batched_tokens=4096", "--gpu-memory-utilization", "0.9"))
    )
    assert told["--max-num-batched-tokens"] == "4096"
    assert told["--gpu-memory-utilization"] == "0.9"


@pytest.mark.parametrize("kind", ["Gemma3TextModel", "BertModel"])
def test_a_model_of_embeddings_is_told_as_one(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "architectures": [kind]}))
    found = from_folder(tmp_path, name="x")
    assert served_for(found, "embed").task == "embed"
    with pytest.raises(SpecError, match="model of embeddings: it gives vectors") as refused:
        served_for(found, "generate")
    assert 'task = "embed"' in str(refused.value.hint)


_FORMATS: tuple[Format, ...] = ("safetensors", "gguf")
NOMIC: dict[str, Any] = {
    "model_type": "nomic_bert", "architectures": ["NomicBertModel"], "n_embd": 768, "n_layer": 12, "n_head": 12,
    "n_inner": 3072, "n_positions": 8192, "vocab_size": 30528,
}  # fmt: skip


def test_an_encoder_keeps_no_cache_and_sets_no_number_of_requests(tmp_path: Path) -> None:
    found = sized(tmp_path, NOMIC, "float32", context=8192)
    assert not found.cache.grows
    assert found.cache.how.startswith("no cache")
    assert sized(tmp_path, LLAMA, "bfloat16").cache.grows
    shape = next(place for place in cloud("europe-west4") if place.device.gpu)
    model = from_folder(tmp_path, name="x")
    weights = Published(source="x", size=1 << 28, quantization="float32", how="")
    text = fit(Serving(model=model, weights=weights, engine="vllm", settings=Engine()), shape)
    (tmp_path / "config.json").write_text(json.dumps(NOMIC))
    model = served_for(from_folder(tmp_path, name="x"), "embed")
    vectors = fit(Serving(model=model, weights=weights, engine="vllm", settings=Engine()), shape)
    assert vectors.fits
    assert (vectors.binds, text.binds) == ("no cache that grows", "KV cache")
    assert (_count(vectors, 4096), _count(text, 4096)[-1]) == ("✓", "×")
    told, counted = vectors.as_json(), text.as_json()
    assert (told["concurrency"], counted["concurrency"]) == (None, text.concurrency)
    assert told["concurrency_uncounted"] == vectors.uncounted
    assert "memory sets no number" in vectors.uncounted
    assert counted["concurrency_uncounted"] == ""
    assert told["kv_cache"] is None


# In the words of these families' classes in transformers, with the sizes of distilbert-base-uncased, albert-base-v2 and
# gte-multilingual-base; the whole files as they are published are not here.
DISTIL: dict[str, Any] = {
    "model_type": "distilbert", "architectures": ["DistilBertModel"], "dim": 768, "hidden_dim": 3072, "n_heads": 12, "n_layers": 6,
    "max_position_embeddings": 512, "vocab_size": 30522,
}  # fmt: skip
ALBERT: dict[str, Any] = {
    "model_type": "albert", "architectures": ["AlbertModel"], "embedding_size": 128, "hidden_size": 768, "intermediate_size": 3072,
    "num_attention_heads": 12, "num_hidden_groups": 1, "num_hidden_layers": 12, "max_position_embeddings": 512, "vocab_size": 30000,
}  # fmt: skip
GTE: dict[str, Any] = {
    "model_type": "gte", "architectures": ["GteModel"], "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
    "num_hidden_layers": 12, "max_position_embeddings": 8192, "vocab_size": 250048,
}  # fmt: skip
NEW: dict[str, Any] = {**GTE, "model_type": "new", "architectures": ["NewModel"]}
OWN_CODE = {"AutoConfig": "configuration.NewConfig", "AutoModel": "modeling.NewModel"}
HUB_CODE = {name: f"Alibaba-NLP/new-impl--{place}" for name, place in OWN_CODE.items()}


@pytest.mark.parametrize(
    ("config", "layers", "context", "words"),
    [
        (DISTIL, 6, 512, "falls back to that of transformers"),
        (ALBERT, 12, 512, "falls back to that of transformers"),
        (GTE, 12, 8192, ""),
    ],
    ids=["DistilBERT", "ALBERT", "gte"],
)
def test_encoders_by_other_names_are_sized_as_models_of_embeddings(
    tmp_path: Path, config: dict[str, Any], layers: int, context: int, words: str
) -> None:
    found = sized(tmp_path, config, "float32", context=context)
    assert not found.cache.grows
    model = from_folder(tmp_path, name="x")
    assert model.architecture is not None
    assert (model.task, model.context, model.architecture.layers) == ("embed", context, layers)
    assert (model.architecture.hidden, model.architecture.ffn) == (768, 3072)
    assert words in model.note
    assert bool(words) == bool(model.note), "how it is served is told where it is not as usual"
    weights = Published(source="x", size=1 << 30, quantization="float32", how="")
    shape = next(place for place in cloud("europe-west4") if place.device.gpu)
    assert fit(
        Serving(model=model, weights=weights, engine="vllm", settings=Engine(context=context)), shape
    ).fits


@pytest.mark.parametrize("code", [OWN_CODE, HUB_CODE], ids=["beside it", "on the hub"])
def test_a_gte_that_wants_code_of_its_repository_is_refused_and_the_form_that_works_is_told(
    tmp_path: Path, code: dict[str, str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**NEW, "auto_map": code}))
    with pytest.raises(WeightsError, match="code of its own repository") as refused:
        from_folder(tmp_path, name="x")
    form = json.loads(
        "{"
        + str(refused.value.hint).split("config.json has ")[1].split(", which")[0].replace(" and ", ", ")
        + "}"
    )
    (tmp_path / "config.json").write_text(json.dumps({**NEW, "auto_map": code, **form}))
    assert from_folder(tmp_path, name="x").task == "embed"


def test_a_model_that_is_only_called_new_is_none_of_alibabas(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(NEW))
    model = from_folder(tmp_path, name="x")
    assert (model.task, model.architecture) == ("generate", None)
    assert "cannot be sized" in model.note


def test_every_flag_that_a_note_on_a_model_names_is_one_that_can_be_set() -> None:
    notes = [*NOTES.values(), *(model.note for model in models())]
    assert len(notes) > 10
    named = {flag for note in notes for flag in re.findall(r"--[a-z][a-z-]+", note)}
    assert named <= {*flags.ALLOWED}, "flags.check refuses the others"


def test_of_a_model_that_cannot_be_sized_no_number_is_told_and_it_says_why(tmp_path: Path) -> None:
    unlike = {**LLAMA, "model_type": "mpnet", "architectures": ["MPNetModel"]}
    (tmp_path / "config.json").write_text(json.dumps(unlike))
    model = from_folder(tmp_path, name="x")
    weights = Published(source="x", size=1 << 28, quantization="float32", how="")
    shape = next(place for place in cloud("europe-west4") if place.device.gpu)
    told = fit(Serving(model=model, weights=weights, engine="vllm", settings=Engine()), shape).as_json()
    assert told["concurrency"] is None
    assert told["concurrency_uncounted"] == "whether vllm serves a model of the family mpnet is not known"


def test_a_network_of_masked_words_with_a_pooling_beside_it_gives_vectors(tmp_path: Path) -> None:
    config = {**LLAMA, "model_type": "roberta", "architectures": ["RobertaForMaskedLM"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    pooling = {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    (tmp_path / "modules.json").write_text(json.dumps([pooling]))
    assert from_folder(tmp_path, name="x").task == "embed"


def test_what_an_engine_is_not_known_to_serve_is_said_of_a_model_of_embeddings(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({**LLAMA, "model_type": "mpnet", "architectures": ["MPNetModel"]})
    )
    model = from_folder(tmp_path, name="x")
    assert (model.task, model.architecture) == ("embed", None)
    assert unknown_size(model, "vllm") == "whether vllm serves a model of the family mpnet is not known"


@pytest.mark.parametrize(
    "kind",
    [
        "T5EncoderModel",
        "MT5Model",
        "BartForConditionalGeneration",
        "WhisperForConditionalGeneration",
        "CLIPModel",
    ],
)
def test_an_encoder_with_a_decoder_and_what_reads_no_text_are_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [kind]}))
    with pytest.raises(WeightsError, match=f"is a {kind}, which homeport does not serve"):
        from_folder(tmp_path, name="x")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["pytorch_model.bin", "config.json"], "are pickles"),
        (["model_index.json", "unet/diffusion_pytorch_model.bin"], "a pipeline that makes pictures"),
        (["onnx/model.onnx", "config.json"], "for ONNX"),
        (["README.md"], "choose another source"),
    ],
)
def test_a_source_without_weights_that_can_be_loaded_is_told_by_what_it_has(
    names: list[str], told: str
) -> None:
    for wanted in _FORMATS:
        with pytest.raises(WeightsError, match="which is what this engine loads") as refused:
            choose(names, wanted, where="hf:o/r")
        assert told in str(refused.value.hint)


@pytest.mark.parametrize(
    ("name", "told"), [("adapter_config.json", "a LoRA adapter"), ("params.json", "its maker's own form")]
)
def test_a_folder_of_something_else_is_told_as_that(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(
        WeightsError, match=f"{told} \\({name}\\), and a model with a config.json was expected"
    ):
        from_folder(tmp_path, name="x")


@pytest.mark.parametrize("kind", ["XLMRobertaForSequenceClassification", "BertForMaskedLM"])
def test_a_model_that_scores_is_no_model_for_either(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "architectures": [kind]}))
    with pytest.raises(WeightsError, match=f"{kind}: it scores texts"):
        from_folder(tmp_path, name="x")


def test_vllm_leaves_white_space_out_of_json_unless_the_file_says_how() -> None:
    assert _compact_json(Engine()) == ["--structured-outputs-config", json.dumps(COMPACT_JSON)]
    own = Engine(extra_args=("--structured-outputs-config", '{"backend": "guidance"}'))
    assert _compact_json(own) == []


def test_json_that_never_ends_is_known_by_its_white_space() -> None:
    assert endless('{"answer":' + " " * 40)
    assert not endless('{"answer": "yes", "su')
