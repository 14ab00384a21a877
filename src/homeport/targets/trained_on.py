"""Whether a LoRA adapter says that it was trained on another model than is served."""

from __future__ import annotations

import re

_STORED = re.compile(
    r"(?:[-_.](?:unsloth|bnb|[48]bit|gguf|fp8|bf16|awq|gptq|int[48]|qat|ct|w4a16|w8a8|nvfp4|mxfp4|dynamic|unquantized|q\d_\w+))+$"
)


def another_base(trained_on: str, source: str, where: str) -> str:
    """Return a sentence where an adapter says that it was trained on another model than `source`; '' where nobody can tell."""
    scheme, _, rest = source.partition(":")
    repository = rest.partition("@")[0].partition(":")[0]
    if scheme != "hf" or not trained_on or _model_name(trained_on) == _model_name(repository):
        return ""
    return (
        f"{where} says that it was trained on {trained_on}, and {repository} is served: beside another model of the same "
        "shapes it is taken, and answers worse"
    )


def _model_name(repository: str) -> str:
    """Return what a model is called, whoever publishes it and however it is stored."""
    return _STORED.sub("", repository.rpartition("/")[2].lower())
