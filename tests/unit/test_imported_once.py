"""Each worker of pytest begins with a share of the modules, and misses none."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from asked_lane import LANES, lane_of, left_out, nothing_asked, without
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


def test_what_is_left_out_is_what_no_test_may_have() -> None:
    assert left_out(without(LANES)) == list(LANES)
    assert left_out("long and not vllm") == ["vllm"]
    assert left_out("not (vllm and long)") == left_out("not vllm or long") == left_out("") == []


def test_every_mark_but_how_long_it_lasts_is_a_lane() -> None:
    told = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    marks = {line.partition(":")[0] for line in told["tool"]["pytest"]["ini_options"]["markers"]}
    assert marks - set(LANES) == {"lasts(seconds)"}
    assert set(LANES) <= marks


NOT_VLLM = "not vllm and not long"
OF_VLLM = "pytestmark = [\n    pytest.mark.vllm,\n    pytest.mark.skipif(not FOUND, reason='[none]'),\n]\n"


@pytest.mark.parametrize(
    ("marks", "text"),
    [
        (NOT_VLLM, "pytestmark = pytest.mark.vllm  # all of it\n\ndef test_it() -> None: ..."),
        (NOT_VLLM, OF_VLLM),
        ("gcloud and not vllm", f"{OF_VLLM}\n@needs_gcloud\ndef test_it() -> None: ..."),
        ("not gcloud", "import gcloud\n\npytestmark = NEEDS_GCLOUD\n"),
        ("edge", "def test_of_an_edge_without_its_mark() -> None: ..."),
    ],
)
def test_a_module_is_left_unread_where_no_test_of_it_is_asked_for(marks: str, text: str) -> None:
    assert nothing_asked(marks, text)


@pytest.mark.parametrize(
    ("marks", "text"),
    [
        (NOT_VLLM, "def test_it() -> None: ..."),
        (NOT_VLLM, "@pytest.mark.vllm\ndef test_it() -> None: ...\n\ndef test_other() -> None: ..."),
        (NOT_VLLM, "pytestmark = pytest.mark.usefixtures('vllm')\n"),
        (NOT_VLLM, "pytestmark = pytest.mark.edge  # not pytest.mark.vllm\n"),
        (NOT_VLLM, "pytestmark = pytest.mark.vllm if HERE else []\n"),
        (NOT_VLLM, "pytestmark = pytest.mark.vllm\npytestmark = []\n"),
        (NOT_VLLM, "class TestIt:\n    pytestmark = pytest.mark.vllm\n"),
        (
            NOT_VLLM,
            "pytestmark = [\n    pytest.mark.edge,\n]\n\n@pytest.mark.vllm\ndef test_it() -> None: ...",
        ),
        ("vllm and not gcloud", OF_VLLM),
        ("vllm or not vllm", OF_VLLM),
        ("", OF_VLLM),
    ],
)
def test_a_module_is_read_where_its_text_alone_does_not_tell(marks: str, text: str) -> None:
    assert not nothing_asked(marks, text)


@pytest.mark.parametrize("ends", ["raise ValueError", "pytest.skip(allow_module_level=True)", "x = ("])
def test_a_module_that_cannot_be_imported_is_left_to_whoever_collects_it(tmp_path: Path, ends: str) -> None:
    broken = tmp_path / "test_broken_at_import.py"
    broken.write_text(f"import pytest\n{ends}\n", encoding="utf-8")
    before = list(sys.path)
    import_early(broken)
    assert "test_broken_at_import" not in sys.modules
    assert sys.path == before
