"""The engines by name, and which of them runs a model."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from homeport.catalog import Model
from homeport.engines.base import EngineModule, Installation
from homeport.errors import EngineMissing
from homeport.spec import Spec

NAMES = ("llamacpp", "vllm", "ollama")


def module(name: str) -> EngineModule:
    """The module of the engine `name`."""
    return cast(EngineModule, import_module(f"homeport.engines.{name}.engine"))


def choose(spec: Spec, model: Model | None) -> tuple[EngineModule, Installation]:
    """
    The engine that shall run `model`, with its installation.

    With `kind = "auto"` the first of llamacpp, vllm, ollama that is installed and for which the catalog has
    weights. Raises `EngineMissing` where there is none.
    """
    kind = spec.engine.kind
    known = [name for name in NAMES if model is None or spec.weights is not None or name in model.weights]
    offered = [name for name in known if kind in {"auto", name}]
    if not offered:
        raise EngineMissing(
            f"the catalog has no weights of {spec.model} for {kind}",
            hint=f"set engine.kind to {' or '.join(known)}, or `weights` to a source of your own",
        )
    for name in offered:
        installation = module(name).find()
        if installation is not None:
            return module(name), installation
    hints = "; ".join(module(name).INSTALL_HINT for name in offered)
    raise EngineMissing(
        f"{' or '.join(offered)} would run {spec.model}, but is not installed here", hint=hints
    )
