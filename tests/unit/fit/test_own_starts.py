"""Starts that the user measured correct what is expected; each counts once, and nothing else does."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import SpecError, StateError
from homeport.fit import own_starts
from homeport.fit.cold_start import expected
from homeport.fit.own_starts import OwnStart, corrected, fold_in, folded_starts, forget, read_report
from homeport.home import Home
from homeport.targets.cloudrun.verification.cold_start_check import Measured, NotMeasured, finding
from typist import Typist

PUBLISHED = expected(engine="vllm", delivery="stream", weights_bytes=10**10)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def started(ratio: float, at: str = "2026-11-28T08:00:00+00:00", **more: Any) -> OwnStart:
    start = OwnStart(
        endpoint="home", started_at=at, engine="vllm", delivery="stream", seconds=ratio * PUBLISHED.likely,
        published_s=PUBLISHED.likely,
    )  # fmt: skip
    return replace(start, **more)


def report(path: Path, result: Measured | NotMeasured, at: str = "2026-11-28T08:00:00+00:00") -> Path:
    """A file as `verify --cold --json` writes it, as far as it is read."""
    seen = finding(result)
    cold = {"name": "cold", "outcome": seen.outcome, "detail": seen.detail, "evidence": dict(seen.evidence)}
    path.write_text(json.dumps({"endpoint": "home", "started_at": at, "results": [{"name": "models"}, cold]}))
    return path


def test_a_start_twice_as_long_doubles_what_is_expected_of_its_engine_and_way_alone(home: Home) -> None:
    (change,) = fold_in([started(2.0)], home)
    assert (change.factor_before, change.factor, change.error_before, change.error) == (1.0, 2.0, 1.0, 0.0)
    again = corrected(PUBLISHED, home)
    assert (again.low, again.likely, again.high) == pytest.approx(
        (2 * PUBLISHED.low, 2 * PUBLISHED.likely, 2 * PUBLISHED.high)
    )
    assert "times 2.00 by 1 start of your own" in again.source
    assert again.terms == PUBLISHED.terms, "what was published stays what was published"
    other = expected(engine="vllm", delivery="copy", weights_bytes=10**10)
    assert corrected(other, home) is other


def test_each_start_counts_once_and_reports_of_a_corrected_expectation_do_not_correct_twice(
    home: Home, tmp_path: Path
) -> None:
    first = report(tmp_path / "a.json", Measured(seconds=2 * PUBLISHED.likely, budget=PUBLISHED))
    fold_in([read_report(first), read_report(first)], home)
    fold_in([read_report(first)], home)
    assert len(folded_starts(home)) == 1
    now = corrected(PUBLISHED, home)
    second = report(
        tmp_path / "b.json", Measured(seconds=now.likely, budget=now), at="2026-11-28T09:00:00+00:00"
    )
    (change,) = fold_in([read_report(second)], home)
    assert change.factor == pytest.approx(2.0, rel=1e-2), "its terms are the published ones"


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=9))
def test_the_factor_lies_between_the_ratios_and_turns_round_with_them(ratios: list[float]) -> None:
    factor = own_starts._factor(ratios)
    assert min(ratios) * 0.999 <= factor <= max(ratios) * 1.001
    assert own_starts._factor([1 / ratio for ratio in ratios]) == pytest.approx(1 / factor)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no report"), ("[]", "no report"), ("{}", "no report"), ('{"results": []}', "no report"),
        ('{"results": [{"name": "cold", "evidence": {"measured": true}}]}', "another version"),
        ('{"results": [{"name": "cold", "evidence": {"measured": true, "rehearsed": true}}]}', "in a rehearsal"),
        ('{"results": [{"name": "cold", "evidence": {"measured": false, "why": "scaling.min is 1"}}]}', "scaling.min is 1"),
    ],
)  # fmt: skip
def test_what_is_no_measured_start_is_refused_in_words(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=why) as refused:
        read_report(path)
    assert "--cold --json" in str(refused.value.hint)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_time_that_no_start_takes_is_refused(tmp_path: Path, seconds: float) -> None:
    path = report(tmp_path / "report.json", Measured(seconds=seconds, budget=PUBLISHED))
    with pytest.raises(SpecError):
        read_report(path)


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no"):
        read_report(tmp_path / "report.json")


def test_starts_are_forgotten_when_told_so_and_a_torn_file_says_how(home: Home) -> None:
    assert not forget(home)
    fold_in([started(3.0)], home)
    assert forget(home)
    assert corrected(PUBLISHED, home) is PUBLISHED
    fold_in([started(3.0)], home)
    (home.root / "cold-starts.json").write_text("[{")
    with pytest.raises(StateError) as torn:
        corrected(PUBLISHED, home)
    assert "cold-start forget" in str(torn.value.hint)
    assert forget(home)


def test_the_command_folds_a_report_in_once_lists_it_and_forgets_it(typist: Typist) -> None:
    file = report(typist.folder / "start.json", Measured(seconds=2 * PUBLISHED.likely, budget=PUBLISHED))
    first = typist.run("cold-start", "calibrate", str(file)).out
    assert "vllm, weights stream: 1 start of your own; times 1.00 before, times 2.00 now" in first
    assert "times 2.00 before, times 2.00 now" in typist.run("cold-start", "calibrate", str(file)).out
    (listed,) = typist.run("cold-start", "list", "--json").json
    assert (listed["engine"], listed["delivery"]) == ("vllm", "stream")
    assert typist.run("cold-start", "forget", "--json").json == {"forgotten": True}
    assert "no start of yours" in typist.run("cold-start", "list").out
