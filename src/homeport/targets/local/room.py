"""What does not fit this machine, and what would."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from homeport.errors import DiskFull
from homeport.fit import Fit
from homeport.hardware import disk_of
from homeport.home import writing
from homeport.resources.local.weights import Weights
from homeport.weights.store import disk_full


def no_disk(all_weights: Iterable[Weights]) -> DiskFull | None:
    """Return why there is no room for what is still to be fetched, as far as its size is known; None where there is."""
    lacking: defaultdict[int, list[tuple[Weights, int, Path]]] = defaultdict(list)
    for weights in all_weights:
        needed, folder = weights.needs_disk()
        if needed:
            with writing(folder):
                lacking[disk_of(folder)].append((weights, needed, folder))
    for on_one_disk in lacking.values():
        sources = list(dict.fromkeys(weights.source for weights, _, _ in on_one_disk))
        folder = on_one_disk[0][2]
        with writing(folder):
            full = disk_full(sources, sum(needed for _, needed, _ in on_one_disk), folder)
        if full:
            return full
    return None


def what_would_fit(size: Fit) -> str:
    """Return what to change of the file, in words."""
    context, settings = size.longest_context(), size.what.settings
    if context:
        return (
            f"set engine.context to at most {context}, or engine.parallel to fewer than {settings.parallel}"
        )
    single = size.wanting(parallel=1).longest_context()
    if single:
        return f"set engine.parallel = 1 and engine.context to at most {single}"
    return "choose a smaller model; `homeport models` lists them"
