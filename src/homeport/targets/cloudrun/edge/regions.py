"""What a load balancer over several regions has besides: ways to one region alone, and when one gets nothing for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeport.resources.google.traffic import CANDIDATE
from homeport.targets.cloudrun.edge.names import EdgeNames

EJECTED: Mapping[str, Any] = {  # Any: JSON
    "consecutiveErrors": 5,
    "enforcingConsecutiveErrors": 100,
    "interval": {"seconds": "1"},
    "baseEjectionTime": {"seconds": "30"},
    "maxEjectionPercent": 50,
}
"""
When a region that answers with errors gets nothing: after five in a row, for half a minute, and longer each time. Each proxy of
Google's counts by itself. Without it requests go to the nearest region, whatever that answers.
"""


def told_apart(called: EdgeNames, first: str, further: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return what a header of the proof's leads to, by name, region and tag: new revisions, and with several regions what serves in each."""
    new = [(called.candidate_in(""), first, CANDIDATE)]
    new += [(called.candidate_in(region), region, CANDIDATE) for region in further]
    serving = (first, *further) if further else ()
    return [*new, *((called.only_in(region), region, "") for region in serving)]


__all__ = ["EJECTED", "told_apart"]
