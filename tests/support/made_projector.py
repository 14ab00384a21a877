"""Tiny encoders of images and of sound for a model of the tests, made from a seed: Gemma 4's architectures, with weights of chance."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

_WIDTH, _HEADS, _INNER, _LAYERS, _PATCH, _PLACES = 32, 2, 64, 1, 16, 1024


def projector(path: Path, *, hidden: int = 128, seed: int = 5) -> Path:
    """A `*-mmproj-*` file, as llama.cpp loads it beside a model of this width. It sees nothing, and proves wiring alone."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.vision.projector_type", "gemma4v")
    writer.add_bool("clip.use_gelu", True)
    for key, value in {
        "image_size": 224, "patch_size": _PATCH, "embedding_length": _WIDTH, "feed_forward_length": _INNER,
        "projection_dim": hidden, "block_count": _LAYERS, "attention.head_count": _HEADS,
    }.items():  # fmt: skip
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_array("clip.vision.image_mean", [0.0, 0.0, 0.0])
    writer.add_array("clip.vision.image_std", [1.0, 1.0, 1.0])

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * 0.1).astype(np.float32))

    def ones(name: str, length: int) -> None:
        writer.add_tensor(name, np.ones(length, dtype=np.float32))

    add("v.patch_embd.weight", _WIDTH, 3, _PATCH, _PATCH)
    add("v.position_embd.weight", 2, _PLACES, _WIDTH)
    for layer in range(_LAYERS):
        begin = f"v.blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            add(f"{begin}.{name}.weight", _WIDTH, _WIDTH)
        for name in ("attn_q_norm", "attn_k_norm"):
            ones(f"{begin}.{name}.weight", _WIDTH // _HEADS)
        for name in ("ln1", "ln2", "attn_post_norm", "ffn_post_norm"):
            ones(f"{begin}.{name}.weight", _WIDTH)
        add(f"{begin}.ffn_up.weight", _INNER, _WIDTH)
        add(f"{begin}.ffn_gate.weight", _INNER, _WIDTH)
        add(f"{begin}.ffn_down.weight", _WIDTH, _INNER)
    add("mm.input_projection.weight", hidden, _WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def ear(path: Path, *, hidden: int = 128, seed: int = 6) -> Path:
    """A `*-mmproj-*` file that hears and does not see: Gemma 4's way without an encoder, a matrix over 40 ms of samples."""
    samples = 640
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_audio_encoder", True)
    writer.add_string("clip.audio.projector_type", "gemma4ua")
    writer.add_bool("clip.use_gelu", True)
    for key, value in {
        "embedding_length": samples, "num_mel_bins": samples, "projection_dim": hidden, "feed_forward_length": 0,
        "block_count": 0, "attention.head_count": 1,
    }.items():  # fmt: skip
        writer.add_uint32(f"clip.audio.{key}", value)
    writer.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-6)
    weights = np.random.default_rng(seed).standard_normal((hidden, samples)) * 0.1
    writer.add_tensor("mm.a.input_projection.weight", weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
