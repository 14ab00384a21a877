"""Modes of files, looked at."""

from __future__ import annotations

import stat
from pathlib import Path


def modes(root: Path) -> dict[str, str]:
    """The modes that are not those of a private folder or file, by path."""
    found = {}
    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink() and mode != (0o700 if path.is_dir() else 0o600):
            found[str(path.relative_to(root))] = f"{mode:03o}"
    return found
