"""What a proxy adds, and what passes through it, is told only where neither others nor a slow client can have made it so."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

import others
import proxy
from promises import PARTS
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
    busy = SimpleNamespace(worked=lambda: next(worked), waited=lambda: 0.0)
    told = Scoreboard("proxy")
    ways = {"direct": busy, "homeport": busy, "Envoy": busy}
    proxy.measure(told, ways)  # type: ignore[arg-type]
    assert told.ratios["added"].verdict is verdict


@pytest.mark.parametrize(
    ("ratio", "my_still", "their_still", "verdict"),
    [
        (0.48, 0.0, 0.23, Verdict.KEPT),
        (0.40, 0.0, 0.23, Verdict.UNCLEAR),
        (0.48, 0.0, 1.0, Verdict.UNCLEAR),
        (0.30, 0.0, 0.0, Verdict.BROKEN),
        (0.30, 0.1, 0.5, Verdict.UNCLEAR),
        (0.30, 1.0, 0.0, Verdict.UNCLEAR),
        (0.20, 0.1, 0.5, Verdict.BROKEN),
    ],
)
def test_throughput_is_told_where_the_promise_would_be_kept_or_broken_had_nobody_stood_still(
    monkeypatch: pytest.MonkeyPatch, ratio: float, my_still: float, their_still: float, verdict: Verdict
) -> None:
    monkeypatch.setattr(others.Watch, "share", lambda _: 0.0)
    told = Scoreboard("proxy")
    proxy.tell_throughput(told, ([ratio] * 3, my_still), ([1.0] * 3, their_still))
    assert told.ratios["throughput"].verdict is verdict


@pytest.mark.parametrize(
    ("still", "waited", "told"),
    [(0.1, math.nan, True), (0.3, 0.0, True), (0.3, 0.15, True), (0.3, 0.3, False), (0.3, math.nan, False)],
)
def test_a_way_that_stood_still_under_load_is_timed_all_the_same_where_it_is_known_to_have_had_its_core(
    still: float, waited: float, told: bool
) -> None:
    a_second = [1000 / proxy.STREAMED]
    assert (proxy.held_up(still, waited, a_second) == "") is told


def test_of_whom_the_system_counts_nothing_nobody_knows_how_long_it_waited() -> None:
    assert math.isnan(proxy.InTheWay(port=1, pids=(2**22 + 1,)).waited())


def test_without_a_promise_throughput_is_told_with_what_it_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others.Watch, "share", lambda _: 0.0)
    assert not PARTS["gateway"].promises["throughput"].bounds
    told = Scoreboard("gateway")
    proxy.tell_throughput(told, ([1.0], 0.0), ([2.0], 0.5))
    assert told.ratios["throughput"].note.endswith(
        "for 0% and 50% of the time: 0.25 to 0.50 × if they had not"
    )
