"""The targets by name. One more is a package and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from homeport.errors import SpecError

if TYPE_CHECKING:
    from homeport.targets.base import LiveModule, TargetModule

TITLES: Mapping[str, str] = MappingProxyType({"local": "this machine", "cloudrun": "Cloud Run"})
"""The names that `--on` takes, and what people call each. Known without importing a target: `--help` is fast."""

DEFAULT = "local"


def module(name: str) -> TargetModule:
    """Return the package of the target `name`. Raises `SpecError` where there is none."""
    if name not in TITLES:
        raise SpecError(f"there is no target {name!r}", hint=f"targets are {', '.join(TITLES)}")
    return cast("TargetModule", import_module(f"homeport.targets.{name}.lifecycle"))


def live(name: str) -> LiveModule:
    """Return how the endpoints of the target `name` are looked at again and again."""
    return cast("LiveModule", import_module(f"homeport.targets.{name}.live"))


def place(name: str) -> str:
    """Return where the endpoints of the target `name` are, in a sentence: 'on this machine', 'on Cloud Run'."""
    return f"on {TITLES.get(name, name)}"


def flag(name: str) -> str:
    """Return what a command line needs to mean this target: ' --on cloudrun', or '' for the default."""
    return "" if name == DEFAULT else f" --on {name}"
