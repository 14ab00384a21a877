"""What a GGUF holds, by what its header calls itself: a model of text, or something that belongs to one."""

from __future__ import annotations

from homeport.catalog.gguf_header import Header
from homeport.catalog.untrusted import Table
from homeport.errors import WeightsError

_HELPERS = {
    "adapter": "an adapter",
    "mmproj": "an encoder of images or sound",
    "imatrix": "an importance matrix",
    "controlvector": "a control vector",
}
"""What a GGUF may call itself in `general.type` that is no model."""
_OF_PICTURES = frozenset(
    {
        *(
            "flux",
            "flux2",
            "sd1",
            "sd2",
            "sd3",
            "sdxl",
            "wan",
            "hyvid",
            "ltxv",
            "lumina2",
            "aura",
            "hidream",
            "cosmos",
            "pixart",
        ),
        *("qwen_image", "z_image"),
    }
)
"""Architectures as the converters for ComfyUI and stable-diffusion.cpp write them."""
_RANKS = 4
"""llama.cpp's `pooling_type` of a reranker."""


def ensure_writes_or_embeds(values: Table, header: Header, kind: str, where: str) -> None:
    """Raise `WeightsError` for a GGUF of this architecture that holds no model of text, or none at all."""
    parts = values.number("split.count") or 1
    stated = "mmproj" if kind == "clip" else values.text("general.type")
    if stated not in {"", "model"}:
        content = _HELPERS.get(stated, f"what it calls {stated[:40]!r}")
        hint = "name the GGUF of the model that it belongs to"
    elif kind in _OF_PICTURES:
        content, hint = f"a model that makes pictures or films ({kind})", "name a model that writes text"
    elif values.number(f"{kind}.pooling_type") == _RANKS:
        content, hint = "a model that ranks texts", "name a model that writes text, or one of embeddings"
    elif parts == 1 and not header.tensors:
        content, hint = "no tensors, such as a vocabulary", "name a GGUF with weights"
    else:
        return
    raise WeightsError(f"{where} holds {content}, and a language model was expected", hint=hint)
