"""What vLLM's log says of its memory, once it has started. As version 0.32 writes it; earlier ones say the same of the cache."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LOADED = re.compile(r"Model loading took ([\d.]+) GiB")
_LEFT = re.compile(r"Available KV cache memory: (-?[\d.]+) GiB")
_GRAPHS = re.compile(r"Graph capturing finished in [\d.]+ secs?, took (-?[\d.]+) GiB")
_TOKENS = re.compile(r"KV cache size: ([\d,]+) tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMemory:
    """Bytes as the log has them, rounded to a hundredth of a GiB; None for what it does not say."""

    weights: int | None
    left: int | None
    """For the KV cache, by profiling: not said where the cache was given its size."""
    graphs: int | None
    tokens: int | None
    """That the whole KV cache holds."""


def parse_memory_log(log: str) -> LoggedMemory:
    """Return what the last start in `log` said of memory."""
    tokens = _TOKENS.findall(log)
    return LoggedMemory(
        weights=_bytes(_LOADED, log),
        left=_bytes(_LEFT, log),
        graphs=_bytes(_GRAPHS, log),
        tokens=int(tokens[-1].replace(",", "")) if tokens else None,
    )


def _bytes(pattern: re.Pattern[str], log: str) -> int | None:
    matches = pattern.findall(log)
    return int(float(matches[-1]) * 2**30) if matches else None
