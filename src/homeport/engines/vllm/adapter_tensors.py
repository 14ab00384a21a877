"""
Which tensors of a LoRA adapter vLLM serves, and whether they belong to the model: told by headers alone.

From `lora/lora_model.py` and `lora/utils.py` of vLLM 0.32: a name that is neither lora_A nor lora_B is refused when the
server starts, and a module that the model does not have is refused, or left out without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from homeport.catalog import safetensors_header
from homeport.catalog.safetensors_header import SafetensorsTensor
from homeport.engines import adapter_zeros
from homeport.errors import SpecError
from homeport.names import shown

WEIGHTS_FILE = "adapter_model.safetensors"
_NAME = re.compile(
    r"(?:base_model\.model\.)?(?P<module>.+?)\.(?:lora_(?P<side>[AB])\.weight|lora_embedding_(?P<embedded>[AB]))"
)
_UNTOUCHED = re.compile(r"\.(?:embed_tokens|lm_head)\.base_layer\.weight$")
"""The model's own weights that PEFT keeps beside a changed embedding: vLLM passes over them."""
_TAIL = re.compile(r"(?:^|\.)((?:layers|blocks|h)\.\d+\..+)$")
_EXPERTS = re.compile(r"(?:^|\.)experts(?:\.|$)")
"""Kept as one tensor for all experts or one for each, in adapters and in models: not compared."""
_PLAIN = frozenset({"BF16", "F16", "F32", "F8_E4M3", "F8_E5M2"})
"""Stored in the shape that they have; packed weights are not."""


def ensure_served(
    adapter: Sequence[SafetensorsTensor], base: Sequence[SafetensorsTensor], where: str, rank: int = 0
) -> str:
    """
    Raise `SpecError` where vLLM refuses or ignores a tensor of the adapter; return what may go wrong all the same, or ''.

    With the tensors of `base` known, also where a module is none of the model's, or has another shape; with the `rank` that
    its configuration makes room for, also where a tensor wants more.
    """
    sides = _sides(adapter, where)
    if not sides:
        raise SpecError(
            f"{where} holds no tensor of a LoRA adapter", hint="name a folder that PEFT has written"
        )
    modules = _Modules(base)
    problems = [*_halves(sides, rank), *(_foreign(sides, modules) if base else ())]
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise SpecError(
            f"{where} does not fit the model: {problems[0]}{more}",
            hint="its adapter_config.json names the model that it was trained on (base_model_name_or_path): serve that "
            "one, or train it for this",
        )
    return _doubt(sides, modules, where)


def ensure_trained(path: Path, where: str) -> None:
    """Raise `SpecError` where the adapter of this file on this machine is zeros, and so changes nothing."""
    tensors = safetensors_header.read(path)
    begin = path.stat().st_size - sum(tensor.size for tensor in tensors)
    modules = [
        [(begin + tensor.offset, tensor.size) for _, tensor in sorted(both.items(), reverse=True)]
        for both in _sides(tensors, where).values()
    ]
    adapter_zeros.ensure_trained(path, modules, where)


class _Modules:
    """The modules of a model by the names of its tensors, whatever a quantization keeps of each."""

    def __init__(self, base: Iterable[SafetensorsTensor]) -> None:
        self._named: dict[str, SafetensorsTensor | None] = {}
        for tensor in base:
            module, _, kind = tensor.name.rpartition(".")
            plain = kind == "weight" and tensor.dtype in _PLAIN and len(tensor.shape) == 2
            self._named[module] = tensor if plain else self._named.get(module)
        self._tails = {_tail(name): name for name in self._named}

    def called(self, module: str) -> str | None:
        """Return what the model calls a module of an adapter; None where it has none of that name, whatever stands before it."""
        return module if module in self._named else self._tails.get(_tail(module))

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a matrix that is stored as it is; None of what is packed."""
        tensor = self._named[name]
        return tensor.shape if tensor else None


def _sides(adapter: Iterable[SafetensorsTensor], where: str) -> dict[str, dict[str, SafetensorsTensor]]:
    """Return lora_A and lora_B of every module. Raises `SpecError` for a tensor that is neither."""
    sides: dict[str, dict[str, SafetensorsTensor]] = {}
    for tensor in adapter:
        if _UNTOUCHED.search(tensor.name):
            continue
        match = _NAME.fullmatch(tensor.name)
        if match is None:
            raise SpecError(
                f"{where} holds {shown(tensor.name)}, which vllm does not serve: it takes lora_A and lora_B alone",
                hint="train it without (modules_to_save, biases, DoRA), or merge it into weights of your own",
            )
        sides.setdefault(match["module"], {})[match["side"] or f"embedding {match['embedded']}"] = tensor
    return sides


def _halves(sides: dict[str, dict[str, SafetensorsTensor]], rank: int) -> Iterator[str]:
    for module, both in sides.items():
        if set(both) not in ({"A", "B"}, {"embedding A", "embedding B"}):
            yield f"of {shown(module)} it holds lora_{'/'.join(sorted(both))} alone"
        elif "A" in both and len(both["A"].shape) == len(both["B"].shape) == 2:
            inner, outer = both["A"].shape[0], both["B"].shape[1]
            if inner != outer:
                yield f"{shown(module)} has the rank {inner} in lora_A and {outer} in lora_B"
            elif 0 < rank < inner:
                yield f"{shown(module)} has the rank {inner}, and its adapter_config.json makes room for {rank}"


def _foreign(sides: dict[str, dict[str, SafetensorsTensor]], modules: _Modules) -> Iterator[str]:
    """Yield what is wrong with each module that the model does not have, or has in another shape."""
    for module, both in sides.items():
        if _EXPERTS.search(module):
            continue
        name = modules.called(module)
        if name is None:
            yield f"it changes {shown(module)}, which the model does not have"
            continue
        stored = modules.shape(name)
        if any(side.startswith("embedding") for side in both):
            yield from _other_vocabulary(module, both, stored)
            continue
        if "A" not in both:
            continue
        shape = (both["B"].shape[0], both["A"].shape[-1]) if "B" in both else stored
        if stored is not None and shape is not None and tuple(stored) != tuple(shape):
            yield f"its {shown(module)} is for {shape[1]} × {shape[0]}, and the model's is {stored[1]} × {stored[0]}"


def _other_vocabulary(
    module: str, both: dict[str, SafetensorsTensor], stored: Sequence[int] | None
) -> Iterator[str]:
    """
    Yield what is wrong with a changed embedding for a vocabulary, longer or shorter, or for a width that is not the model's.

    vLLM refuses the first by the vocab_size of config.json, which has as many tokens as the embedding has rows in most models;
    of the second it copies what there is, and fails where that is more.
    """
    narrow, wide = both.get("embedding A"), both.get("embedding B")
    if stored is None:
        return
    if narrow and len(narrow.shape) == 2 and narrow.shape[1] != stored[0]:
        yield f"its {shown(module)} is for {narrow.shape[1]} tokens, and the model has {stored[0]}"
    if wide and len(wide.shape) == 2 and wide.shape[0] != stored[1]:
        yield f"its {shown(module)} is for {wide.shape[0]} numbers a token, and the model has {stored[1]}"


def _doubt(sides: Iterable[str], modules: _Modules, where: str) -> str:
    """Return a sentence where the adapter calls the model's modules otherwise than the model does; '' where it does not."""
    for module in sides:
        name = modules.called(module)
        if name is not None and _plain(name) != _plain(module):
            return (
                f"{where} calls {shown(name)} of the model {shown(module)}: vllm takes these for one in a Gemma 4, and in "
                "others may leave the adapter out without a word; `homeport verify` compares it with the base model"
            )
    return ""


def _plain(name: str) -> str:
    """Return the name in the one of two spellings that vLLM takes for each other: before and since transformers 4.52."""
    return name.replace("model.language_model.", "language_model.model.")


def _tail(name: str) -> str:
    """Return the name from the layer on: what stands before it differs between a model and its text part."""
    match = _TAIL.search(name)
    return match[1] if match else name.rpartition("model.")[2] or name
