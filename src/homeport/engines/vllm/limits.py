"""How many pictures and sounds one prompt may hold: `--limit-mm-per-prompt`, by homeport or by `engine.extra_args`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from homeport.catalog import Model
from homeport.catalog.untrusted import read_json
from homeport.spec import Engine

FLAG = "--limit-mm-per-prompt"
_TEXT_ALONE = "--language-model-only"
_USUAL = {"image": 4, "audio": 1, "video": 0}
"""vLLM's own default is 999 of each; what a prompt may hold is profiled at the start, and videos are not sized here."""


def of_files(model: Model, weights: Path) -> Model:
    """
    Return the model as its files have it: of text alone where their config.json names a network of text and no encoder.

    Weights of one's own may stand in for those of a model of the catalog that sees.
    """
    config = weights / "config.json"
    if not config.is_file():
        return model
    settings = read_json(config)
    named = settings.values.get("architectures")
    of_text = (
        isinstance(named, list)
        and bool(named)
        and all(str(architecture).endswith("ForCausalLM") for architecture in named)
    )
    if not of_text or settings.part("vision_config") or settings.part("audio_config"):
        return model
    return replace(model, modalities=("text",))


def limits(settings: Engine, model: Model) -> Mapping[str, int]:
    """Return the limit of each modality beside text that the model has, and of video; empty for a model of text."""
    other = [modality for modality in model.modalities if modality != "text"]
    if not other or model.task == "embed":
        return {}
    overrides = _parse_limits(settings)
    usual = {modality: _USUAL.get(modality, 0) for modality in (*other, "video")}
    return {modality: overrides.get(modality, limit) for modality, limit in usual.items()}


def limit_flags(settings: Engine, model: Model) -> list[str]:
    """Return the flag that sets the limits; none where the file sets them, or for a model of text."""
    by_modality = limits(settings, model)
    if not by_modality or any(_is(word, FLAG) or _is(word, _TEXT_ALONE) for word in settings.extra_args):
        return []
    return [FLAG, json.dumps(dict(by_modality))]


def read(settings: Engine, model: Model) -> frozenset[str]:
    """Return what is served beside text. An encoder of images stays away where neither images nor videos are let in."""
    by_modality = limits(settings, model)
    pictures = by_modality.get("image") or by_modality.get("video")
    return frozenset(
        modality
        for modality in by_modality
        if modality != "video" and (pictures if modality == "image" else by_modality[modality])
    )


def _parse_limits(settings: Engine) -> dict[str, int]:
    words = [*settings.extra_args, ""]
    by_modality: dict[str, int] = {}
    for word, after in pairwise(words):
        if _is(word, _TEXT_ALONE):
            by_modality |= {"image": 0, "audio": 0, "video": 0}
        elif _is(word, FLAG):
            name, _, value = word.partition("=")
            value, modality = value or after, name.partition(".")[2]
            # What JSON leaves out has vLLM's own limit.
            by_modality |= (
                {modality: _number(value)} if modality else dict.fromkeys(_USUAL, 999) | _table(value)
            )
    return by_modality


def _table(text: str) -> dict[str, int]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return {str(key): _number(limit) for key, limit in value.items()} if isinstance(value, dict) else {}


def _number(value: object) -> int:
    """Return a limit, which may be a table with a `count`; 999, vLLM's default, for what is none."""
    value = value.get("count", 999) if isinstance(value, dict) else value
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else 999


def _is(word: str, flag: str) -> bool:
    return word.partition("=")[0].partition(".")[0].replace("_", "-") == flag
