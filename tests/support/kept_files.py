"""Files of a folder in which processes are at work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def contents(folder: Path, *, most_bytes: int = 1 << 30) -> Iterator[tuple[Path, bytes]]:
    """
    Every file below `folder` of `most_bytes` at most, not by links, with what is in it.

    What goes while others are read is passed over: a database's journal is there for milliseconds, a draft until its name is given.
    """
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            if path.stat().st_size > most_bytes:
                continue
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        yield path, content


def texts(folder: Path) -> list[str]:
    """What is in every file below `folder`, as text."""
    return [content.decode(errors="replace") for _, content in contents(folder)]
