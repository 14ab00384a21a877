"""What the catalog tells programs of a model: `homeport models --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from homeport.catalog import Architecture, Gate, Model
from homeport.catalog.parts import Parts
from homeport.json_types import JsonObject
from homeport.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantCard:
    """Other safetensors of the same model: smaller, and a little less exact."""

    quantization: str
    source: str
    size_bytes: int | None
    """To download; None where nobody says."""
    unconfirmed: bool
    """Whether two sources disagree on the size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One model of the catalog."""

    name: str
    title: str
    family: str
    aliases: tuple[str, ...]
    task: Task
    instruct: bool
    """Trained to follow instructions."""
    parameters: str
    context: int
    """Tokens that the model was made for, prompt and answer together."""
    contexts: Mapping[str, int]
    """By engine the tokens that it allows, where that is fewer."""
    modalities: tuple[str, ...]
    licence: str
    gate: Gate
    weights: Mapping[str, str]
    """Sources, by what loads them."""
    size_bytes: Mapping[str, int]
    """To download, by the keys of `weights`, as far as it is known."""
    sha256: Mapping[str, str]
    """Of the one file of weights, by the keys of `weights`, where it is known."""
    quantization: str
    kv_dtype: str
    variants: tuple[VariantCard, ...]
    architecture: Architecture | None
    parts_bytes: Parts | None
    """The tensors of its safetensors, as they are stored."""
    pooling: str | None
    """How its tokens become one vector; None where it does not embed."""
    dimensions: int | None
    """Numbers of one of its vectors; None where it does not embed, or nobody says."""
    sampling: Mapping[str, float]
    tool_parser: str | None
    """None where it was not trained to call tools."""
    reasoning_parser: str | None
    brings_template: bool
    """Whether homeport brings a chat template, since the model has none of its own."""
    stop: tuple[str, ...]
    reasoning_floor: float | None
    """Share of the reasoning set below which `verify` fails; None where nobody measured one."""
    note: str
    template_note: str
    """What it does where an engine is given the template that homeport brings; '' where it brings none."""
    unconfirmed: tuple[str, ...]
    """Which of these facts nobody could check, as `field` or `field.key`."""
    sources: tuple[str, ...]
    """Where these facts come from."""

    def as_json(self) -> JsonObject:
        """Return the card as `--json` prints it."""
        return asdict(self)


def card(model: Model) -> ModelCard:
    """Return what programs are told of a model."""
    embeds = model.task == "embed"
    width = model.architecture.hidden if model.architecture else None
    same = {
        name: getattr(model, name)
        for name in ModelCard.__dataclass_fields__
        if name in Model.__dataclass_fields__
    }
    return ModelCard(
        **same
        | {
            "size_bytes": model.sizes,
            "variants": tuple(
                VariantCard(
                    quantization=variant.quantization,
                    source=variant.source,
                    size_bytes=variant.size or None,
                    unconfirmed=variant.unconfirmed,
                )
                for variant in model.variants
            ),
            "parts_bytes": model.parts,
            "pooling": model.pooling if embeds else None,
            "dimensions": (model.dimensions or width) if embeds else None,
            "brings_template": model.chat_template is not None,
        }
    )
