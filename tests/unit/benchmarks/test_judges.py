"""What a comparison with another load generator must not take for good."""

from __future__ import annotations

import pytest

import others
from judges import PACE, Generator, tell_work
from scoreboard import Scoreboard, Verdict


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((2.0, 0.1), (5.0, 0.1), Verdict.KEPT),
        ((3.0, 0.1), (5.0, 0.1), Verdict.BROKEN),
        ((2.0, 0.1), (5.0, 2.0), Verdict.UNCLEAR),
        ((2.5, 0.1), (0.02, 12.0), Verdict.UNCLEAR),
        ((2.0, 0.0), (-15.7, 0.0), Verdict.UNCLEAR),
        ((-1.0, 0.0), (4.0, 0.0), Verdict.UNCLEAR),
        ((0.1, 0.2), (4.0, 0.1), Verdict.UNCLEAR),
    ],
)
def test_what_a_request_costs_is_told_only_where_starts_are_alike(
    monkeypatch: pytest.MonkeyPatch, ours: tuple[float, float], theirs: tuple[float, float], verdict: Verdict
) -> None:
    monkeypatch.setattr(others.Watch, "share", lambda _: 0.0)
    told = Scoreboard("judges")
    tell_work(told, "vllm", Generator(PACE, *ours), Generator(PACE, *theirs))
    assert told.ratios["vllm-work"].verdict is verdict
