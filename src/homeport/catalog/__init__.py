"""What is known of models, without asking a network: `models.toml`, dated, with a source for every entry."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from homeport.catalog.own_template import OwnTemplate
from homeport.catalog.parts import Parts
from homeport.task import Task
from homeport.weights.likely_source import misread

_FOLDER = Path(__file__).parent


class Gate(StrEnum):
    """Whether a hub wants a licence accepted before it hands out the weights."""

    OPEN = "open"
    GATED = "gated"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What sizing needs. Pairs are (sliding-window layers, global layers)."""

    layers: int
    hidden: int
    heads: int | None
    kv_heads: tuple[int, int]
    head_dim: tuple[int, int]
    global_layers: int
    """How many of `layers` attend to the whole context; the others see `sliding_window` tokens."""
    sliding_window: int | None
    kv_shared_layers: int = 0
    """The last so many layers reuse the KV cache of earlier ones and own none."""
    kv_shared_global_layers: int = 0
    """How many of `kv_shared_layers` are global."""
    k_eq_v: bool = False
    """Global layers use K as V. An engine may still store both: only its log tells."""
    vocabulary: int = 0
    ffn: int | None = None
    """Width of the feed-forward block; in a mixture of experts, of the part that every token passes."""
    ffn_shared: int | None = None
    """Its width in the layers that share their KV cache, where that differs."""
    experts: int = 0
    """0 where the model is dense."""
    experts_used: int = 0
    """How many of `experts` one token passes."""
    expert_ffn: int | None = None
    """Width of one expert."""
    encoder: bool = False
    """Whether it sees a text at once, as BERT does, and keeps no keys and values."""
    per_layer_embedding: int = 0
    """Width of the embedding that every layer has of its own (Gemma 4 E2B and E4B), 0 without."""

    @property
    def kv_layers(self) -> tuple[int, int]:
        """Return how many (sliding, global) layers own a KV cache."""
        shared = (self.kv_shared_layers - self.kv_shared_global_layers, self.kv_shared_global_layers)
        return (self.layers - self.global_layers - shared[0], self.global_layers - shared[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Weights as somebody published them: what a download is, and what sizing starts from."""

    source: str
    """As `weights` in homeport.toml, or a tag of Ollama's library."""
    size: int
    """Bytes of the tensors, as far as they are known; else of the download."""
    quantization: str
    """`bfloat16`, `fp8`, `w4a16`, `nvfp4`, `Q4_K_M` …; '' where it is not known."""
    parts: Parts | None = None
    how: str = ""
    """Where `size` is from."""
    repacked: int | None = None
    """Bytes that llama.cpp copies once more for this kind of CPU; None where the header was not read."""
    unconfirmed: bool = False
    """Whether two sources disagree on `size`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Other safetensors of the same model: smaller, and a little less exact."""

    quantization: str
    source: str
    size: int = 0
    """Bytes to download; 0 where nobody says."""
    unconfirmed: bool = False
    """The size, where two sources disagree; `size` is the larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: what it is, what it can do, where its weights are."""

    name: str
    """As the catalog calls it, such as `gemma-3-270m`; for a model that it does not know, the source."""
    title: str
    instruct: bool
    """Trained to follow instructions. False for a pretrained model, which only continues text."""
    context: int
    """Tokens that the model was made for, prompt and answer together."""
    parameters: str
    modalities: tuple[str, ...]
    licence: str
    gate: Gate
    """Of the makers' own repository; a mirror in `weights` may be open where that one is gated."""
    architecture: Architecture | None
    weights: Mapping[str, str]
    """Sources, by the keys of `kinds`: engines say which of them they load. Also "bucket" to a gs:// address."""
    task: Task = "generate"
    """What it was made for; where it is served, what it is served for."""
    pooling: str = "mean"
    """How its tokens become one vector, where it embeds: `mean`; '' for what its own files say."""
    dimensions: int = 0
    """Numbers of one of its vectors, where that is not the width of its layers; 0 for that."""
    family: str = ""
    """`gemma-4`, `gemma-3`, `smollm2`; for a model that the catalog does not know, its architecture's name."""
    aliases: tuple[str, ...] = ()
    """Other names that `find` takes, beside the hub id and the Ollama tag in `weights`."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes to download, by the keys of `weights`; as rounded as the source of the number is."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Of the one file of weights, by the keys of `weights`, where it is known."""
    quantization: str = ""
    """How the weights are stored, such as `Q4_K_M`; '' where `weights` lead to more than one kind."""
    kv_dtype: str = ""
    """How the checkpoint says that keys and values are kept: `fp8`; '' where it does not."""
    parts: Parts | None = None
    """The tensors of its safetensors, which are bfloat16."""
    variants: tuple[Variant, ...] = ()
    contexts: Mapping[str, int] = field(default_factory=dict)
    """By engine the tokens that it allows, where that is fewer than `context`."""
    sampling: Mapping[str, float] = field(default_factory=dict)
    """The defaults that its makers recommend: temperature, top_p, top_k."""
    tool_parser: str | None = None
    """What vLLM's --tool-call-parser takes, or None where the model was not trained to call tools."""
    reasoning_parser: str | None = None
    chat_template: Path | None = None
    """A template of ours, for a model that has none of its own."""
    own_template: OwnTemplate | None = field(default=None, repr=False)
    """What its own files say of one; None where they were not read, as those of the catalog's models are not."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer, where the model has no end-of-turn token of its own."""
    reasoning_floor: float | None = None
    """Share of the reasoning set below which `verify` fails; None where nobody measured one."""
    note: str = ""
    """What a user should know before being disappointed."""
    template_note: str = ""
    """The same of what it does with `chat_template`, which not every engine is given."""
    unconfirmed: tuple[str, ...] = ()
    """Which of these facts nobody could check, as `field` or `field.key`."""
    sources: tuple[str, ...] = ()
    """Where these facts come from."""


def context_of(model: Model, engine: str) -> int:
    """Return the most tokens of one request that `engine` serves of `model`; 0 where it is not known."""
    return model.contexts.get(engine, model.context)


@cache
def kinds() -> Mapping[str, str]:
    """Return what each key of `Model.weights` leads to: `safetensors`, `gguf` or `library`."""
    return dict(_file()["kinds"])


def keys_of(kind: str) -> tuple[str, ...]:
    """Return the keys of `Model.weights` that lead to this kind of weights."""
    return tuple(key for key, leads_to in kinds().items() if leads_to == kind)


def published(model: Model, key: str) -> tuple[Published, ...]:
    """
    Return the weights that `key` of `model.weights` leads to, the usual ones first; empty where the catalog
    has none.

    Where nobody says how large a variant is, its size is worked out from the parts of the bfloat16 weights.
    """
    source = model.weights.get(key)
    if source is None:
        return ()
    size, of_library = model.sizes.get(key, 0), kinds().get(key) == "library"
    if kinds().get(key) != "safetensors":
        # ollama.com says so of Gemma 4; of others it is not known here.
        in_library = "Q4_K_M" if model.family == "gemma-4" else ""
        kind = _quantization(source) or (in_library if of_library else model.quantization)
        how = "the size of the download"
        if not size and model.parts is not None:
            size, how = model.parts.total, "at most: what it takes as bfloat16, since nobody says"
        return (Published(source=source, size=size, quantization=kind, how=how),)
    usual = Published(source=source, size=size, quantization="bfloat16", how="the size of the download")
    if model.parts is not None:
        how = "the sum of its tensors, two bytes a number"
        usual = replace(usual, size=model.parts.total, parts=model.parts, how=how)
    return (usual, *(_variant(model, variant) for variant in model.variants))


def models() -> tuple[Model, ...]:
    """Return every model that homeport knows by name, in the order in which they are shown."""
    return _catalog()[1]


def dated() -> date:
    """Return the day on which the catalog's facts were gathered."""
    return _catalog()[0]


@cache
def checksums() -> Mapping[str, str]:
    """Return the sha256 of the one file that a source of the catalog means, by the source, where it is known."""
    return {model.weights[key]: sha256 for model in models() for key, sha256 in model.sha256.items()}


def find(name: str) -> Model | None:
    """Return the model of this name, hub id (`google/gemma-4-E2B-it`) or Ollama tag (`gemma4:e2b`), in any case."""
    return _names().get(name.strip().lower())


def meant(name: str) -> str:
    """Return the beginning of a hint for a model that the catalog does not know: what may have been meant, or ''."""
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+(?:@[\w.-]+)?(?::[\w.-]+)?", name):
        return f"did you mean hf:{name}? "
    if written_otherwise := misread(name):
        return written_otherwise.lead
    close = suggest(name)
    return f"did you mean {' or '.join(close)}? " if close else ""


def suggest(name: str) -> list[str]:
    """Return the names of up to three models that `name` may have meant, likeliest first."""
    query = name.strip().lower()
    known = {key: model.name for model in models() for key in _names_of(model)}
    longer = [key for key in known if query and key.startswith(query)]
    close = difflib.get_close_matches(query, known, n=8, cutoff=0.6)
    return list(dict.fromkeys(known[key] for key in (*longer, *close)))[:3]


def _variant(model: Model, variant: Variant) -> Published:
    parts = model.parts.quantized(variant.quantization) if model.parts else None
    worked_out = parts.total if parts else 0
    how = "the size of the download" + (", which is unconfirmed" if variant.unconfirmed else "")
    return Published(
        source=variant.source,
        size=variant.size or worked_out,
        quantization=variant.quantization,
        how=how if variant.size else "worked out: nobody says how large it is",
        unconfirmed=variant.unconfirmed,
    )


def _quantization(source: str) -> str:
    """Return the quantization, such as `Q4_K_M`, that a GGUF's name ends with; '' where it names none."""
    ending = re.search(r"[.-]((?:I?Q\d\w*)|F16|BF16|F32)\.gguf$", source, re.IGNORECASE)
    return ending[1].upper() if ending else ""


@cache
def _catalog() -> tuple[date, tuple[Model, ...]]:
    table = _file()
    return table["dated"], tuple(_model(entry) for entry in table["model"])


@cache
def _file() -> Mapping[str, Any]:  # Any: the values of a TOML table
    return tomllib.loads((_FOLDER / "models.toml").read_text(encoding="utf-8"))


@cache
def _names() -> dict[str, Model]:
    return {name.lower(): model for model in models() for name in (*_names_of(model), *model.aliases)}


def _names_of(model: Model) -> list[str]:
    own = (*keys_of("safetensors"), *keys_of("library"))
    sources = (model.weights.get(key, "").removeprefix("hf:") for key in own)
    return [name.lower() for name in (model.name, *sources) if name]


def _model(entry: Mapping[str, Any]) -> Model:  # Any: the values of a TOML table
    fields = _with_tuples(entry)
    no_window = {"sliding_window": None}  # TOML has no null
    fields["architecture"] = Architecture(**no_window | _with_tuples(fields["architecture"]))
    fields["gate"] = Gate(fields["gate"])
    if "parts" in fields:
        fields["parts"] = Parts(**fields["parts"])
    fields["variants"] = tuple(Variant(**_with_tuples(variant)) for variant in fields.get("variants", ()))
    if "chat_template" in fields:
        fields["chat_template"] = _FOLDER / "templates" / fields["chat_template"]
    return Model(**fields)


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:  # Any: the values of a TOML table
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
