"""Which part of a model a tensor is, by its name and shape; and how the weights are stored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from math import prod

from homeport.catalog.gguf_header import Header, block_sizes
from homeport.catalog.parts import Parts
from homeport.catalog.safetensors_header import SafetensorsTensor
from homeport.catalog.untrusted import Table

# Names as in the checkpoints of Gemma 3 and 4, Llama, Mistral, Mixtral, Qwen and gpt-oss on the hub. The first that
# matches counts: an encoder has attention, too.
_PARTS = (
    ("audio", re.compile(r"(^|\.)(audio_tower|embed_audio|audio_\w+)\.")),
    (
        "vision",
        re.compile(
            r"(^|\.)(vision_tower|vision_model|embed_vision|visual|vision_\w+|multi_modal_projector)\."
        ),
    ),
    ("per_layer_embedding", re.compile(r"embed_tokens_per_layer|per_layer_token_embd")),
    ("embedding", re.compile(r"(^|\.)(embed_tokens|wte|tok_embeddings|token_embd)\.")),
    # A head that is quantized keeps its scales; `output` is GGUF's and Mistral's word for it.
    ("head", re.compile(r"(^|\.)(lm_head\.|output\.(weight|bias|qweight|scales|qzeros)$)")),
    ("rest", re.compile(r"per_expert_scale$")),
    # What quantized checkpoints keep beside a matrix belongs to it.
    (
        "matrices",
        re.compile(
            r"(_packed|_scale|_scale_inv|_shape|_zero_point|qweight|qzeros|scales|g_idx|_blocks|_scales)$"
        ),
    ),
)
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")
_GGUF_ENCODERS = (("vision", ("v.", "mm.")), ("audio", ("a.", "mm.a.")))
_STORED = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F8_E4M3": "fp8", "F8_E5M2": "fp8"}
_FORMATS = {
    "nvfp4-pack-quantized": "nvfp4",
    "mxfp4-pack-quantized": "mxfp4",
    "float-quantized": "fp8",
    "int-quantized": "int8",
}
_ALGORITHMS = {"NVFP4": "nvfp4", "FP8": "fp8"}


def of_safetensors(tensors: Iterable[SafetensorsTensor]) -> Parts:
    """Return the parts of a model whose files announce `tensors`."""
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[_part(tensor.name, len(tensor.shape))] += tensor.size
    return Parts(**sizes)


def of_gguf(header: Header) -> Parts:
    """Return the parts of a model in a GGUF file; a tensor of a type that is not known counts nothing."""
    blocks = block_sizes()
    sizes: Counter[str] = Counter()
    for name, tensor in header.tensors.items():
        elements, size = blocks.get(tensor.type, (1, 0))
        encoder = next((kind for kind, begins in reversed(_GGUF_ENCODERS) if name.startswith(begins)), None)
        sizes[encoder or _part(name, len(tensor.dimensions))] += prod(tensor.dimensions) // elements * size
    return Parts(**sizes)


def layers(tensors: Iterable[SafetensorsTensor]) -> int:
    """Return how many layers of the language model the tensors belong to, by their names; 0 where these do not tell."""
    numbers = (_LAYER.search(tensor.name) for tensor in tensors if _part(tensor.name, 2) == "matrices")
    return len({match[1] for match in numbers if match})


def quantization(config: Table, tensors: Iterable[SafetensorsTensor]) -> str:
    """
    Return how the weights are stored: `bfloat16`, `fp8`, `w4a16`, `nvfp4`, `awq`, `gptq` …

    By what config.json says of it, else by the type that most bytes have; '' where neither tells.
    """
    for table in filter(None, (config, config.part("text_config"))):
        scheme = table.part("quantization_config") or table.part("compression_config")
        if scheme is not None:
            return _compressed(scheme) or scheme.text("quant_method")
    bytes_of: Counter[str] = Counter()
    for tensor in tensors:
        bytes_of[tensor.dtype] += tensor.size
    return _STORED.get(bytes_of.most_common(1)[0][0], "") if bytes_of else ""


def _compressed(scheme: Table) -> str:
    """Return what compressed-tensors calls a format and ModelOpt an algorithm, in the words of the catalog; else ''."""
    form = scheme.text("format")
    if form == "pack-quantized":
        return f"w{_bits(scheme)}a16"
    return _FORMATS.get(form) or _ALGORITHMS.get(scheme.text("quant_algo").upper(), "")


def _bits(scheme: Table) -> int:
    """Return the bits of a packed weight: the fewest that a group of layers has, 4 where none says."""
    groups = scheme.part("config_groups")
    each = [groups.part(name) for name in groups.values] if groups else []
    weights = [packed for group in each if group and (packed := group.part("weights"))]
    return min((bits for packed in weights if (bits := packed.number("num_bits"))), default=4)


def _part(name: str, dimensions: int) -> str:
    for part, pattern in _PARTS:
        if pattern.search(name):
            return part
    return "matrices" if dimensions > 1 else "rest"
