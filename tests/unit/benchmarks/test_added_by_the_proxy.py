"""What a proxy adds is told only where something was added at all."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import others
import proxy
from scoreboard import Scoreboard, Verdict


@pytest.mark.parametrize(
    ("ours", "envoys", "verdict"),
    [(1.2, 1.1, Verdict.KEPT), (1.9, 1.1, Verdict.BROKEN), (1.2, 0.9, Verdict.UNCLEAR), (0.9, 1.1, Verdict.UNCLEAR)],
)  # fmt: skip
def test_a_way_through_that_is_no_longer_than_the_direct_one_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, ours: float, envoys: float, verdict: Verdict
) -> None:
    took = {"direct": [1.0] * 3, "homeport": [ours] * 3, "Envoy": [envoys] * 3}
    speed = {"homeport": [1.0] * 3, "Envoy": [1.0] * 3}
    monkeypatch.setattr(others.Watch, "share", lambda _: 0.0)
    monkeypatch.setattr(proxy, "_sampled", lambda ways, *_: took if "direct" in ways else speed)
    whole = proxy.ASKED_S * proxy.ROUNDS
    worked = iter([0.0, 0.0, whole, whole])
    busy = SimpleNamespace(worked=lambda: next(worked))
    told = Scoreboard("proxy")
    ways = {"direct": busy, "homeport": busy, "Envoy": busy}
    proxy.measure(told, ways)  # type: ignore[arg-type]
    assert told.ratios["added"].verdict is verdict
