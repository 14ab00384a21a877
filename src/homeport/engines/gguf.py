"""What loading a GGUF takes, whichever engine does it with ggml: told by its header alone."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homeport.catalog.gguf_header import Header

_REPACKED_TYPES = {2, 12, 20, 39}
"""ggml's numbers of Q4_0, Q4_K, IQ4_NL and MXFP4."""


def repacked_bytes(header: Header) -> int:
    """
    Return the bytes of the tensors that ggml copies into another order, for a CPU with AVX2.

    Those whose type has a kernel for it and whose rows come in eights; embeddings are looked up, not multiplied.
    """
    from homeport.catalog.gguf_header import block_sizes

    sizes = block_sizes()
    total = 0
    for name, tensor in header.tensors.items():
        kernel = (
            tensor.type in _REPACKED_TYPES and len(tensor.dimensions) > 1 and tensor.dimensions[1] % 8 == 0
        )
        if kernel and not name.endswith("token_embd.weight"):
            elements, size = sizes.get(tensor.type, (1, 0))
            total += prod(tensor.dimensions) // elements * size
    return total
