"""What a page of the docs types, and what it says should come."""

from __future__ import annotations

import re
from pathlib import Path

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def steps(page: Path) -> list[tuple[str, list[str]]]:
    """Each command of a page, with the lines that should follow it."""
    found: list[tuple[str, list[str]]] = []
    for line in "\n".join(BLOCK.findall(page.read_text())).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif line:
            found[-1][1].append(line)
    return found


def pattern(lines: list[str]) -> str:
    """A regular expression for what should be printed; `…` stands for anything, alone on a line for any lines."""
    parts = [
        r"(?:.*\n)*?" if line == "…" else ".*".join(re.escape(piece) for piece in line.split("…")) + r".*\n"
        for line in lines
    ]
    return "".join(parts)
