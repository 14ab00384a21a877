"""What the file tells vLLM of its memory: by its own keys, and by those of `engine.extra_args` that are reckoned with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from homeport.spec import Engine
from homeport.task import Task

BATCHED_TOKENS = 2048
"""`--max-num-batched-tokens`. vLLM's own default grows with the GPU's memory, and takes cache for it."""
UTILIZATION = 0.92
"""`--gpu-memory-utilization`, vLLM's default."""
_BATCHES = 2
"""Asynchronous scheduling, the default on a GPU, has a second batch in flight."""
_NUMBER = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[kKmM]?)")
_UNITS = {"": 1, "k": 1000, "K": 1024, "m": 10**6, "M": 2**20}
_SWITCHES = ("--async-scheduling", "--enforce-eager")
_LIMITS = ("--limit-mm-per-prompt", "--language-model-only")
"""Reckoned with in `limits`."""
_NUMBERS = ("--max-num-batched-tokens", "--gpu-memory-utilization")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFlags:
    """What vLLM is told that changes how it shares out a GPU's memory."""

    batched: int
    """Tokens of one batch."""
    utilization: float
    batches: int
    """In flight at once, on a GPU."""
    eager: bool
    """Whether no CUDA graphs are made."""
    unreckoned: tuple[str, ...]
    """Words of `engine.extra_args` of which nobody here knows what they take."""


def memory_flags(settings: Engine, task: Task) -> MemoryFlags:
    """
    Return what vLLM is told. Of a flag that is given twice the last counts, as for vLLM.

    All tokens of a text are pooled together, in one batch: for vectors a batch is never shorter than the context.
    """
    switches: dict[str, bool] = {}
    numbers: dict[str, str] = {}
    others, words = [], list(settings.extra_args)
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        flag = flag.replace("_", "-")
        if flag in _NUMBERS and (equals or words):
            numbers[flag] = value if equals else words.pop(0)
        elif flag.replace("--no-", "--", 1) in _SWITCHES and not equals:
            switches[flag.replace("--no-", "--", 1)] = not flag.startswith("--no-")
        elif flag.partition(".")[0] in _LIMITS:
            if not equals and words and not words[0].startswith("-"):
                words.pop(0)
        else:
            others.append(word)
    usual = max(BATCHED_TOKENS, settings.context) if task == "embed" else BATCHED_TOKENS
    return MemoryFlags(
        batched=_parse_number(numbers.get("--max-num-batched-tokens"), usual),
        utilization=_share(numbers.get("--gpu-memory-utilization")),
        batches=_BATCHES if switches.get("--async-scheduling", True) else 1,
        eager=switches.get("--enforce-eager", False),
        unreckoned=tuple(others),
    )


def _parse_number(text: str | None, usual: int) -> int:
    """Return the number, as vLLM reads it: `8k` is 8,000, `8K` 8,192; `usual` for what is none, which it refuses."""
    match = _NUMBER.fullmatch(text or "")
    if match is None or (match["unit"].isupper() and "." in match["number"]):
        return usual
    return int(float(match["number"]) * _UNITS[match["unit"]]) or usual


def _share(text: str | None) -> float:
    try:
        share = float(text) if text is not None else UTILIZATION
    except ValueError:
        return UTILIZATION
    return share if 0 < share <= 1 else UTILIZATION
