"""What a folder of files is, and what its model was made for: text, vectors, or what nobody here serves."""

from __future__ import annotations

import re
from pathlib import Path

from homeport.catalog.untrusted import Table
from homeport.errors import WeightsError
from homeport.task import Task
from homeport.weights import sentence_modules

_EMBEDS = re.compile(
    r"^(?:Bert|Roberta|XLMRoberta|ModernBert|NomicBert|Gemma3Text|DistilBert|Albert|Gte|GteNew|MPNet|JinaBert|Qwen[23])\w*Model$"
    r"|Embedding(?:Model)?$"
)
_APART = re.compile(
    r"^(?:U?MT5|T5|M?Bart|Pegasus|Marian|M2M100|Blenderbot(?:Small)?|LED|Whisper|Wav2Vec2|SpeechT5|CLIP|Siglip|ViT|Dino|Bark|Vits)(?=[A-Z]|v?2)"
)
"""An encoder with a decoder behind it, or no model of text at all."""
_SOMETHING_ELSE = {
    "adapter_config.json": (
        "a LoRA adapter",
        "name it in [[engine.lora]], and in `model` the model that it was trained on",
    ),
    "params.json": (
        "a model in its maker's own form",
        "take the repository, or the folder of it, that has a config.json: transformers' form",
    ),
}
"""By a file that tells of it: what a folder without a config.json is, and what to do."""
_JUDGES = re.compile(
    r"For(?:MaskedLM|SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice|\w*RewardModel|SequenceScoring|ScoreModel)$"
)
_DRAFTS = re.compile(r"Eagle3?(?=$|[A-Z])|Medusa|MTP$|DFlash")
_OF_SIGHT = re.compile(
    r"For(?:\w*Image\w*|Object|Depth|Semantic|Instance|Universal|Audio|Video)\w*(?:Classification|Detection|Estimation|Segmentation|Generation)$|^(?:Sam|Musicgen|Detr|ResNet)(?=[A-Z0-9])"
)


def ensure_is_model(path: Path) -> None:
    """Raise `WeightsError` for a folder that holds something else, by the files that tell of it."""
    found = next((name for name in _SOMETHING_ELSE if (path / name).is_file()), None)
    if found is None or (path / "config.json").is_file():
        return
    what, hint = _SOMETHING_ELSE[found]
    raise WeightsError(f"{path} is {what} ({found}), and a model with a config.json was expected", hint=hint)


def task_of(path: Path, config: Table) -> Task:
    """Return what the model was made for. Raises `WeightsError` for one that gives neither text nor vectors."""
    named = config.values.get("architectures")
    kinds = [str(kind) for kind in named] if isinstance(named, list) else []
    pools = sentence_modules.pools(
        path
    )  # Some are kept as the network that they were made of, with how they are pooled.
    if kinds and all(_APART.search(kind) for kind in kinds):
        raise WeightsError(
            f"{path} is a {kinds[0]}, which homeport does not serve: a model that writes text by a decoder alone, or gives "
            "vectors, was expected",
            hint="`homeport models` lists some",
        )
    if (
        kinds
        and all(_JUDGES.search(kind) for kind in kinds)
        and not (pools and kinds[0].endswith("ForMaskedLM"))
    ):
        raise WeightsError(
            f"{path} is a {kinds[0]}: it scores texts, and a model that writes text or gives vectors was expected",
            hint="`homeport models` lists some",
        )
    _ensure_writes_or_embeds(path, kinds)
    _ensure_needs_no_code(path, config)
    embeds = bool(kinds) and all(_EMBEDS.search(kind) for kind in kinds)
    return "embed" if embeds or pools else "generate"


def _ensure_writes_or_embeds(path: Path, kinds: list[str]) -> None:
    """Raise `WeightsError` for a network that drafts for another one, and for one of pictures or sound alone."""
    if kinds and all(_DRAFTS.search(kind) for kind in kinds):
        raise WeightsError(
            f"{path} is a {kinds[0]}: it drafts tokens for another model, and cannot be served alone",
            hint="name the model that it drafts for",
        )
    if kinds and all(_OF_SIGHT.search(kind) for kind in kinds):
        raise WeightsError(
            f"{path} is a {kinds[0]}, and a model that writes text or gives vectors was expected",
            hint="`homeport models` lists some",
        )


def _ensure_needs_no_code(path: Path, config: Table) -> None:
    """Raise `WeightsError` for Alibaba's gte in its first form, whose settings no engine reads without code of the repository."""
    own = config.part("auto_map")
    if (
        config.text("model_type") == "new"
        and own is not None
        and own.text("AutoConfig").endswith(".NewConfig")
    ):
        raise WeightsError(
            f"{path} is Alibaba's gte by code of its own repository (auto_map in its config.json), which homeport does not run: vLLM 0.32 "
            "reads it in no other way",
            hint='take a model whose config.json has "model_type": "gte" and "architectures": ["GteModel"], which vLLM and transformers '
            "know by themselves (not tried here), or another model of embeddings: `homeport models` lists some",
        )
