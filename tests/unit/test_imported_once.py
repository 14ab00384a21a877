"""Each worker of pytest begins with a share of the modules, and misses none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asked_lane import lane_of
from imported_once import import_early, modules, share
from places import TESTS


@pytest.mark.parametrize("workers", range(1, 9))
def test_the_shares_are_all_modules_and_no_module_is_in_two(workers: int) -> None:
    every = modules([str(TESTS / "unit")])
    assert Path(__file__) in every
    shares = [share(every, place, workers) for place in range(workers)]
    assert sorted(path for one in shares for path in one) == every
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_module_and_a_test_of_it_are_named_like_a_folder() -> None:
    assert modules([__file__]) == modules([f"{__file__}::test_it"]) == [Path(__file__)]


@pytest.mark.parametrize(
    ("marks", "lane"),
    [("edge", "edge"), ("long and not vllm and not drill", "long"), ("", ""), ("not vllm and not long", "")],
)
def test_a_lane_is_what_its_tests_need(marks: str, lane: str) -> None:
    assert lane_of(marks) == lane


@pytest.mark.parametrize("ends", ["raise ValueError", "pytest.skip(allow_module_level=True)", "x = ("])
def test_a_module_that_cannot_be_imported_is_left_to_whoever_collects_it(tmp_path: Path, ends: str) -> None:
    broken = tmp_path / "test_broken_at_import.py"
    broken.write_text(f"import pytest\n{ends}\n", encoding="utf-8")
    before = list(sys.path)
    import_early(broken)
    assert "test_broken_at_import" not in sys.modules
    assert sys.path == before
