"""Kinds of what people bring and of what engines then say, each in several forms: none passes for something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.catalog.described import of_path
from homeport.catalog.inspect import from_folder
from homeport.errors import WeightsError
from homeport.targets.cloudrun.diagnosis import Evidence, likely
from homeport.verify.checks.leaks import leaked, trouble
from homeport.weights.selection import choose
from homeport.weights.sources.file import FileSource
from made_ggufs import parts_of
from places import TAUGHT, TAUGHT_FOLDER

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 127915\n"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TAUGHT_FOLDER, tmp_path / "m"))


def looked_at(folder: Path) -> None:
    FileSource(folder).pin("safetensors")
    of_path(folder, name="x")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda at: (at / "tokenizer.json").write_text(POINTER), r"tokenizer\.json is a pointer of Git LFS"),
        (lambda at: (at / "model.safetensors").write_text(POINTER), r"is a pointer of Git LFS"),
        (lambda at: (at / "config.json").write_text(POINTER), r"is a pointer of Git LFS"),
        (lambda at: (at / "tokenizer.json").write_text(""), r"tokenizer\.json is empty"),
        (lambda at: (at / "model.safetensors").write_text("<!doctype html>"), "is not a safetensors file"),
        (lambda at: (at / "model.safetensors").write_bytes(b""), "is cut short"),
        (lambda at: (at / "tokenizer.json").rename(at / "vocab.json"), "has no tokenizer"),
        (lambda at: (at / INDEX).write_text(json.dumps({"weight_map": {"a": "../x"}})), r"lacks '\.\./x'"),
        (lambda at: (at / INDEX).write_text(json.dumps({"weight_map": {"a": "b.bin"}})), r"lacks 'b\.bin'"),
    ],
)
def test_a_folder_that_no_server_can_read_is_refused_with_the_file(
    folder: Path, change: Callable[[Path], object], told: str
) -> None:
    change(folder)
    with pytest.raises(WeightsError, match=told):
        looked_at(folder)


def test_a_pointer_in_the_place_of_a_gguf_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_text(POINTER)
    with pytest.raises(WeightsError, match="is a pointer of Git LFS") as refused:
        FileSource(tmp_path / "m.gguf").pin("gguf")
    assert "git lfs pull" in str(refused.value.hint)


def test_parts_of_a_gguf_under_any_other_names_are_no_model(tmp_path: Path) -> None:
    first, second = parts_of(tmp_path, 2)
    second.rename(tmp_path / "second.gguf")
    with pytest.raises(WeightsError, match="is part 2 of 2"):
        of_path(tmp_path / "second.gguf", name="x")
    with pytest.raises(WeightsError, match="lacks m-00002-of-00002"):
        FileSource(first).pin("gguf")
    (tmp_path / "cut.gguf").write_bytes(TAUGHT.read_bytes()[:-5000])
    with pytest.raises(WeightsError, match="is cut short"):
        of_path(tmp_path / "cut.gguf", name="x")


@pytest.mark.parametrize(
    "beside",
    [
        "m-lora-f16.gguf", "m-adapter.gguf", "ggml-vocab-m.gguf", "m.imatrix.gguf", "mmproj-F16.gguf", "mmproj_m.gguf",
        "MTP/m-MTP-Q8_0.gguf", "m-mtp.gguf", "m-draft-Q8_0.gguf", "m-eagle3.gguf", "m-assistant-Q8_0.gguf",
        "m-dflash-Q4_K_M.gguf", "projector-m.gguf",
    ],
)  # fmt: skip
def test_what_lies_beside_a_model_is_not_taken_for_it(beside: str) -> None:
    assert choose(["m-Q8_0.gguf", beside], "gguf", where="hf:o/r") == ["m-Q8_0.gguf"]


def test_a_word_that_every_file_has_is_the_models_own() -> None:
    names = ["open-assistant-Q8_0.gguf", "open-assistant-Q4_K_M.gguf"]
    assert choose(names, "gguf", where="hf:o/r") == ["open-assistant-Q4_K_M.gguf"]


def test_a_model_of_embeddings_that_is_kept_as_one_of_text_is_told_by_how_it_is_pooled(folder: Path) -> None:
    assert from_folder(folder, name="x").task == "generate"
    pooling = {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    (folder / "modules.json").write_text(json.dumps([pooling]))
    assert from_folder(folder, name="x").task == "embed"


@pytest.mark.parametrize(
    "text",
    [
        "<|channel>thought", 'call<|"|>', "<tool_call|>", "<end_of_turn>", "</think>", "[TOOL_CALLS]", "<unused49>",
        "<pad><pad>", "<function=get_weather>", "<parameter=city>",
    ],
)  # fmt: skip
def test_what_was_meant_for_the_engine_is_found_in_an_answer(text: str) -> None:
    assert leaked(f"Paris {text} is")
    assert "control tokens" in trouble(f"Paris {text}", "", cut=False)


def test_an_answer_with_nothing_in_it_is_a_trouble() -> None:
    assert trouble("", "", cut=False) == "the answer is empty"
    assert trouble("", "hmm", cut=False) == "there is no text beside the reasoning"
    assert not leaked("if a < b and c > d: <b>bold</b>")


FACTS = {"service": "s", "region": "r", "project": "p", "account": "a", "port": "8080", "startup_s": "300"}
DRIVER = "does not suit the GPU or its driver"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.", DRIVER),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 12080).", DRIVER),
        ("torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device", DRIVER),
        ("Error 803: system has unsupported display driver / cuda driver combination", DRIVER),
        ("Error 804: forward compatibility was attempted on non supported HW", DRIVER),
        ("nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0", DRIVER),
        ("RuntimeError: No CUDA GPUs are available", "finds no GPU"),
        ("RuntimeError: Failed to infer device type", "finds no GPU"),
        ("ImportError: libcuda.so.1: cannot open shared object file", "finds no GPU"),
        ("ValueError: There is no module or parameter named 'model.x' in Gemma4ForCausalLM", "model: model.x"),
        ("KeyError: 'model.layers.0.self_attn.qkv_proj.weight_scale'", "qkv_proj.weight_scale"),
        ("ValueError: Free memory on device cuda:0 (17.2/22.03 GiB) on startup is less than desired", "too little memory"),
        ("OSError: We have no connection to 'https://hub.example' and", "cannot reach"),
        ("jinja2.exceptions.TemplateError: Conversation roles must alternate", "roles must alternate"),
        ("pydantic_core.ValidationError: 1 validation error for ModelConfig\n  Value error, no heads [type=x]", "no heads"),
    ],
)  # fmt: skip
def test_the_cause_is_told_and_not_what_followed_from_it(line: str, told: str) -> None:
    followed = "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above."
    lines = [f"(EngineCore pid=86) {line}", followed, "Container called exit(1)."]
    error = likely(
        Evidence(
            engine="vllm", conditions="HealthCheckContainerError: failed to start", facts=FACTS, lines=lines
        )
    )
    assert told in str(error)
