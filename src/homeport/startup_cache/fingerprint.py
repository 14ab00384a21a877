"""What a startup cache is good for, as one name: another image, other weights, another GPU or another flag have another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from homeport.engines.base import CacheableStart, Launch

_VERSION = 1
"""Counted up where what is kept, or how, changes."""
_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOrigin:
    """What a startup cache was made with, or would be used with."""

    image: str
    """The digest of the image that the engine runs in."""
    weights: str
    """The digest of the weights' manifest."""
    gpu: str
    """As the cloud names it, such as `nvidia-l4`."""
    launch: Launch
    kept: CacheableStart


def fingerprint(origin: CacheOrigin) -> str:
    """
    Return the name of the caches that fit this start: of everything that may count, and of nothing that changes by start.

    What is not known to make no difference makes one: a cache too many costs one start, one too few may be another
    program's code.
    """
    launch, start = origin.launch, origin.kept
    counts = {
        "version": _VERSION,
        "image": origin.image,
        "weights": origin.weights,
        "gpu": origin.gpu,
        "engine": launch.engine,
        "command": list(_flags_that_count(launch.command, start.indifferent_flags)),
        "environment": {
            name: value
            for name, value in launch.environment.items()
            if name not in start.indifferent_variables
        },
    }
    text = json.dumps(counts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _flags_that_count(command: Sequence[str], indifferent: Mapping[str, int]) -> Iterator[str]:
    """Yield the words of a command without the flags that make no difference, each with so many values behind it."""
    words = iter(command)
    for word in words:
        flag, equals, _ = word.partition("=")
        if flag not in indifferent:
            yield word
            continue
        for _ in range(0 if equals else indifferent[flag]):
            next(words, None)
