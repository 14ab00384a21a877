"""What a comparison with another load generator must not take for good."""

from __future__ import annotations

import pytest

import scoreboard
from judges import tell_work
from scoreboard import Scoreboard, Verdict


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (2.0, 4.0, Verdict.KEPT),
        (2.1, 4.0, Verdict.BROKEN),
        (2.0, -15.7, Verdict.UNCLEAR),
        (-1.0, 4.0, Verdict.UNCLEAR),
        (2.0, 0.0, Verdict.UNCLEAR),
    ],
)
def test_a_generator_whose_requests_seem_to_cost_nothing_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, ours: float, theirs: float, verdict: Verdict
) -> None:
    monkeypatch.setattr(scoreboard, "others_at_work", lambda: 0.0)
    told = Scoreboard("judges")
    tell_work(told, "vllm", ours, theirs)
    assert told.ratios["vllm-work"].verdict is verdict
