"""How much memory of their own processes hold, where that can be told from weights that they map."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

COUNTS_MEMORY = sys.platform == "linux"
"""Whether it can be told here."""


def own_bytes(pids: Iterable[int]) -> int:
    """
    Return the anonymous pages of these processes, in RAM or swapped out.

    "Private" memory in the sense of smaps is not asked for: weights that only one process maps are part of it.
    """
    return sum(_own_bytes(pid) for pid in pids)


def _own_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "VmSwap:")))
