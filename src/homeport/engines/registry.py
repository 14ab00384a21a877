"""The engines by name, which of them runs a model, and which of a model's weights are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, cast

from homeport import catalog
from homeport.catalog import Model, Published
from homeport.engines.base import EngineModule, Installation
from homeport.engines.names import NAMES
from homeport.engines.served_paths import ServedPaths
from homeport.errors import EngineMissing, SpecError
from homeport.spec import Delivery, Engine, Spec


def module(name: str) -> EngineModule:
    """Return the module of the engine `name`. Raises `EngineMissing` for one that nobody registered."""
    if name not in NAMES:
        raise EngineMissing(f"homeport knows no engine {name!r}", hint=f"it knows {', '.join(NAMES)}")
    return cast(EngineModule, import_module(f"homeport.engines.{name}.engine"))


def ensure_honoured(name: str, settings: Engine) -> None:
    """Raise `SpecError` for settings that the engine `name` cannot honour."""
    most = module(name).MOST_SEQUENCES
    if most is not None and settings.parallel > most:
        raise SpecError(
            f"engine.parallel {settings.parallel} cannot be honoured by {name}: it serves {most} requests at once at most",
            hint=f"set engine.parallel to at most {most}",
        )
    module(name).check(settings)


def key_of(model: Model, name: str) -> str | None:
    """Return under which key the catalog has weights of `model` for the engine `name`; None where it has none."""
    return next((key for key in module(name).WEIGHTS if key in model.weights), None)


def with_weights(model: Model) -> Mapping[str, str]:
    """Return the engines for which the catalog has weights of `model`, each with their source."""
    keys = {name: key_of(model, name) for name in NAMES}
    return {name: model.weights[key] for name, key in keys.items() if key is not None}


def published(model: Model, name: str) -> tuple[Published, ...]:
    """Return the weights of `model` that the engine `name` can load, the usual ones first."""
    key = key_of(model, name)
    return catalog.published(model, key) if key is not None else ()


def served_paths() -> tuple[ServedPaths, ...]:
    """Return the paths that engines are known to answer, of each engine its own."""
    return tuple(module(name).PATHS for name in NAMES)


def of_files(format_: str) -> tuple[str, ...]:
    """Return the engines that load files of this format."""
    return tuple(name for name in NAMES if format_ == module(name).FILES)


def loaders(format_: str) -> str:
    """Return the engines that load a file of this format on this machine, in words."""
    return " or ".join(name for name in of_files(format_) if module(name).FORMAT != "library")


UNTRIED = frozenset({"audio"})
"""What no test of ours has sent to an engine that should understand it."""


def modalities(model: Model, name: str, *, projector: bool = False) -> tuple[str, ...]:
    """Return what the engine `name` serves of what the model reads; with `projector`, beside its encoder of images."""
    engine = module(name)
    served = (*engine.READS, *(engine.READS_WITH_PROJECTOR if projector else ()))
    return tuple(modality for modality in model.modalities if modality in served)


def choose(spec: Spec, model: Model | None) -> tuple[EngineModule, Installation]:
    """
    Return the engine that is to run `model` on this machine, with its installation.

    With `kind = "auto"` the first of `NAMES` that is installed and for which the catalog has weights. Raises
    `EngineMissing` where there is none.
    """
    kind = spec.engine.kind
    own = model is None or spec.weights is not None

    def is_eligible(name: str) -> bool:
        return own or (model is not None and key_of(model, name) is not None)

    # One after the other: engines behind the first one that is here are not even imported.
    offered = []
    for name in NAMES:
        if kind in {"auto", name} and is_eligible(name):
            installation = module(name).find()
            if installation is not None:
                return module(name), installation
            offered.append(name)
    if not offered:
        raise EngineMissing(
            f"the catalog has no weights of {spec.model} for {kind}",
            hint=f"set engine.kind to {' or '.join(filter(is_eligible, NAMES))}, or `weights` to a source of your own",
        )
    hints = "; ".join(module(name).INSTALL_HINT for name in offered)
    raise EngineMissing(
        f"{' or '.join(offered)} would run {spec.model}, but is not installed here", hint=hints
    )


def on_cloud(kind: str = "auto", delivery: str = "auto") -> tuple[str, ...]:
    """
    Return the engines that may serve on a cloud for the file's `kind` and `delivery`, the preferred one first.

    A `kind` that is for this machine alone leaves the choice open, as `auto` does.
    """
    if kind != "auto" and module(kind).DELIVERIES:
        return (kind,)
    able = [name for name in NAMES if module(name).DELIVERIES]
    having = [name for name in able if delivery in module(name).DELIVERIES] or able
    return tuple(sorted(having, key=lambda name: module(name).RANK_ON_CLOUD))


def keeps_start(name: str, startup_cache: str) -> bool:
    """Tell whether starts of the engine `name` on a cloud use what an earlier one compiled, by `cloudrun.startup_cache`."""
    return startup_cache == "auto" and module(name).STARTUP_CACHE is not None


def delivery_of(name: str, wanted: Literal["auto"] | Delivery) -> Delivery:
    """Return how weights get to the engine `name` on a cloud. Raises `SpecError` for a way that it does not have."""
    engine = module(name)
    usual = engine.USUAL_DELIVERY
    if usual is None:
        raise SpecError(
            f"{name} is for this machine alone", hint=f"on a cloud there is {' or '.join(on_cloud())}"
        )
    if wanted == "auto":
        return usual
    if wanted not in engine.DELIVERIES:
        raise SpecError(
            f"cloudrun.delivery {wanted} cannot be honoured by {name}",
            hint=f"{name} has {' and '.join(engine.DELIVERIES)}; auto is {usual}",
        )
    return wanted
