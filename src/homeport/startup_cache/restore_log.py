"""What the log of a start tells of its startup cache."""

from __future__ import annotations

import re

_RESTORED = re.compile(r"homeport: startup cache: .* checked and in place after ([\d.]+) s")


def restore_seconds(log: str) -> dict[str, float]:
    """Return how long the newest restoration took, by the name of its term; nothing where none is told."""
    durations = _RESTORED.findall(log)
    return {"restore": float(durations[-1])} if durations else {}
