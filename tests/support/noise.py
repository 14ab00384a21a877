"""What a busy machine makes of a comparison: it holds, it does not, or it cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


def judge(off: Mapping[str, float], noise: Mapping[str, float], limits: Mapping[str, float]) -> None:
    """
    Fail where a figure is off by more than its limit and its noise together; skip where noise leaves it open.

    It is open where noise alone is more than the limit, whatever came, and where a figure is off by no more than
    noise may have added. A passing comparison is one that noise could not have made.
    """
    quiet = {name for name in off if noise[name] <= limits[name]}
    wrong = {name for name in quiet if abs(off[name]) > limits[name] + noise[name]}
    said = ", ".join(f"{name} {off[name]:+.1%} (noise {noise[name]:.1%})" for name in off)
    assert not wrong, f"{', '.join(sorted(wrong))} off by more than is allowed: {said}"
    if quiet != set(off) or any(abs(off[name]) > limits[name] for name in off):
        pytest.skip(f"cannot tell: this machine did too much besides: {said}")


def waited(pid: int) -> tuple[float, float]:
    """Return the seconds that the threads of a process have run, and that they waited for a core while they could have."""
    ran = waiting = 0.0
    for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        nanoseconds = stat.read_text(encoding="ascii").split()
        ran, waiting = ran + int(nanoseconds[0]) / 1e9, waiting + int(nanoseconds[1]) / 1e9
    return ran, waiting
