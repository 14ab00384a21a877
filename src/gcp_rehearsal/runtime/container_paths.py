"""A container's absolute paths, and where they lie on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_ABSOLUTE = re.compile(r"(?<![\w./-])/(?!/)[\w.@+\-/]*")
"""An absolute path in a text; neither the slashes of an address nor the middle of a relative path."""


class Paths:
    """Knows the mounts of a container and the files of its image. With `inside`, it sees them where they belong."""

    def __init__(self, root: Path, mounts: Mapping[str, Path], *, inside: bool = False) -> None:
        self._root, self._inside = root, inside
        self._mounts = sorted(mounts.items(), key=lambda mount: -len(mount[0]))

    def here(self, path: str) -> Path | None:
        """
        Return what the container has at an absolute path, as it sees it; None where neither a mount nor the
        image has it.
        """
        local = self._found(path)
        return local if local is None or not self._inside else Path(path)

    def translated(self, text: str) -> str:
        """Return the text with every path that is known replaced as a whole."""

        def replace(match: re.Match[str]) -> str:
            here = self.here(match[0])
            return match[0] if here is None else str(here)

        return _ABSOLUTE.sub(replace, text)

    @property
    def moved(self) -> bool:
        """Tell whether paths here differ from those in the cloud."""
        return not self._inside

    def as_in_the_cloud(self, text: bytes) -> bytes:
        """Return the text with each path of this machine that is the container's written as the container sees it."""
        known = [(str(folder), mounted.rstrip("/")) for mounted, folder in self._mounts]
        for here, inside in (*known, (str(self._root), "")):
            text = text.replace(here.encode(), inside.encode())
        return text

    def _found(self, path: str) -> Path | None:
        for mounted, folder in self._mounts:
            if path == mounted or path.startswith(f"{mounted.rstrip('/')}/"):
                return folder / path[len(mounted) :].lstrip("/")
        candidate = self._root / path.lstrip("/")
        return candidate if path.strip("/") and candidate.exists() else None
