"""
Which LoRA adapters llama.cpp applies to a model, told by the headers of both.

From `llama_adapter_lora_init_impl` of llama.cpp's src/llama-adapter.cpp, which refuses the rest when the server starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.engines import adapter_zeros
from homeport.errors import SpecError, WeightsError
from homeport.names import shown

if TYPE_CHECKING:
    from homeport.catalog.gguf_header import GgufTensor, Header

_SIDES = (".lora_a", ".lora_b")
_EMBEDDING = "token_embd.weight"
"""Its two sides stand the other way round."""


def ensure_applied(adapter: Path, base: Path | None) -> None:
    """
    Raise `WeightsError` for a GGUF that is no LoRA adapter, `SpecError` for one that is not for the model at `base`.

    Where `base` is None, the model is not here yet, and the adapter alone is judged.
    """
    from homeport.catalog import gguf_parts
    from homeport.catalog.gguf_header import read

    header = read(adapter)
    kind, method = header.values.get("general.type", "model"), header.values.get("adapter.type", "lora")
    if (kind, method) != ("adapter", "lora"):
        content = f"an adapter of the kind {method}" if kind == "adapter" else f"what it calls a {kind}"
        raise WeightsError(
            f"{adapter} holds {content}, and a LoRA adapter was expected",
            hint="name a GGUF that llama.cpp's convert_lora_to_gguf.py made of an adapter of PEFT's",
        )
    problems = list(_problems(header, gguf_parts.of_path(base) if base else None))
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise SpecError(
            f"{adapter} does not fit the model: {problems[0]}{more}",
            hint="serve the model that it was trained on, or train it for this",
        )
    _ensure_trained(adapter, header)


def _ensure_trained(path: Path, header: Header) -> None:
    from homeport.catalog.gguf_header import block_sizes

    sizes, modules = block_sizes(), dict[str, list[adapter_zeros.Span]]()
    sides = {name: tensor for name, tensor in header.tensors.items() if name.endswith(_SIDES)}
    if any(tensor.type not in sizes for tensor in sides.values()):
        return  # How long one of them is, nobody here knows.
    for name, tensor in sorted(sides.items(), reverse=True):
        elements, size = sizes[tensor.type]
        length = prod(tensor.dimensions) // elements * size
        modules.setdefault(name.rpartition(".")[0], []).append((header.data_at + tensor.offset, length))
    adapter_zeros.ensure_trained(path, modules.values(), str(path))


def _problems(adapter: Header, base: Header | None) -> Iterator[str]:
    """Yield what llama.cpp would refuse, tensor by tensor."""
    kinds = [header.values.get("general.architecture") for header in (adapter, base) if header]
    if len(set(kinds)) > 1:
        yield f"it is for {kinds[0]}, and the model's architecture is {kinds[1]}"
        return
    sides: dict[str, dict[str, GgufTensor]] = {}
    for name, tensor in adapter.tensors.items():
        side = next((side for side in _SIDES if name.endswith(side)), "")
        if side:
            sides.setdefault(name.removesuffix(side), {})[side] = tensor
    if not sides:
        yield "it holds no tensor of a LoRA adapter"
    for name, both in sides.items():
        if len(both) < len(_SIDES):
            yield f"of {shown(name)} it holds {next(iter(both)).removeprefix('.')} alone"
        elif base is not None:
            yield from _foreign(name, both[".lora_a"], both[".lora_b"], base)


def _foreign(name: str, narrow: GgufTensor, wide: GgufTensor, base: Header) -> Iterator[str]:
    original = base.tensors.get(name)
    if original is None:
        yield f"it changes {shown(name)}, which the model does not have"
        return
    own = (*narrow.dimensions[:1], *wide.dimensions[1:2])
    if name != _EMBEDDING and own != original.dimensions[:2]:
        model = " × ".join(map(str, original.dimensions[:2]))
        yield f"its {shown(name)} is for {' × '.join(map(str, own))}, and the model's is {model}"
