"""
What a model is, read from its own files, for models that the catalog does not know.

Where the files leave open how a model keeps its KV cache, `architecture` is None and the note says so:
a guess would size it wrongly, and be believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.catalog import Architecture, Gate, Model, gguf_parts, keys_of, own_template
from homeport.catalog.families import COUNTED_FROM, ENCODERS, NOTES, PERIODS, UNIFORM, filled
from homeport.catalog.gguf_header import Array, Header
from homeport.catalog.gguf_kind import ensure_writes_or_embeds
from homeport.catalog.made_for import ensure_is_model, task_of
from homeport.catalog.stored_as import ensure_loaded
from homeport.catalog.untrusted import Table, read_json
from homeport.task import Task
from homeport.weights import sentence_modules

NO_TEMPLATE = (
    "It has no chat template, as a pretrained model has none: vLLM refuses chats without a chat_template.jinja beside "
    "the weights, and other engines take a general one, which it was not trained on."
)
_EMBEDDING_GGUFS = ENCODERS | {"gemma-embedding"}
_GEMMA4_GLOBAL_HEAD_DIM = 512
"""The default of its class in transformers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    slides: bool
    kv_heads: int
    head_dim: int


def from_gguf(path: Path, *, name: str) -> Model:
    """
    Return the model in a GGUF file, called `name`. Raises `WeightsError` where the file is not whole.

    Of a split GGUF, `path` is the first part.
    """
    return from_header(gguf_parts.of_path(path), where=str(path), name=name)


def from_header(header: Header, *, where: str, name: str) -> Model:
    """Return the model in the GGUF file `where` that has this header. Raises `WeightsError` where it is none."""
    values = Table(header.values, where)
    kind = values.text("general.architecture")
    ensure_writes_or_embeds(values, header, kind, where)
    architecture = _of_gguf(values.under(kind), header, kind)
    template = own_template.of_gguf(values)
    instruct = template.there
    sampling = values.under("general.sampling").renamed({"temp": "temperature"})
    return Model(
        name=name,
        title=values.text("general.name") or name,
        task="embed" if _embeds(values, kind) else "generate",
        pooling="" if _embeds(values, kind) else "mean",
        dimensions=values.number(f"{kind}.embedding_length_out") or 0,
        family=kind,
        instruct=instruct,
        context=_context(values.under(kind), ("context_length",)),
        parameters=values.text("general.size_label") or _rounded(header.parameters),
        modalities=("text",),
        licence=values.text("general.license") or "unknown",
        gate=Gate.OPEN,
        architecture=architecture,
        weights=dict.fromkeys(keys_of("gguf"), name),
        quantization=_file_type(values.number("general.file_type")),
        sampling=_sampling(sampling),
        note=_note(kind, architecture, header.unchecked, instruct=instruct or _embeds(values, kind)),
        own_template=template,
        sources=(f"the header of {Path(where).name}",),
        tool_parser=_parser(kind, instruct=instruct),
        reasoning_parser=_parser(kind, instruct=instruct),
    )


def from_folder(path: Path, *, name: str) -> Model:
    """Return the model in a folder with a config.json, as the hub has them, called `name`."""
    ensure_is_model(path)
    config = read_json(path / "config.json")
    task = task_of(path, config)
    ensure_loaded(config)
    part = config.part("text_config")
    text = part or config
    kind = text.text("model_type") or config.text("model_type")
    text = filled(text, kind, part=part is not None)
    tokenizer = read_json(path / "tokenizer_config.json", needed=False)
    template = own_template.of_folder(path, tokenizer)
    instruct = template.there
    architecture = _of_config(text, kind)
    encoders = {"image": "vision_config", "audio": "audio_config"}
    weights = read_json(path / "model.safetensors.index.json", needed=False).part("metadata")
    quantization = config.part("quantization_config")
    return Model(
        name=name,
        title=config.text("_name_or_path") or name,
        task=task,
        pooling="" if task == "embed" else "mean",
        family=kind,
        instruct=instruct,
        dimensions=sentence_modules.dimensions(path) if task == "embed" else 0,
        context=_context_of_folder(path, text, kind, task),
        parameters=_rounded(weights.number("total_parameters") or 0 if weights else 0),
        modalities=("text", *(word for word, key in encoders.items() if config.part(key))),
        licence="unknown",
        gate=Gate.OPEN,
        architecture=architecture,
        weights=dict.fromkeys(keys_of("safetensors"), name),
        quantization=quantization.text("quant_method") if quantization else _dtype(config, text),
        kv_dtype=_kv_dtype(quantization) if quantization else "",
        sampling=_sampling(read_json(path / "generation_config.json", needed=False)),
        note=_note(kind, architecture, NOTES.get(kind, ""), instruct=instruct or task == "embed"),
        own_template=template,
        sources=("its config.json",),
        tool_parser=_parser(kind, instruct=instruct),
        reasoning_parser=_parser(kind, instruct=instruct),
    )


def _embeds(values: Table, kind: str) -> bool:
    """Return True where a GGUF gives vectors: by its architecture, or since it says how they are pooled."""
    return kind in _EMBEDDING_GGUFS or bool(values.number(f"{kind}.pooling_type"))


def _of_gguf(values: Table, header: Header, kind: str) -> Architecture | None:
    if kind not in UNIFORM | ENCODERS | PERIODS.keys():
        return None
    layers = values.layers("block_count")
    hidden = values.needed("embedding_length")
    heads = values.per_layer("attention.head_count", layers)
    kv_heads = values.per_layer("attention.head_count_kv", layers) or heads
    pattern = _slides_in_gguf(values, kind, layers)
    if heads is None or kv_heads is None or 0 in heads or pattern is None:
        return None
    full = values.number("attention.key_length") or hidden // heads[0]
    sliding = values.number("attention.key_length_swa") or full
    each = [
        _Layer(slides=slides, kv_heads=count, head_dim=sliding if slides else full)
        for slides, count in zip(pattern, kv_heads, strict=True)
    ]
    ffn = values.per_layer("feed_forward_length", layers) or [0]
    shared = values.number("attention.shared_kv_layers") or 0
    tokens = header.values.get("tokenizer.ggml.tokens")
    return _architecture(
        each,
        shared=shared,
        window=values.number("attention.sliding_window"),
        hidden=hidden,
        heads=heads[0] if len(set(heads)) == 1 else None,
        k_eq_v=any(
            not layer.slides
            and f"blk.{at}.attn_k.weight" in header.tensors
            # A fused attn_qkv has no attn_v either; then there is no attn_k.
            and f"blk.{at}.attn_v.weight" not in header.tensors
            for at, layer in enumerate(each[: layers - shared])
        ),
        vocabulary=tokens.length if isinstance(tokens, Array) else values.number("vocab_size") or 0,
        ffn=ffn[0] or None,
        ffn_shared=ffn[-1] if ffn[-1] != ffn[0] else None,
        experts=values.number("expert_count") or 0,
        experts_used=values.number("expert_used_count") or 0,
        expert_ffn=values.number("expert_feed_forward_length"),
        encoder=kind in ENCODERS,
        per_layer_embedding=values.number("embedding_length_per_layer_input") or 0,
    )


def _slides_in_gguf(values: Table, kind: str, layers: int) -> list[bool] | None:
    """Return which layers have a window. llama.cpp gives none to the uniform families, whatever their header says."""
    if not values.number("attention.sliding_window") and kind in PERIODS and kind != "gemma3":
        return None
    if kind in UNIFORM | ENCODERS or not values.number("attention.sliding_window"):
        return [False] * layers
    pattern = values.values.get("attention.sliding_window_pattern")
    if isinstance(pattern, Array):
        complete = pattern.values is not None and pattern.length >= layers
        return [bool(slides) for slides in pattern.values[:layers]] if complete and pattern.values else None
    if kind == "gemma4":
        return None  # its converter writes layer by layer, because E2B has another period than the others
    return _periodic(layers, values.number("attention.sliding_window_pattern") or PERIODS[kind])


def _of_config(text: Table, kind: str) -> Architecture | None:
    if kind not in UNIFORM | ENCODERS | PERIODS.keys():
        return None
    layers = text.layers("num_hidden_layers")
    hidden = text.needed("hidden_size")
    heads = text.needed("num_attention_heads")
    pattern = _slides_in_config(text, kind, layers)
    if pattern is None:
        return None
    each = _layers_of_config(text, kind, pattern, hidden // max(heads, 1))
    wide = bool(text.values.get("use_double_wide_mlp")) and text.number("num_kv_shared_layers")
    ffn = text.number("intermediate_size")
    experts = text.number("num_experts") or text.number("num_local_experts") or 0
    return _architecture(
        each,
        shared=text.number("num_kv_shared_layers") or 0,
        window=text.number("sliding_window"),
        hidden=hidden,
        heads=heads,
        k_eq_v=bool(text.values.get("attention_k_eq_v")),
        vocabulary=text.number("vocab_size") or 0,
        ffn=ffn,
        ffn_shared=2 * ffn if wide and ffn else None,
        experts=experts,
        experts_used=text.number("top_k_experts") or text.number("num_experts_per_tok") or 0,
        # Mixtral and gpt-oss call the width of one expert that of the model.
        expert_ffn=text.number("moe_intermediate_size") or (ffn if experts else None),
        encoder=kind in ENCODERS,
        per_layer_embedding=text.number("hidden_size_per_layer_input") or 0,
    )


def _layers_of_config(text: Table, kind: str, pattern: Sequence[bool], head_dim: int) -> list[_Layer]:
    """Return the heads of every layer. Gemma 4 has two spellings of what its global layers have of their own.

    `global_head_dim` and `num_global_key_value_heads` in the published files, and `per_layer_config`,
    keyed by layer with or without leading zeros, in what transformers saves again.
    """
    head_dim = text.number("head_dim") or head_dim
    kv_heads = text.number("num_key_value_heads") or text.needed("num_attention_heads")
    wide, few = head_dim, kv_heads
    own = text.part("per_layer_config")
    if kind.startswith("gemma4"):
        wide = text.number("global_head_dim") or (head_dim if own else _GEMMA4_GLOBAL_HEAD_DIM)
        if text.values.get("attention_k_eq_v"):
            few = text.number("num_global_key_value_heads") or kv_heads
    each = []
    by_layer = {key.lstrip("0") or "0": own.part(key) for key in own.values} if own else {}
    for at, slides in enumerate(pattern):
        mine = by_layer.get(str(at)) or Table({}, text.where)
        each.append(
            _Layer(
                slides=slides,
                kv_heads=mine.number("num_key_value_heads") or (kv_heads if slides else few),
                head_dim=mine.number("head_dim") or (head_dim if slides else wide),
            )
        )
    return each


def _slides_in_config(text: Table, kind: str, layers: int) -> list[bool] | None:
    if kind in ENCODERS or not text.number("sliding_window"):
        return None if kind in PERIODS else [False] * layers
    types = text.values.get("layer_types")
    if types is not None:
        known = isinstance(types, list) and set(map(str, types)) <= {"sliding_attention", "full_attention"}
        return (
            [layer_type == "sliding_attention" for layer_type in types]
            if known and len(types) == layers
            else None
        )
    if kind in PERIODS:
        pattern = _periodic(layers, text.number("sliding_window_pattern") or PERIODS[kind])
        return [*pattern[:-1], False] if kind.startswith("gemma4") else pattern
    if kind.startswith("qwen"):
        first = (text.number("max_window_layers") or 0) if text.values.get("use_sliding_window") else layers
        return [at >= first for at in range(layers)]
    return [True] * layers


def _periodic(layers: int, period: int) -> list[bool]:
    return [at % period != period - 1 for at in range(layers)]


def _architecture(
    each: Sequence[_Layer],
    *,
    shared: int,
    window: int | None,
    **rest: Any,  # Any: fields of Architecture that say nothing of single layers
) -> Architecture | None:
    """Return the architecture; None without layers, or where layers of one kind differ, which a pair cannot say."""
    kinds = [{layer for layer in each if layer.slides is slides} for slides in (True, False)]
    if not each or any(len(kind) > 1 for kind in kinds) or not 0 <= shared < len(each):
        return None
    sliding, full = (next(iter(kind or kinds[1 - at])) for at, kind in enumerate(kinds))
    if 0 in {sliding.kv_heads, sliding.head_dim, full.kv_heads, full.head_dim}:
        return None
    return Architecture(
        layers=len(each),
        kv_heads=(sliding.kv_heads, full.kv_heads),
        head_dim=(sliding.head_dim, full.head_dim),
        global_layers=sum(not layer.slides for layer in each),
        sliding_window=window if kinds[0] else None,
        kv_shared_layers=shared,
        kv_shared_global_layers=sum(not layer.slides for layer in each[len(each) - shared :]),
        **rest,
    )


def _context(values: Table, keys: Iterable[str]) -> int:
    first, *others = keys
    return next((tokens for key in others if (tokens := values.number(key))), 0) or values.needed(first)


def _context_of_folder(path: Path, text: Table, kind: str, task: Task) -> int:
    """Return how many tokens a text may have: of an encoder's positions those that hold one, and no more than its makers set."""
    most = _context(text, ("max_position_embeddings", "n_positions", "max_seq_len"))
    if kind in COUNTED_FROM:
        most -= 1 + (text.number("pad_token_id") or 0)
    set_ = sentence_modules.longest(path) if task == "embed" else 0
    return min(most, set_) if set_ else most


def _sampling(values: Table) -> dict[str, float]:
    stated = {key: values.values.get(key) for key in ("temperature", "top_p", "top_k")}
    return {
        key: float(value)
        for key, value in stated.items()
        if isinstance(value, int | float) and 0 <= value < 1e6
    }


def _parser(kind: str, *, instruct: bool) -> str | None:
    """Return the parser of vLLM, for tool calls and for reasoning, where it follows from the family."""
    return "gemma4" if instruct and kind.startswith("gemma4") else None


def _note(kind: str, architecture: Architecture | None, *more: str, instruct: bool) -> str:
    known = f"What a {kind or 'model of its kind'} keeps in memory is not known here, so it cannot be sized."
    return " ".join(filter(None, ("" if instruct else NO_TEMPLATE, "" if architecture else known, *more)))


def _kv_dtype(quantization: Table) -> str:
    """Return `fp8` where compressed-tensors or ModelOpt have quantized keys and values so; vLLM follows them."""
    scheme = quantization.part("kv_cache_scheme")
    if scheme is not None and scheme.number("num_bits") == 8 and scheme.text("type") == "float":
        return "fp8"
    return "fp8" if quantization.text("kv_cache_quant_algo").upper() == "FP8" else ""


def _dtype(*tables: Table) -> str:
    return next(
        (dtype for table in tables for key in ("dtype", "torch_dtype") if (dtype := table.text(key))), ""
    )


def _file_type(number: int | None) -> str:
    """Return the name of a GGUF's file type, such as `Q4_K_M` for 15; '' where the package gguf does not tell it."""
    if number is None:
        return ""
    try:
        from gguf import LlamaFileType

        return str(LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_"))
    except (ImportError, ValueError):
        return ""


def _rounded(count: int) -> str:
    """Round a number of parameters to three digits with a unit: `268M` for 268,098,176; `unknown` for 0."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count) if count else "unknown"
