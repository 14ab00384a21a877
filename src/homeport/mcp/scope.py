"""Which files and deployments a client may name: those in the folder that the server was started in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.errors import SpecError
from homeport.home import find_home
from homeport.own_path import is_there, looking_at
from homeport.path_rules import followed
from homeport.targets.base import OpenOptions

if TYPE_CHECKING:
    from homeport.deployment import Deployment

_PATHS = "file"
"""The scheme of sources that are paths."""
_OUTSIDE = "start the server there: it sees the files of the folder that it was started in, and those below"


@dataclass(frozen=True, slots=True)
class Scope:
    """A folder, and what is below it."""

    folder: Path
    """Without links."""

    def file(self, name: str) -> Path:
        """Return the spec called `name`. Raises `SpecError` where it is not in this folder, whatever links say."""
        if "\x00" in name:
            raise SpecError("a file's name has no NUL in it", hint="name a homeport.toml")
        with looking_at(self.folder / name):
            path = Path(followed(str(self.folder / name)))
        if not path.is_relative_to(self.folder):
            raise SpecError(f"{name} is not in the folder of this server", hint=_OUTSIDE)
        return path

    def model(self, name: str | None) -> str | None:
        """
        Return a model's name or source, a path as an absolute one.

        Raises `SpecError` for a path that is not in this folder.
        """
        from homeport import catalog
        from homeport.weights.sources.registry import MODULES

        if name is None or catalog.find(name) is not None:
            return name
        scheme, colon, path = name.partition(":")
        if colon and scheme in MODULES and scheme != _PATHS:
            return name
        path = path if colon and scheme == _PATHS else name
        if path.startswith("~"):
            raise SpecError(f"{name} is not in the folder of this server", hint=_OUTSIDE)
        file = self.file(path)
        return str(file) if is_there(file) else name

    @asynccontextmanager
    async def opened(self, file: str, on: str) -> AsyncIterator[Deployment]:
        """Give the deployment of a file."""
        from homeport import deployment

        path = self.file(file)
        if not is_there(path):
            raise SpecError(f"there is no {file} here", hint="`homeport init` writes one")
        async with deployment.opened(path, on=on, options=options()) as one:
            yield one

    @asynccontextmanager
    async def selected(
        self, name: str | None, file: str, on: str, *, by_name: bool = False
    ) -> AsyncIterator[Deployment]:
        """Give the deployment called `name`; else that of the file; else the only one there is."""
        from homeport import deployment

        async with deployment.selected(
            name, self.file(file), on=on, options=options(), by_name=by_name
        ) as one:
            yield one


def options() -> OpenOptions:
    """Return what every target is opened with: the server's own environment. Nobody is asked for a hub's token."""
    return OpenOptions(env=os.environ, home=find_home())
