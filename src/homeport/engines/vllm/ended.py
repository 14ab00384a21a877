"""Why vLLM ended, by its own log: the cause, and what can be done here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from homeport.engines.base import FailureSign
from homeport.errors import EngineFailed, HomeportError, MemoryTooSmall, PortTaken, SpecError, WeightsError

SIGNS: Mapping[FailureSign, str] = {
    "gpu-memory": r"Free memory on device[^\n]{1,80}less than desired",
    "no-gpu": r"Failed to infer device type",
    "other-tensors": r"(?:There is no module or parameter named '|KeyError: '(?=[\w.]*layers\.\d))(?P<tensor>[\w.]+)",
    "too-old": r"[Mm]odel architectures? [^\n]{1,80}(?:are|is) not supported",
    "weights-missing": r"Invalid repository ID or local directory specified|Cannot find any model weights",
}
_TOO_LITTLE_MEMORY = (
    "CUDA out of memory",
    "No available memory for the cache blocks",
    "larger than the available KV cache memory",
    "is less than desired CPU memory utilization",
)
_NO_CAUSE = r"(?!CalledProcess|\w*Error: (?:Engine core initialization failed|Error raised in subprocess))"
"""What follows from a cause, which stands before it."""
_LONGEST = 300
"""Characters of a cause: some name everything that vLLM knows."""
_SHOW_LOG = "`homeport logs` shows the whole log"
_REMEDIES = {
    r"does not recognize this architecture|[Aa]rchitectures? \[.{1,200}not supported": (
        "the model is newer than this vLLM: upgrade it (pip install --upgrade 'homeport[vllm]'), or serve a model that it "
        "knows (`homeport models`)"
    ),
    r"jinja2\.|Template\w*Error": 'name another template in homeport.toml: engine.chat_template = "template.jinja" under [engine]',
    r"expected target modules|LoRA rank|max_lora_rank": (
        "the adapter is for another model, or larger than was told: serve the model that its adapter_config.json names"
    ),
}


def explain(log: str) -> HomeportError | None:
    """Return what vLLM's log says, where it is recognised. The cause stands first; later lines only say that it failed."""
    if "ddress already in use" in log:
        return PortTaken("vLLM could not listen on its port", hint="`homeport up --port 0` takes a free one")
    if any(text in log for text in _TOO_LITTLE_MEMORY):
        return MemoryTooSmall(
            "vLLM has too little memory for this model and context",
            hint="make engine.context or engine.parallel smaller, or set engine.quantization",
        )
    unknown = re.search(r"unrecognized arguments: (.+)", log)
    if unknown:
        return SpecError(f"vLLM does not know: {unknown[1]}", hint="correct engine.extra_args")
    if "SafetensorError" in log or "Error while deserializing header" in log:
        return WeightsError(
            "vLLM cannot load these weights",
            hint="`homeport weights check` compares them with their checksums; `homeport up` mends them",
        )
    return _cause(log)


def _cause(log: str) -> EngineFailed | None:
    # What pydantic says of a setting stands in the line after its own, and ends with what it was given.
    cause = re.search(r"Value error, (.+?)(?: \[type=|$)", log, re.MULTILINE) or re.search(
        rf"(?:^|[\s.])(?:{_NO_CAUSE})\w*Error: (.+)", log
    )
    if cause is None:
        return None
    message = cause[1] if len(cause[1]) <= _LONGEST else f"{cause[1][:_LONGEST]}…"
    hint = next((hint for pattern, hint in _REMEDIES.items() if re.search(pattern, cause[0])), _SHOW_LOG)
    return EngineFailed(f"vLLM says: {message}", hint=hint)
