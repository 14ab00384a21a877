"""A real encoder of texts in other forms: as GGUF for llama.cpp, and with a layer of weights behind its pooling."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_BEFORE = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_SPECIAL = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "bos": "[CLS]", "mask": "[MASK]"}


def encoder_gguf(folder: Path, path: Path) -> Path:
    """Write the BERT in `folder` (config.json, vocab.txt, model.safetensors in float32) to `path`, and return that."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name(folder.name)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([_token(word) for word in words])
    kinds = [gguf.TokenType.CONTROL if word in _SPECIAL.values() else gguf.TokenType.NORMAL for word in words]
    writer.add_token_types(kinds)
    writer.add_token_type_count(config["type_vocab_size"])
    for name, word in _SPECIAL.items():
        getattr(writer, f"add_{name}_token_id")(words.index(word))
    for name, tensor in _tensors(folder / "model.safetensors").items():
        known = _named(name)
        if known:
            writer.add_tensor(known, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def with_layer(folder: Path, target: Path, *, width: int) -> Path:
    """
    Write the encoder in `folder` with a layer behind its pooling, and return that folder.

    It turns the vector, drawn by chance, and keeps the first `width` numbers: what was near stays so, roughly.
    """
    shutil.copytree(folder, target)
    modules = json.loads((target / "modules.json").read_text())
    layer = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (target / "modules.json").write_text(json.dumps([*modules[:2], layer, *modules[2:]]))
    (target / "2_Dense").mkdir()
    whole = json.loads((folder / "config.json").read_text())["hidden_size"]
    told = {"in_features": whole, "out_features": width, "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity"}  # fmt: skip
    (target / "2_Dense" / "config.json").write_text(json.dumps(told))
    turned, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((whole, whole)))
    data = turned[:width].astype("<f4").tobytes()
    shape = {"dtype": "F32", "shape": [width, whole], "data_offsets": [0, len(data)]}
    header = json.dumps({"linear.weight": shape}).encode()
    (target / "2_Dense" / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)
    return target


def _token(word: str) -> str:
    """Return a word as llama.cpp looks it up: what begins one has a mark, what goes on with one has none."""
    if word in _SPECIAL.values() or (word.startswith("[") and word.endswith("]")):
        return word
    return word.removeprefix("##") if word.startswith("##") else f"\u2581{word}"


def _named(name: str) -> str | None:
    if name in _BEFORE:
        return _BEFORE[name]
    if not name.startswith("encoder.layer."):
        return None
    at, _, rest = name.removeprefix("encoder.layer.").partition(".")
    what, _, kind = rest.rpartition(".")
    return f"blk.{at}.{_LAYER[what]}.{kind}"


def _tensors(path: Path) -> Mapping[str, np.ndarray]:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    found = {}
    for name, told in header.items():
        if name != "__metadata__" and told["dtype"] == "F32":
            begin, end = told["data_offsets"]
            flat = np.frombuffer(data[8 + length + begin : 8 + length + end], dtype=np.float32)
            found[name] = flat.reshape(told["shape"])
    return found
