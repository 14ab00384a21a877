"""Which shape of Cloud Run is the cheapest that fits; and where none does, the smallest change that would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from homeport.catalog import cloudrun
from homeport.engines.registry import module, published
from homeport.errors import SpecError
from homeport.fit import Fit, Serving, fit, unknown_size
from homeport.fit.devices import Place, cloud
from homeport.spec import Engine

Price = Callable[[Place], float]
"""Dollars an hour of a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change with which it fits."""

    change: str
    settings: dict[str, Any]  # Any: values of homeport.toml
    """The keys of homeport.toml that make it so."""
    fit: Fit
    price: float
    """Dollars an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, and against what."""

    best: Fit | None
    """The cheapest that fits; None where none does."""
    runner_up: Fit | None
    why: str
    tried: tuple[Fit, ...]
    """Every shape that was held against the model, cheapest first."""
    remedies: tuple[Remedy, ...]
    """Where none fits: up to three changes, cheapest first."""

    @property
    def known(self) -> bool:
        """Tell whether what the model takes is known at all."""
        return any(result.known for result in self.tried)


def choose(what: Serving, *, price: Price, region: str | None = None, gpu: str = "auto") -> Choice:
    """
    Return the cheapest confirmed shape of Cloud Run on which `what` fits.

    Raises `SpecError` where the region has no such GPU.
    """
    places = cloud(region, gpu)
    if not places:
        raise SpecError(f"Cloud Run has no {gpu} in {region}", hint=_where(gpu))
    tried = [fit(what, place) for place in sorted(places, key=price)]
    fitting = [result for result in tried if result.fits]
    best = fitting[0] if fitting else None
    runner_up = fitting[1] if len(fitting) > 1 else None
    remedies = _remedies(what, price, region, gpu) if best is None and tried[0].known else []
    return Choice(
        best=best,
        runner_up=runner_up,
        why=_why(best, runner_up, tried, price),
        tried=tuple(tried),
        remedies=tuple(remedies[:3]),
    )


def _why(best: Fit | None, runner_up: Fit | None, tried: list[Fit], price: Price) -> str:
    if not any(result.known for result in tried):
        return f"not known: {unknown_size(tried[-1].what.model, tried[-1].what.engine)}"
    if best is None:
        return f"nothing fits: {tried[-1].problems[0]}"
    cheaper = [result for result in tried if price(result.place) < price(best.place)]
    why = f"{cheaper[-1].place.name} is cheaper, and too small" if cheaper else "the cheapest there is"
    if runner_up is not None:
        why += f"; next is {runner_up.place.name} at ${price(runner_up.place):.2f}"
    return why


def _where(gpu: str) -> str:
    cloud_gpu = cloudrun.gpu(gpu)
    if cloud_gpu:
        return f"it is in {', '.join(cloud_gpu.regions)}"
    return f"regions with GPUs: {', '.join(cloudrun.regions())}; GPUs: {', '.join(g.name for g in cloudrun.gpus())}"


def _remedies(serving: Serving, price: Price, region: str | None, gpu: str) -> list[Remedy]:
    """Return changes that make it fit, cheapest first; of two at one price, the one that costs less quality."""
    as_it_is = _Change((), {}, serving)
    remedies = []
    for change in _changes(as_it_is):
        remedies += _tried(cloud(region, gpu), change, price)
    remedies += _tried(cloud(region), as_it_is, price)  # on another GPU than the one asked for
    remedies += _elsewhere(as_it_is, price, region)
    remedies.sort(key=lambda remedy: (remedy.price, _share_given_up(remedy.fit, serving.settings)))
    worth = [
        remedy
        for at, remedy in enumerate(remedies)
        if not any(_is_milder(other, remedy) for other in remedies[:at])
    ]
    given_up = [remedy for remedy in worth if _share_given_up(remedy.fit, serving.settings)]
    # Two that give something up are choice enough; the user who wants it whole should see what that takes.
    return [remedy for remedy in worth if remedy not in given_up[2:]]


def _share_given_up(result: Fit, settings: Engine) -> float:
    """Return which share of the wanted tokens is given up; 0 where none is."""
    changed = result.what.settings
    return 1 - (changed.context * changed.parallel) / (settings.context * settings.parallel)


def _is_milder(other: Remedy, remedy: Remedy) -> bool:
    """Return True if `other`, which costs no more, changes only what `remedy` changes, too."""
    if not other.settings.keys() <= remedy.settings.keys():
        return False
    settings, other_settings = remedy.fit.what.settings, other.fit.what.settings
    return other_settings.context >= settings.context and other_settings.parallel >= settings.parallel


_MOST_GIVEN_UP = 0.75
"""A user who wanted 64 requests is not helped with one."""
_LESS: tuple[Literal["context", "parallel"], ...] = ("context", "parallel")


@dataclass(frozen=True, slots=True)
class _Change:
    words: tuple[str, ...]
    keys: dict[str, Any]  # Any: values of homeport.toml
    what: Serving
    gives_up: Literal["", "context", "parallel"] = ""
    """Which of the two is made as small as it must be."""


def _changes(as_it_is: _Change) -> list[_Change]:
    """Return the changes to try, mildest first: one change, then two, then three."""
    lighter = _lighter(as_it_is)
    halved = [_halved(change) for change in (as_it_is, *lighter)]
    full = [halved[0], *lighter, *halved[1:]]
    less = [replace(change, gives_up=gives_up) for gives_up in _LESS for change in (as_it_is, *full)]
    return [*full, *less]


def _halved(change: _Change) -> _Change:
    """Return the change with keys and values in half the bytes, too."""
    kind = module(change.what.engine).HALF_KV
    return _Change(
        (*change.words, f"keep keys and values as {kind}"),
        {**change.keys, "engine.kv_dtype": kind},
        change.what.wanting(kv_dtype=kind),
    )


def _lighter(change: _Change) -> list[_Change]:
    """Return the change with weights in fewer bytes, too; one for each way to store them."""
    serving, changes = change.what, []
    if serving.weights.quantization == "bfloat16" and not serving.settings.quantization:
        changes += [
            _Change(
                (f"quantize to {kind} while loading",),
                {"engine.quantization": kind},
                serving.wanting(quantization=kind),
            )
            for kind in module(serving.engine).QUANTIZES_TO
        ]
    changes += [
        _Change(
            (
                f"take its {other.quantization} weights"
                + (" (size unconfirmed)" if other.unconfirmed else ""),
            ),
            {"weights": other.source},
            replace(serving.wanting(quantization=None), weights=other),
        )
        for other in published(serving.model, serving.engine)
        if 0 < other.size < serving.weights.size  # of a model of one's own nothing else is known
    ]
    return changes


def _tried(places: Iterable[Place], change: _Change, price: Price) -> list[Remedy]:
    """Return the change on the cheapest place where it makes it fit."""
    for place in sorted(places, key=price):
        result = fit(change.what, place)
        words, keys = list(change.words), dict(change.keys)
        if change.gives_up and not result.fits:
            smaller = _less_of(result, change.gives_up)
            if smaller is None or _share_given_up(smaller[0], change.what.settings) > _MOST_GIVEN_UP:
                continue
            result, word = smaller
            words.append(word)
            keys[f"engine.{change.gives_up}"] = getattr(result.what.settings, change.gives_up)
        elif change.gives_up:
            return []
        if result.fits:
            words.append(f"on {place.name}")
            return [Remedy(change=", ".join(words), settings=keys, fit=result, price=price(place))]
    return []


def _elsewhere(change: _Change, price: Price, region: str | None) -> list[Remedy]:
    """Return, for a region that lacks the GPU, the change in the nearest region that has it; [] where none has."""
    for remedy in _tried([place for place in cloud() if place not in cloud(region)], change, price):
        shape = remedy.fit.place.shape
        gpu = cloudrun.gpu(shape.gpu) if shape else None
        if gpu is not None:
            near = sorted(gpu.regions, key=lambda name: name.split("-")[0] != (region or "").split("-")[0])
            keys = {**remedy.settings, "cloudrun.region": near[0]}
            return [replace(remedy, change=f"{remedy.change}, in {near[0]}", settings=keys)]
    return []


def _less_of(result: Fit, setting: Literal["context", "parallel"]) -> tuple[Fit, str] | None:
    """Return the fit with as little less as it must be, in words; None where nothing would be left."""
    if setting == "parallel":
        count = result.concurrency
        return (
            (result.wanting(parallel=count), f"{count} request{'s' * (count > 1)} at once") if count else None
        )
    context = result.longest_context()
    return (result.wanting(context=context), f"a context of {context:,} tokens") if context else None
