"""
Does a model fit, with which context, for how many at once.

The engines say what they take (`footprint` of `homeport.engines.base`), the catalog what there is; here the two are held
against each other. Nothing here asks a network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from homeport.catalog import Model, Published, context_of
from homeport.engines.footprint import Footprint, MemoryTerm, Sizing, gib
from homeport.engines.registry import module
from homeport.errors import SizeUnknown
from homeport.fit.devices import Place
from homeport.json_types import JsonObject
from homeport.spec import Engine

LADDER = (4096, 8192, 32_768, 131_072, 262_144)
"""Contexts that tables show."""
_STEP = 256
"""Contexts are offered in steps of so many tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What would be served: a model, with one set of weights, by an engine with settings."""

    model: Model
    weights: Published
    engine: str
    settings: Engine
    """As wanted: context, requests at once, quantization."""
    adapter_rank: int = 0
    """The rank that LoRA adapters have room in, where there are any; 0 where it is not known."""
    projector_bytes: int = 0
    """Of the encoder of images, where it is a file of its own; 0 without one, or where it is not known yet."""

    @property
    def most_context(self) -> int:
        """Return the most tokens of one request that the engine serves of this model."""
        return context_of(self.model, self.engine)

    def wanting(self, **changed: Any) -> Serving:  # Any: fields of Engine
        """Return this serving with other settings."""
        return replace(self, settings=self.settings.model_copy(update=changed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What would be served, on one place."""

    place: Place
    what: Serving
    footprint: Footprint | None
    """None where the architecture is not known."""
    host: tuple[MemoryTerm, ...]
    """What is taken of the container's memory beside the GPU."""
    problems: tuple[str, ...]
    """Why it does not fit, each as a sentence; empty where it does."""

    @property
    def fits(self) -> bool:
        """Tell whether what is wanted has room; False where that is not known, too."""
        return not self.problems

    @property
    def known(self) -> bool:
        """Tell whether what the model takes is known at all."""
        return self.footprint is not None

    @property
    def concurrency(self) -> int:
        """Return how many requests of the wanted context can be served at once.

        More requests take more beside the KV cache, too, so that it is not simply how many sequences the
        cache of this fit has room for.
        """
        if self.footprint is None:
            return 0
        return _largest(
            min(self._most, self.wanting(parallel=1).sequences),
            lambda count: self.wanting(parallel=count).sequences >= count,
        )

    @property
    def uncounted(self) -> str:
        """Return why no number of requests at once can be told; '' where `concurrency` is one."""
        if self.footprint is None:
            return unknown_size(self.what.model, self.what.engine)
        if self.footprint.cache.grows:
            return ""
        return "no cache grows with requests at once, so memory sets no number of them"

    @property
    def sequences(self) -> int:
        """Return how many sequences of the wanted context the KV cache of this fit has room for."""
        return self.footprint.sequences if self.footprint else 0

    @property
    def _most(self) -> int:
        """Return how many requests at once the engine serves, at most what Cloud Run gives to one instance."""
        most = module(self.what.engine).MOST_SEQUENCES or sys.maxsize
        return min(most, _most_on_cloud_run()) if self.place.shape else most

    @property
    def binds(self) -> str:
        """Name what keeps more from fitting."""
        if self.footprint is None:
            return "its architecture is not known"
        if self.footprint.cache_bytes < 0:
            return "weights"
        if self.host_bytes > self.place.host_memory:
            return "memory beside the GPU"
        if not self.footprint.cache.grows:
            return "no cache that grows"
        if self.sequences <= self._most:
            return "KV cache"
        return (
            f"{self.what.engine}'s limit" if module(self.what.engine).MOST_SEQUENCES else "Cloud Run's limit"
        )

    @property
    def flags(self) -> Mapping[str, str]:
        """Return the engine's settings for this fit: flags, or environment variables, with their values."""
        return module(self.what.engine).flags(self.what.settings)

    @property
    def host_bytes(self) -> int:
        """Return the bytes of the container's memory that are taken, all terms together."""
        return sum(term.size for term in self.host)

    def at(self, context: int) -> int | None:
        """Return how many requests of `context` tokens have room at once; None where the model was not made for so many."""
        if context > self.what.most_context:
            return None
        return self.wanting(context=context).concurrency

    def wanting(self, **changed: Any) -> Fit:  # Any: fields of Engine
        """Return this fit with other settings of the engine."""
        return fit(self.what.wanting(**changed), self.place)

    def longest_context(self) -> int:
        """Return the longest context that all the wanted requests can have at once, in steps of 256; 0 where none."""
        parallel = self.what.settings.parallel
        return _STEP * _largest(
            self.what.most_context // _STEP,
            lambda steps: self.wanting(context=steps * _STEP).sequences >= parallel,
        )

    def as_json(self) -> JsonObject:
        """Return the fit as `--json` prints it."""
        budget = self.footprint
        return {
            "place": self.place.name,
            "gpu": self.place.shape.gpu if self.place.shape else None,
            "engine": self.what.engine,
            "weights": {
                "source": self.what.weights.source,
                "bytes": self.what.weights.size,
                "quantization": self.what.weights.quantization,
            },
            "context": self.what.settings.context,
            "parallel": self.what.settings.parallel,
            "fits": self.fits if self.known else None,
            "problems": list(self.problems),
            "binds": self.binds,
            "concurrency": None if self.uncounted else self.concurrency,
            "concurrency_uncounted": self.uncounted,
            "ladder": {
                str(context): None if self.uncounted else self.at(context)
                for context in ladder(self.what.model)
            },
            "usable": budget.usable.as_json() if budget else None,
            "fixed": [term.as_json() for term in budget.fixed] if budget else None,
            "kv_cache": _cache_json(budget) if budget and budget.cache.grows else None,
            "host": [term.as_json() for term in self.host],
            "host_bytes": self.place.host_memory,
        }


def _largest(most: int, holds: Callable[[int], bool]) -> int:
    """Return the largest number up to `most` for which `holds`; 0 where none does. What holds must hold for all below."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def fit(what: Serving, place: Place) -> Fit:
    """Tell whether `what` fits `place`."""
    sizing = Sizing(
        model=what.model,
        weights=what.weights,
        settings=what.settings,
        device=place.device,
        adapter_rank=what.adapter_rank,
        projector_bytes=what.projector_bytes,
    )
    footprint = module(what.engine).footprint(sizing)
    result = Fit(place=place, what=what, footprint=footprint, host=place.host(what.engine), problems=())
    return replace(result, problems=tuple(_problems(result)))


def unknown_size(model: Model, engine: str = "an engine") -> str:
    """Return what it is that nobody here knows of a model that cannot be sized."""
    if model.task == "embed":
        return f"whether {engine} serves a model of the family {model.family or 'that it is of'} is not known"
    return f"how {model.name} keeps its KV cache is new to homeport"


def size_unknown(model: Model) -> SizeUnknown:
    """Return the error of a model whose memory nobody here can work out: that is not to say that it does not fit."""
    return SizeUnknown(
        f"how much memory {model.name} takes is not known: {unknown_size(model)}",
        hint="`homeport up` on a machine of yours tries it all the same; `homeport models` lists those that are sized",
    )


def ladder(model: Model) -> tuple[int, ...]:
    """Return the contexts that a table about `model` shows: those that it was made for, and its own."""
    own = model.context
    return (*(context for context in LADDER if context < own), own)


def _problems(result: Fit) -> Iterable[str]:
    footprint, settings, place = result.footprint, result.what.settings, result.place
    if settings.context > result.what.most_context:
        most = result.what.most_context
        yield f"{result.what.engine} serves {most:,} tokens of {result.what.model.name}, not {settings.context:,}"
    if footprint is None:
        yield f"{unknown_size(result.what.model, result.what.engine)}, so it cannot be sized"
    elif footprint.cache_bytes < 0:
        lacks = gib(-footprint.cache_bytes)
        yield f"{gib(footprint.fixed_bytes)} are taken before any KV cache, {lacks} more than {gib(footprint.usable.size)}"
    elif footprint.sequences < settings.parallel:
        needed = gib(footprint.cache.bytes_for(settings.parallel))
        yield (
            f"the KV cache of {settings.parallel} × {settings.context:,} tokens wants {needed}, "
            f"and {gib(footprint.cache_bytes)} are left: room for {footprint.sequences}"
        )
    if place.shape and settings.parallel > (most := _most_on_cloud_run()):
        yield f"Cloud Run gives an instance {most:,} requests at once at most, not {settings.parallel:,}"
    if result.host_bytes > place.host_memory:
        yield f"{gib(result.host_bytes)} are wanted beside the GPU, and the instance has {gib(place.host_memory)}"


def _most_on_cloud_run() -> int:
    """Return how many requests at once Cloud Run gives to one instance."""
    from homeport.catalog import cloudrun  # Late: to size for this machine, its facts are not read.

    return cloudrun.limits().max_concurrency


def _cache_json(budget: Footprint) -> JsonObject:
    return {
        "bytes": budget.cache_bytes,
        "tokens": budget.tokens,
        "sequences": budget.sequences,
        "sequence_bytes": budget.cache.sequence_bytes,
        "block_bytes": budget.cache.block_bytes,
        "how": budget.cache.how,
    }


__all__ = ["LADDER", "Fit", "Serving", "fit", "ladder", "size_unknown", "unknown_size"]
