"""What becomes of a promise by a figure, and that what was not measured is told as that."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import others
import scoreboard
from promises import PARTS, Others, Part, Promise
from scoreboard import RESULTS, Ratio, Scoreboard, Verdict, board, exit_code, judged

TWICE = Promise(what="time, to Envoy's", most=2)
THIRD = Promise(what="requests a second, to Envoy's", least=1 / 3)
CLOSE = Promise(what="what is simulated, to what is", most=0.05, least=-0.05, unit="%")
PART = "a part of this test"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    promises = {
        "first": Promise(what="first", most=1.0, unit="s", others=Others.LENGTHEN),
        "ratio": Promise(what="ratio", most=1.0, others=Others.MOVE),
        "told": Promise(what="told"),
    }
    monkeypatch.setitem(PARTS, PART, Part(title="A part", command=("none.py",), minutes=1, promises=promises))
    at_work(monkeypatch, 0.0)


def at_work(monkeypatch: pytest.MonkeyPatch, share: float | None) -> None:
    monkeypatch.setattr(others, "others_between", lambda *_: share)
    monkeypatch.setattr(others, "LOOK_S", 0.0)


@pytest.mark.parametrize(
    ("promise", "value", "noise", "verdict"),
    [
        (TWICE, 2.0, 0.0, Verdict.KEPT),
        (TWICE, 2.01, 0.0, Verdict.BROKEN),
        (TWICE, 2.01, 0.1, Verdict.UNCLEAR),
        (TWICE, 1.0, 2.1, Verdict.UNCLEAR),
        (THIRD, 0.34, 0.0, Verdict.KEPT),
        (THIRD, 0.33, 0.0, Verdict.BROKEN),
        (CLOSE, -0.05, 0.01, Verdict.KEPT),
        (CLOSE, -0.2, 0.01, Verdict.BROKEN),
        (CLOSE, -0.2, 0.06, Verdict.UNCLEAR),
        (CLOSE, math.nan, 0.0, Verdict.UNCLEAR),
        (THIRD, math.inf, 0.0, Verdict.UNCLEAR),
        (TWICE, 1.0, math.nan, Verdict.UNCLEAR),
        (PARTS["closed-forms"].promises["lost"], -5, 0.0, Verdict.BROKEN),
        (PARTS["closed-forms"].promises["lost"], 0, 0.0, Verdict.KEPT),
        (PARTS["judges"].promises["lost"], -0.1, 0.0, Verdict.BROKEN),
        (PARTS["judges"].promises["aiperf-lost"], -0.1, 0.0, Verdict.BROKEN),
        (PARTS["replicas"].promises["2x0.5-way"], -400.0, 1.0, Verdict.BROKEN),
        (PARTS["replicas"].promises["2x0.5-way"], -29.0, 1.0, Verdict.KEPT),
        (Promise(what="told"), 100.0, 0.0, Verdict.NO_PROMISE),
    ],
)
def test_a_promise_is_kept_broken_or_cannot_be_told(
    promise: Promise, value: float, noise: float, verdict: Verdict
) -> None:
    assert judged(promise, value, noise) is verdict


@pytest.mark.parametrize(
    ("promise", "bounds"),
    [
        (TWICE, "at most 2 ×"),
        (THIRD, "at least 0.33 ×"),
        (CLOSE, "within 5 %"),
        (PARTS["replicas"].promises["2x0.5-way"], "within 30 ms"),
        (PARTS["closed-forms"].promises["lost"], "exactly 0"),
        (PARTS["judges"].promises["lost"], "exactly 0 %"),
    ],
)
def test_bounds_are_told_in_their_unit(promise: Promise, bounds: str) -> None:
    assert promise.bounds == bounds


def test_beside_others_what_can_only_get_longer_is_kept_where_it_is_short_and_nothing_else_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_work(monkeypatch, 0.9)
    told = Scoreboard(PART)
    assert told.measured("first", 0.9).verdict is Verdict.KEPT
    long = told.measured("first", 1.1)
    assert (long.verdict, long.note) == (Verdict.UNCLEAR, "other programs had 90% of the processors")
    assert told.measured("ratio", 0.5).verdict is Verdict.UNCLEAR
    assert told.measured("told", 7.0).verdict is Verdict.NO_PROMISE


@pytest.mark.parametrize(
    ("value", "noise", "note"),
    [
        (0.9, 0.05, "nine pairs"),
        (0.9, 0.2, "nine pairs; noise may be 0.20 s, which could put it outside"),
        (1.1, 0.2, "noise may be 0.20 s"),
        (1.5, 0.2, "nine pairs"),
    ],
)
def test_a_figure_that_noise_could_put_outside_is_kept_and_says_so(
    value: float, noise: float, note: str
) -> None:
    assert Scoreboard(PART).measured("first", value, noise=noise, note="nine pairs").note == note


def test_others_that_come_or_go_while_it_is_measured_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work(monkeypatch, 0.9)
    told = Scoreboard(PART)
    assert told.measured("ratio", 0.5).verdict is Verdict.UNCLEAR
    at_work(monkeypatch, 0.0)
    assert told.measured("ratio", 0.5).verdict is Verdict.UNCLEAR
    told = Scoreboard(PART)
    assert told.measured("ratio", 0.5).verdict is Verdict.KEPT
    at_work(monkeypatch, 0.9)
    assert told.measured("ratio", 0.5).verdict is Verdict.UNCLEAR


def test_where_nobody_can_tell_what_others_had_nothing_of_the_walls_clock_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_work(monkeypatch, None)
    told = Scoreboard(PART)
    found = told.measured("ratio", 0.5)
    assert (found.verdict, found.note) == (Verdict.UNCLEAR, scoreboard.UNTOLD)
    at_work(monkeypatch, 0.0)
    assert told.measured("ratio", 0.5).verdict is Verdict.UNCLEAR


def test_what_a_part_leaves_out_is_not_measured_and_no_success() -> None:
    with pytest.raises(SystemExit) as ended, board(PART) as told:
        told.measured("first", 0.5)
    assert ended.value.code == 3
    assert told.ratios["ratio"].verdict is Verdict.UNMEASURED


def test_what_an_error_leaves_out_is_not_measured_for_that_error_and_what_was_told_before_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    monkeypatch.setenv(RESULTS, str(results))

    def fails() -> None:
        with board(PART) as told:
            told.measured("first", 0.5)
            assert json.loads(results.read_text())["value"] == 0.5
            raise OSError("no port")

    with pytest.raises(SystemExit) as ended:
        fails()
    assert ended.value.code == 70, "neither that of a broken promise nor of one that cannot be told"
    assert "OSError: no port" in capsys.readouterr().err
    found = {one.id: one for one in map(Ratio.from_line, results.read_text().splitlines())}
    assert found["first"].verdict is Verdict.KEPT
    assert found["ratio"].verdict is found["told"].verdict is Verdict.UNMEASURED
    assert "no port" in found["ratio"].note


def test_ctrl_c_ends_a_part_in_its_own_words_and_not_in_a_traceback() -> None:
    def stopped() -> None:
        with board(PART) as told:
            told.measured("first", 0.5)
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        stopped()
    assert ended.value.code == 130


def test_a_broken_promise_weighs_more_than_one_that_was_not_measured() -> None:
    def one(verdict: Verdict) -> Ratio:
        return Ratio(id="one", value=None, verdict=verdict)

    assert exit_code([one(Verdict.KEPT), one(Verdict.NO_PROMISE)]) == 0
    assert exit_code([one(Verdict.KEPT), one(Verdict.UNCLEAR)]) == 3
    assert exit_code([one(Verdict.UNMEASURED), one(Verdict.BROKEN)]) == 1


def test_a_figure_without_a_promise_of_that_name_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Scoreboard(PART).measured("another", 1.0)


def test_each_part_is_a_script_that_is_there() -> None:
    folder = Path(scoreboard.__file__).parent
    assert [
        name for name, part in PARTS.items() if name != PART and not (folder / part.command[0]).exists()
    ] == []
