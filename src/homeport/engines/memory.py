"""How much memory an engine will take on this machine: an estimate that errs to the high side."""

from __future__ import annotations

from pathlib import Path

from homeport.catalog import Architecture

LLAMACPP_ALLOWANCE = 400 * 2**20
"""Compute buffers and the server itself: 588 MB resident were seen with 253 MB of weights and 8 slots."""
VLLM_ALLOWANCE = 4 * 2**30
"""Three Python processes with PyTorch: 4.1 GB were seen beside 1 GiB of KV cache on the CPU."""


def weights_size(path: Path) -> int:
    """Bytes of the weights at `path`: a GGUF (with the other parts of a split one) or a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.glob("*.safetensors"))
    if "-of-" in path.name:
        prefix = path.name.rsplit("-", 3)[0]
        return sum(file.stat().st_size for file in path.parent.glob(f"{prefix}-*-of-*.gguf"))
    return path.stat().st_size


def kv_cache(
    architecture: Architecture | None, context: int, parallel: int, *, element_bytes: int = 2
) -> int:
    """
    Bytes of the keys and values of `parallel` sequences of `context` tokens.

    Sliding-window layers keep no more than their window; the last `kv_shared_layers` keep nothing. 0 where
    the architecture is not known.
    """
    if architecture is None:
        return 0
    window = min(architecture.sliding_window or context, context)
    sliding, whole = architecture.kv_bytes_per_token(element_bytes=element_bytes)
    return (sliding * window + whole * context) * parallel
