"""The targets by name. One more is a package and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, cast

from homeport.errors import SpecError, Unsupported

if TYPE_CHECKING:
    from homeport.targets.base import Capability, LiveModule, TargetModule

TITLES: Mapping[str, str] = MappingProxyType({"local": "this machine", "cloudrun": "Cloud Run"})
"""The names that `--on` takes, and what people call each. Known without importing a target: `--help` is fast."""

DEFAULT = "local"
MODELS: Mapping[str, str] = MappingProxyType({"local": "gemma-3-270m-pt", "cloudrun": "gemma-4-e2b"})
"""What `init` serves at each unless something else is asked for: what runs anywhere, and what is worth a GPU."""
CLOUDS = frozenset({"cloudrun"})
"""Targets on others' machines: what is asked there costs money and takes its time, and may have been rehearsed."""


def module(name: str) -> TargetModule:
    """Return the package of the target `name`. Raises `SpecError` where there is none, `Unsupported` for one that is not whole."""
    from homeport.targets.base import TargetModule

    if name not in TITLES:
        raise SpecError(f"there is no target {name!r}", hint=f"targets are {', '.join(TITLES)}")
    return cast("TargetModule", _whole(f"homeport.targets.{name}.lifecycle", TargetModule))


def able(capability: Capability) -> str:
    """Return the first target that has a capability: for a verb that only such a one has, and that asks nobody which."""
    return next(name for name in TITLES if capability in module(name).CAPABILITIES)


def live(name: str) -> LiveModule:
    """Return how the endpoints of the target `name` are looked at again and again. Raises `Unsupported` where it does not say that."""
    from homeport.targets.base import LiveModule

    return cast("LiveModule", _whole(f"homeport.targets.{name}.live", LiveModule))


def place(name: str) -> str:
    """Return where the endpoints of the target `name` are, in a sentence: 'on this machine', 'on Cloud Run'."""
    return f"on {TITLES.get(name, name)}"


def flag(name: str) -> str:
    """Return what a command line needs to mean this target: ' --on cloudrun', or '' for the default."""
    return "" if name == DEFAULT else f" --on {name}"


def asked(protocol: type) -> frozenset[str]:
    """Return the names of everything that a protocol of modules asks for: `TargetModule` or `LiveModule`."""
    return frozenset(one for one in (*vars(protocol), *protocol.__annotations__) if not one.startswith("_"))


def _whole(path: str, protocol: type) -> ModuleType:
    """Return a target's module that has all that is asked of one. Raises `Unsupported`."""
    try:
        found = import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise _not_whole(path, "is not there") from error
    lacking = sorted(asked(protocol) - vars(found).keys())
    if lacking:
        raise _not_whole(path, f"has no {', '.join(lacking)}")
    return found


def _not_whole(path: str, why: str) -> Unsupported:
    file = f"src/{path.replace('.', '/')}.py"
    return Unsupported(
        f"the target {path.split('.')[2]!r} is not whole: {file} {why}",
        hint="docs/howto/add-a-target.md says what is asked of a target",
    )
