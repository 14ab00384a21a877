"""How many pictures a prompt may hold, what an encoder takes, and which file it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeport import catalog
from homeport.catalog import Model
from homeport.engines.footprint import Device, Footprint, Sizing
from homeport.engines.llamacpp import memory as llamacpp_memory
from homeport.engines.registry import modalities, module, published
from homeport.engines.vllm import limits, memory
from homeport.errors import SpecError, WeightsError
from homeport.home import find_home
from homeport.spec import Engine, Spec
from homeport.targets.local.projector import projector_of
from homeport.targets.local.weights import weights_of
from homeport.weights.selection import choose
from homeport.weights.store import WeightsStore

GPU = Device(name="gpu", memory=96 << 30, gpu=True)
CPU = Device(name="cpu", memory=32 << 30, gpu=False)


def known(name: str) -> Model:
    found = catalog.find(name)
    assert found is not None
    return found


def sized(*words: str, model: str = "gemma-4-e2b") -> Footprint:
    found = known(model)
    size = memory.footprint(
        Sizing(
            model=found,
            weights=published(found, "vllm")[0],
            settings=Engine(extra_args=words),
            device=GPU,
        )
    )
    assert size is not None
    return size


def test_vllm_is_told_how_many_of_each_a_prompt_may_hold() -> None:
    flag, value = limits.limit_flags(Engine(), known("gemma-4-e2b"))
    assert (flag, json.loads(value)) == ("--limit-mm-per-prompt", {"image": 4, "audio": 1, "video": 0})
    assert json.loads(limits.limit_flags(Engine(), known("gemma-4-31b"))[1]) == {"image": 4, "video": 0}
    assert limits.limit_flags(Engine(), known("gemma-3-270m")) == []


@pytest.mark.parametrize(
    "words",
    [
        ("--limit-mm-per-prompt", '{"image": 0, "audio": 0, "video": 0}'),
        ('--limit-mm-per-prompt={"image": 0, "audio": {"count": 0}, "video": 0}',),
        ("--limit_mm_per_prompt.image", "0", "--limit-mm-per-prompt.audio=0", "--limit-mm-per-prompt.video", "0"),
        ("--language-model-only",),
    ],
)  # fmt: skip
def test_encoders_that_may_read_nothing_are_not_counted(words: tuple[str, ...]) -> None:
    model = known("gemma-4-e2b")
    assert model.parts is not None
    settings = Engine(extra_args=words)
    assert limits.limit_flags(settings, model) == []
    assert limits.read(settings, model) == frozenset()
    usual, without = sized(), sized(*words)
    beside = 2048 * 35 * 256 * 2
    assert usual.weights - without.weights >= model.parts.vision + model.parts.audio
    assert usual.weights - without.weights <= model.parts.vision + model.parts.audio + beside
    assert "encoders at work" in {term.what for term in usual.fixed}
    assert "encoders at work" not in {term.what for term in without.fixed}
    assert without.unknown == ()


@pytest.mark.parametrize(
    ("config", "sees"),
    [
        ({"architectures": ["Gemma4ForCausalLM"]}, False),
        ({"architectures": ["Gemma4ForConditionalGeneration"], "vision_config": {"depth": 1}}, True),
        ({"architectures": ["Phi4MMForCausalLM"], "vision_config": {"depth": 1}}, True),
        ({"model_type": "gemma4"}, True),
        (None, True),
    ],
)
def test_weights_of_text_that_stand_in_for_a_model_that_sees_see_nothing(
    tmp_path: Path, config: dict[str, object] | None, sees: bool
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    model = limits.of_files(known("gemma-4-e2b"), tmp_path)
    assert ("image" in model.modalities) is sees
    assert bool(limits.limit_flags(Engine(), model)) is sees


def test_videos_keep_the_encoder_of_images_and_what_json_leaves_out_has_vllms_own_limit() -> None:
    model = known("gemma-4-31b")
    only_videos = Engine(extra_args=("--limit-mm-per-prompt", '{"image": 0, "video": 1}'))
    assert limits.read(only_videos, model) == {"image"}
    assert limits.read(Engine(extra_args=("--limit-mm-per-prompt", '{"image": 0}')), model) == {"image"}


def test_an_encoder_of_its_own_counts_with_its_file() -> None:
    model = known("gemma-4-e2b")
    weights = published(model, "llamacpp")[0]

    def needs(settings: Engine, size: int = 0) -> int:
        footprint = llamacpp_memory.footprint(
            Sizing(model=model, weights=weights, settings=settings, device=CPU, projector_bytes=size)
        )
        assert footprint is not None
        return footprint.fixed_bytes

    assert needs(Engine(projector="auto"), 1 << 30) == needs(Engine()) + (1 << 30) + (512 << 20)


@pytest.mark.parametrize("engine", ["vllm", "ollama"])
def test_an_encoder_of_its_own_is_refused_by_engines_whose_weights_hold_one(engine: str) -> None:
    with pytest.raises(SpecError, match=r"engine\.projector cannot be honoured"):
        module(engine).check(Engine(projector="auto"))


def test_the_catalog_says_what_each_engine_serves() -> None:
    model = known("gemma-4-e2b")
    assert modalities(model, "vllm") == ("text", "image", "audio")
    assert modalities(model, "llamacpp") == ("text",)
    assert modalities(model, "llamacpp", projector=True) == ("text", "image", "audio")
    assert modalities(known("gemma-3-270m"), "vllm") == ("text",)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["m-Q8_0.gguf", "mmproj-m.gguf"], "mmproj-m.gguf"),
        (["mmproj-m-Q8_0.gguf", "mmproj-m-bf16.gguf", "mmproj-m-f16.gguf", "m.gguf"], "mmproj-m-f16.gguf"),
        (["mmproj-m-Q8_0.gguf", "mmproj-m-BF16.gguf", "m.gguf"], "mmproj-m-BF16.gguf"),
    ],
)
def test_the_encoder_of_a_repository_is_found_by_its_name(names: list[str], chosen: str) -> None:
    assert choose(names, "gguf", file="mmproj", where="hf:o/m") == [chosen]


@pytest.mark.parametrize("names", [["m.gguf"], ["mmproj-a.gguf", "mmproj-b.gguf"]])
def test_none_and_one_of_two_is_no_encoder(names: list[str]) -> None:
    with pytest.raises(WeightsError, match=r"no encoder of images|several encoders of images"):
        choose(names, "gguf", file="mmproj", where="hf:o/m")


def test_auto_means_the_repository_and_revision_of_the_model(tmp_path: Path) -> None:
    spec = Spec().model_copy(update={"model": "gemma-4-e2b", "engine": Engine(projector="auto")})
    store = WeightsStore(find_home().weights, catalog.checksums())
    model = weights_of(spec, tmp_path / "homeport.toml", "llamacpp", store)
    found = projector_of(spec, tmp_path / "homeport.toml", "llamacpp", model)
    assert model is not None
    assert found is not None
    assert found.source == model.source.rpartition(":")[0] + ":mmproj"
    assert projector_of(Spec(), tmp_path / "homeport.toml", "llamacpp", model) is None
