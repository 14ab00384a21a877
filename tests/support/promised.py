"""What a benchmark has told, as a test takes it."""

from __future__ import annotations

import pytest

from scoreboard import Scoreboard, Verdict, line


def held(told: Scoreboard, *ids: str) -> None:
    """Fail where one of these promises is broken or was not measured; skip where nothing can be told of one."""
    found = {one: told.ratios[one].verdict for one in ids}
    said = {
        verdict: [line(told.promises[one], told.ratios[one]) for one in ids if found[one] is verdict]
        for verdict in Verdict
    }
    assert not said[Verdict.BROKEN] + said[Verdict.UNMEASURED]
    if said[Verdict.UNCLEAR]:
        pytest.skip("; ".join(said[Verdict.UNCLEAR]))
