"""What makes vectors of an encoder's states is carried with it: how they are pooled, and layers of weights behind that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeport.catalog.inspect import from_folder
from homeport.engines.vllm.engine import explain
from homeport.errors import SpecError, WeightsError
from homeport.targets.cloudrun.adapters import PinnedModel
from homeport.targets.cloudrun.model_selection import _ensure_read
from homeport.weights.manifest import Pin, PinnedFile
from homeport.weights.sources.file import FileSource

BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384, "num_hidden_layers": 6,
    "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512, "vocab_size": 30522,
}  # fmt: skip
MODULES = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"idx": 3, "path": "3_Dense", "type": "sentence_transformers.base.modules.dense.Dense"},
    {"idx": 4, "path": "4_Normalize", "type": "sentence_transformers.models.Normalize"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "config.json": BERT, "modules.json": MODULES, "sentence_bert_config.json": {"max_seq_length": 256},
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True}, "2_Dense/config.json": {"out_features": 3072},
        "3_Dense/config.json": {"out_features": 768}, "tokenizer.json": {},
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    for name in ("model", "2_Dense/model", "3_Dense/model", "onnx/model", "9_Left/model"):
        (tmp_path / f"{name}.safetensors").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    return tmp_path


def pinned(folder: Path) -> set[str]:
    return {file.path for file in FileSource(folder).pin("safetensors").files}


def test_layers_behind_the_pooling_are_carried_and_nothing_that_no_list_names(folder: Path) -> None:
    weights = {name for name in pinned(folder) if name.endswith(".safetensors")}
    assert weights == {"model.safetensors", "2_Dense/model.safetensors", "3_Dense/model.safetensors"}
    assert {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json"} <= pinned(folder)


def test_a_layer_without_its_weights_is_refused_by_name(folder: Path) -> None:
    (folder / "3_Dense/model.safetensors").rename(folder / "3_Dense/pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"lacks 3_Dense/model\.safetensors.* other vectors come"):
        pinned(folder)


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]", '[{"path": "x"}]', "null"])
def test_a_list_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "modules.json").write_text(text)
    with pytest.raises(WeightsError, match=r"modules\.json of .* is no list of modules"):
        pinned(folder)


def test_a_vector_is_as_wide_as_the_last_layer_and_a_text_as_long_as_its_makers_set(folder: Path) -> None:
    model = from_folder(folder, name="x")
    assert (model.task, model.dimensions, model.context) == ("embed", 768, 256)
    assert model.architecture is not None
    assert model.architecture.encoder


def test_positions_of_padding_hold_no_token(folder: Path) -> None:
    config = {
        **BERT, "model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"], "pad_token_id": 1,
        "max_position_embeddings": 514,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "sentence_bert_config.json").unlink()
    assert from_folder(folder, name="x").context == 512


def test_a_stream_that_would_leave_a_layer_behind_is_refused() -> None:
    files = [
        PinnedFile(path=path, size=1, sha256=None)
        for path in ("model.safetensors", "2_Dense/model.safetensors")
    ]
    for kept, refused in ((files, True), (files[:1], False)):
        pin = Pin(source="hf:o/r", revision="1", files=tuple(kept))
        model = PinnedModel(pin=pin, folder=None, prefix="models/x")
        _ensure_read(model, "gcsfuse-buffered")
        if refused:
            with pytest.raises(SpecError, match="2_Dense/model"):
                _ensure_read(model, "stream")
        else:
            _ensure_read(model, "stream")


def test_what_pydantic_says_of_a_setting_is_told_and_not_that_it_said_something() -> None:
    log = (
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, User-specified max_model_len (512) is too large. [type=value_error, input_value=ArgsKwargs(())]\n"
    )
    assert str(explain(log)) == "vLLM says: User-specified max_model_len (512) is too large."
