"""How much others had of the processors is reckoned from what was worked, and never guessed."""

from __future__ import annotations

import os

import psutil
import pytest

import others
from others import Look, Watch, look, others_between
from scoreboard import FIRST, machine

SHELL, SCREEN = (7, 1.0), (8, 2.0)


def counted(
    at: float, *, busy: float, ours: float = 0.0, behind: dict[tuple[int, float], float] | None = None
) -> Look:
    return Look(at=at, total=2 * at, busy=busy, ours=ours, behind=behind or {})


def first(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    monkeypatch.setattr(others, "goes_first", lambda *_: answer)


def test_what_was_worked_beside_us_is_others(monkeypatch: pytest.MonkeyPatch) -> None:
    first(monkeypatch, False)
    before = counted(100, busy=50, ours=10)
    assert others_between(before, counted(110, busy=68, ours=10)) == pytest.approx(0.9)
    assert others_between(before, counted(110, busy=68, ours=26)) == pytest.approx(0.1)
    assert others_between(before, counted(110, busy=58, ours=20)) == 0.0


def test_a_priority_is_before_those_that_are_known_to_have_none_and_before_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = counted(100, busy=50, behind={SHELL: 40})
    after = counted(110, busy=68, behind={SHELL: 45, SCREEN: 12})
    first(monkeypatch, True)
    assert others_between(before, after) == pytest.approx(0.05)
    assert others_between(before, counted(110, busy=68)) == pytest.approx(0.9)
    first(monkeypatch, False)
    assert others_between(before, after) == pytest.approx(0.9)


def test_where_the_processors_count_nothing_nobody_can_tell() -> None:
    before = Look(at=100, total=0, busy=0, ours=0, behind={})
    assert others_between(before, Look(at=110, total=0, busy=0, ours=0, behind={})) is None


def test_one_window_that_tells_nothing_leaves_all_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "LOOK_S", 0.0)
    shares = iter([0.1, 0.9, 0.2, None, 0.0])
    monkeypatch.setattr(others, "others_between", lambda *_: next(shares))
    watch = Watch()
    assert [watch.share() for _ in range(5)] == [0.1, 0.9, 0.9, None, None]


def test_what_this_process_works_is_its_own() -> None:
    before = look()
    worked = psutil.Process().cpu_times()
    # A hundredth more, which is what counters count in: a difference of two of them may be a hair less than it is.
    while sum(psutil.Process().cpu_times()[:2]) < sum(worked[:2]) + 0.21:
        pass
    after = look()
    assert after.ours - before.ours >= 0.2
    assert os.getpid() not in {pid for pid, _ in after.behind}


def test_of_a_process_that_is_not_there_nobody_knows_that_it_stands_behind() -> None:
    assert others.goes_first(2**22 + 1) is hasattr(os, "sched_getscheduler")


def test_the_machine_is_told_with_the_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoreboard.goes_first", lambda: False)
    assert FIRST not in machine()
    monkeypatch.setattr("scoreboard.goes_first", lambda: True)
    assert FIRST in machine()
