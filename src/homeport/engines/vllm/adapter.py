"""
What vLLM takes of a LoRA adapter, by the `adapter_config.json` that PEFT writes.

From `lora/peft_helper.py` and `config/lora.py` of vLLM 0.32.0, which refuse the rest when the server starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from homeport.errors import SpecError, WeightsError
from homeport.json_types import Json, JsonObject

CONFIG = "adapter_config.json"
USUAL_RANK = 16
"""vLLM's default of `--max-lora-rank`; what is reckoned with where no adapter's rank is known."""
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` may be."""

_UNSERVED = {
    "use_dora": "DoRA",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "alora_invocation_tokens": "activated LoRA",
    "layer_replication": "layer_replication",
}
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)
_STARTS = frozenset(("gaussian", "eva", "orthogonal", "mica", "lora_ga"))


def rank(config: bytes, where: str) -> int:
    """
    Return the rank that `--max-lora-rank` must be for an adapter with this configuration.

    Raises `WeightsError` for what is no LoRA adapter, `SpecError` for one that vLLM does not serve.
    """
    settings = _parsed(config, where)
    widest = max(settings["r"], *_ranks(settings, where), 1)
    refused = list(_refused(settings))
    if refused:
        raise SpecError(
            f"{where} was trained with {' and '.join(refused)}, which vllm does not serve",
            hint="train it without, or merge it into weights of your own",
        )
    step = next((step for step in _RANKS if step >= widest), None)
    if step is None:
        raise SpecError(
            f"{where} has the rank {widest}, and vllm serves {_RANKS[-1]} at most",
            hint="train it with a smaller rank, or merge it into weights of your own",
        )
    return step


def trained_on(config: bytes) -> str:
    """Return the repository that PEFT says an adapter was trained on; '' for a folder of somebody's, or where it says none."""
    try:
        named = json.loads(config).get("base_model_name_or_path")
    except (ValueError, AttributeError):
        return ""
    return named if isinstance(named, str) and _REPOSITORY.fullmatch(named) else ""


def _refused(settings: Mapping[str, Json]) -> Iterator[str]:
    yield from (reason for key, reason in _UNSERVED.items() if settings.get(key))
    saved = settings.get("modules_to_save") or ()
    modules = {saved} if isinstance(saved, str) else set(map(str, saved if isinstance(saved, list) else ()))
    modules -= {"classifier", "score"}
    if modules:
        yield f"{' and '.join(sorted(modules))} as a whole (modules_to_save)"
    if settings.get("bias", "none") != "none" or settings.get("lora_bias"):
        yield "biases"
    start = settings.get("init_lora_weights")
    if isinstance(start, str) and start.lower() not in _STARTS:
        yield f"init_lora_weights = {start!r}, which changes the model itself"


def _ranks(settings: Mapping[str, Json], where: str) -> list[int]:
    """Return the ranks of modules that have one of their own. Raises `WeightsError` for what is none."""
    pattern = settings.get("rank_pattern") or {}
    ranks = [*pattern.values()] if isinstance(pattern, dict) else [str(pattern)]
    for rank_here in ranks:
        if type(rank_here) is not int or rank_here < 1:
            raise WeightsError(
                f"the {CONFIG} of {where} has the rank {rank_here!r} in rank_pattern, and a number above 0 was expected",
                hint="name an adapter as PEFT saved it",
            )
    return [rank_here for rank_here in ranks if isinstance(rank_here, int)]


def _ensure_scaled(settings: Mapping[str, Json], where: str) -> None:
    """Raise `WeightsError` where what an adapter is scaled by is missing, `SpecError` where it is nothing."""
    missing = [key for key in ("lora_alpha", "target_modules") if key not in settings]
    alpha = settings.get("lora_alpha")
    if missing or isinstance(alpha, bool) or not isinstance(alpha, int | float):
        what = f"no {' and no '.join(missing)}" if missing else f"{alpha!r} as lora_alpha"
        raise WeightsError(
            f"the {CONFIG} of {where} has {what}, which vllm needs to start with it",
            hint="name an adapter as PEFT saved it: what was edited out of it, nobody can guess",
        )
    if not alpha:
        raise SpecError(
            f"{where} changes nothing: its lora_alpha is 0, and what it adds to the model is multiplied by that",
            hint=f"set lora_alpha in its {CONFIG} to what it was trained with",
        )


def _parsed(config: bytes, where: str) -> JsonObject:
    try:
        settings = json.loads(config)
        kind, width = settings.get("peft_type", "LORA"), settings["r"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"the {CONFIG} of {where} is none that PEFT writes", hint="name a folder with a LoRA adapter"
        ) from error
    if kind != "LORA" or type(width) is not int or width < 1:
        raise WeightsError(
            f"{where} is no LoRA adapter: its peft_type is {kind!r} and its rank {width!r}",
            hint="only LoRA adapters are served beside a model",
        )
    _ensure_scaled(settings, where)
    return dict(settings)
