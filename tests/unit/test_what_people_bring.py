"""Kinds of what people bring and of what engines then say, each in several forms: none passes for something else."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.catalog.described import of_path
from homeport.catalog.inspect import from_folder
from homeport.catalog.stored_as import LOADED
from homeport.errors import WeightsError
from homeport.targets.cloudrun.diagnosis import Evidence, likely
from homeport.verify.checks.leaks import leaked, trouble
from homeport.weights import other_content
from homeport.weights.selection import choose
from homeport.weights.sources.file import FileSource
from made_ggufs import parts_of
from made_headers import CONFIG
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
        (
            lambda at: (at / "tokenizer.json").write_text("<!doctype html>\n"),
            r"tokenizer\.json is a web page",
        ),
        (lambda at: (at / "tokenizer.json").write_text("not found"), r"tokenizer\.json is no JSON"),
        (
            lambda at: (at / "tokenizer.json").write_bytes((at / "tokenizer.json").read_bytes()[:90_000]),
            r"tokenizer\.json is cut short",
        ),
        (
            lambda at: (at / "generation_config.json").write_text('{"top_k": 5'),
            r"generation_config\.json is cut short",
        ),
        (lambda at: (at / "model.safetensors").write_text("<!doctype html>"), "is not a safetensors file"),
        (lambda at: (at / "model.safetensors").write_bytes(b""), "is empty, and safetensors were expected"),
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


OTHER_CONTENT = {
    "a pointer of Git LFS": (POINTER.encode(), "git lfs pull"),
    "a web page": (b"\xef\xbb\xbf\n <!doctype html><p>404" + bytes(80), "an error page was saved"),
    "a ZIP archive": (b"PK\x03\x04" + bytes(80), "unpack it"),
    "a gzip archive": (b"\x1f\x8b\x08" + bytes(80), "gunzip"),
    "a pickle": (b"\x80\x02}q\x00" + bytes(80), "safetensors or a GGUF"),
    "a file of GGML": (b"lmgg" + bytes(80), "GGUF of a language model"),
    "nothing but zeros where it begins": (bytes(4096), "it was not filled"),
}


@pytest.mark.parametrize(("content", "do"), OTHER_CONTENT.values(), ids=OTHER_CONTENT)
@pytest.mark.parametrize("name", ["m.gguf", "m/model.safetensors", "m/config.json"])
def test_what_lies_in_the_place_of_a_file_is_told_as_what_it_is(
    request: pytest.FixtureRequest, tmp_path: Path, folder: Path, name: str, content: bytes, do: str
) -> None:
    (tmp_path / name).write_bytes(content)
    what = request.node.callspec.id.rpartition("-")[2]
    with pytest.raises(WeightsError, match=f"is {what}") as refused:
        of_path(tmp_path / name if name.endswith(".gguf") else folder, name="x")
    assert do in str(refused.value.hint)


@given(length=st.integers(2, 1 << 25))
def test_no_length_in_front_of_safetensors_is_taken_for_something_else(length: int) -> None:
    begin = struct.pack("<Q", length) + b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    assert other_content.told(begin) is other_content.SAFETENSORS


def test_weights_of_one_kind_under_the_name_of_the_other_are_told(tmp_path: Path, folder: Path) -> None:
    shutil.copy(TAUGHT_FOLDER / "model.safetensors", tmp_path / "m.gguf")
    with pytest.raises(WeightsError, match="is not a GGUF file: it is a file of safetensors"):
        of_path(tmp_path / "m.gguf", name="x")
    shutil.copy(TAUGHT, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="is not a safetensors file: it is a GGUF"):
        of_path(folder, name="x")


@pytest.mark.parametrize(
    ("version", "told", "do"),
    [
        (struct.pack(">I", 3), "is a big-endian GGUF", "gguf_convert_endian"),
        (struct.pack("<I", 4), "is a GGUF of version 4;", "upgrade homeport"),
        (struct.pack("<I", 1), "is a GGUF of version 0x1;", "made with a current llama.cpp"),
        (struct.pack("<I", 0x12345678), "is a GGUF of version 0x12345678;", "made with a current llama.cpp"),
    ],
)
def test_a_gguf_of_another_version_is_told_with_who_is_too_old(
    tmp_path: Path, version: bytes, told: str, do: str
) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + version + bytes(80))
    with pytest.raises(WeightsError, match=told) as refused:
        of_path(tmp_path / "m.gguf", name="x")
    assert do in str(refused.value.hint)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe"])
def test_settings_with_a_byte_order_mark_are_told_as_such(folder: Path, mark: bytes) -> None:
    (folder / "config.json").write_bytes(mark + (folder / "config.json").read_bytes())
    with pytest.raises(WeightsError, match=r"config\.json begins with a byte order mark"):
        of_path(folder, name="x")


@pytest.mark.parametrize("suffix", [".incomplete", ".part", ".crdownload", ".aria2"])
def test_a_download_that_was_not_finished_is_named(tmp_path: Path, folder: Path, suffix: str) -> None:
    left = (folder / "model.safetensors").rename(folder / f"model.safetensors{suffix}")
    first, second = parts_of(tmp_path, 2)
    part = second.rename(f"{second}{suffix}")
    for read, name in (
        (lambda: of_path(folder, name="x"), left.name),
        (lambda: FileSource(folder).pin("safetensors"), left.name),
        (lambda: of_path(first, name="x"), part.name),
        (lambda: FileSource(first).pin("gguf"), part.name),
    ):
        with pytest.raises(WeightsError) as refused:
            read()
        assert f"{name} is a download that was not finished" in str(refused.value.hint)


def test_a_part_that_is_missing_is_told_with_what_to_do(tmp_path: Path) -> None:
    first, second = parts_of(tmp_path, 2)
    second.rename(tmp_path / "m-00002-of-00002 (1).gguf")
    with pytest.raises(WeightsError, match="lacks m-00002-of-00002") as refused:
        FileSource(first).pin("gguf")
    assert "under that very name" in str(refused.value.hint)


def with_config(folder: Path, **changed: object) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changed}))
    return folder


@pytest.mark.parametrize(
    "method",
    ["bitsandbytes", "gguf", "hqq", "quanto", "aqlm", "exl2", "exl3", "eetq", "vptq", "bitnet", "someone's"],
)
def test_weights_that_are_quantized_as_nothing_here_loads_are_refused_by_the_name(
    folder: Path, method: str
) -> None:
    for changed in (
        {"quantization_config": {"quant_method": method}},
        {"text_config": {**CONFIG, "quantization_config": {"quant_method": method.upper()}}},
    ):
        with pytest.raises(WeightsError, match=f"quantized by [\"']{method}[\"']") as refused:
            of_path(with_config(folder, **changed), name="x")
        assert 'engine.quantization = "fp8"' in str(refused.value.hint)


def test_weights_for_mlx_are_told_as_such(folder: Path) -> None:
    with pytest.raises(WeightsError, match="quantized for MLX, which runs on Apple's machines alone"):
        of_path(with_config(folder, quantization={"group_size": 64, "bits": 4}), name="x")


@pytest.mark.parametrize(
    "scheme",
    [
        *({"quant_method": method} for method in sorted(LOADED)),
        *({"quant_method": "compressed_tensors"}, {"quant_method": "AWQ"}, {"quant_algo": "NVFP4"}, None),
    ],
)
def test_what_vllm_loads_is_not_refused(folder: Path, scheme: object) -> None:
    assert of_path(with_config(folder, quantization_config=scheme), name="x").bytes > 0


@pytest.mark.parametrize(
    ("architecture", "told"),
    [
        ("LlamaForRewardModel", "it scores texts"),
        ("InternLM2ForRewardModel", "it scores texts"),
        ("Qwen2ForProcessRewardModel", "it scores texts"),
        ("BertForTokenClassification", "it scores texts"),
        ("BertForQuestionAnswering", "it scores texts"),
        ("LlamaForCausalLMEagle3", "it drafts tokens for another model"),
        ("EagleLlamaForCausalLM", "it drafts tokens for another model"),
        ("DeepSeekV3MTP", "it drafts tokens for another model"),
        ("DetrForObjectDetection", "writes text or gives vectors was expected"),
        ("SamModel", "writes text or gives vectors was expected"),
        ("MusicgenForConditionalGeneration", "writes text or gives vectors was expected"),
        ("ResNetForImageClassification", "writes text or gives vectors was expected"),
    ],
)
def test_a_network_that_nobody_can_chat_with_is_told_as_what_it_is(
    folder: Path, architecture: str, told: str
) -> None:
    with pytest.raises(WeightsError, match=f"is a {architecture}.*{told}"):
        of_path(with_config(folder, architectures=[architecture]), name="x")


@pytest.mark.parametrize(
    "architecture",
    [
        "Gemma3ForConditionalGeneration", "LlavaForConditionalGeneration", "Eagle2_5_VLForConditionalGeneration",
        "Qwen2_5_VLForConditionalGeneration", "MllamaForConditionalGeneration", "LlamaForCausalLM", "GPT2LMHeadModel",
    ],
)  # fmt: skip
def test_a_network_that_writes_text_is_not_taken_for_another(folder: Path, architecture: str) -> None:
    assert of_path(with_config(folder, architectures=[architecture]), name="x").model.task == "generate"


def gguf_that_is(path: Path, kind: str, architecture: str) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    if kind:
        writer.add_string("general.type", kind)
    writer.add_tensor("t.weight", np.zeros((4, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("kind", "architecture", "told"),
    [
        ("mmproj", "clip", "an encoder of images or sound"),
        ("", "clip", "an encoder of images or sound"),
        ("imatrix", "imatrix", "an importance matrix"),
        ("controlvector", "controlvector", "a control vector"),
        ("adapter", "llama", "an adapter"),
        ("something", "llama", "what it calls 'something'"),
        ("", "flux", r"a model that makes pictures or films \(flux\)"),
        ("model", "qwen_image", r"a model that makes pictures or films \(qwen_image\)"),
    ],
)
def test_a_gguf_that_is_no_model_of_text_is_told_as_what_it_is(
    tmp_path: Path, kind: str, architecture: str, told: str
) -> None:
    with pytest.raises(WeightsError, match=f"holds {told}, and a language model was expected"):
        of_path(gguf_that_is(tmp_path / "m.gguf", kind, architecture), name="x")


def test_the_folder_that_the_model_lies_in_is_named(tmp_path: Path, folder: Path) -> None:
    outer = tmp_path / "run"
    for step in (500, 1000):
        shutil.copytree(folder, outer / f"checkpoint-{step}")
    with pytest.raises(WeightsError, match="holds no safetensors") as refused:
        of_path(outer, name="x")
    assert str(refused.value.hint) == (
        "it has the model in a folder of its own: name checkpoint-1000, checkpoint-500"
    )


def test_of_several_ggufs_in_a_folder_one_is_named_by_its_path(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        shutil.copy(TAUGHT, tmp_path / name)
    for read in (lambda: of_path(tmp_path, name="x"), lambda: FileSource(tmp_path).pin("gguf")):
        with pytest.raises(WeightsError, match="has several GGUF files") as refused:
            read()
        assert str(refused.value.hint) == "name one of them in the place of the folder: a.gguf, b.gguf"


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
