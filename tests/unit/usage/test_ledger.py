"""The ledger of usage: what counters said, across restarts, for as long as the file says, for its user alone."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import StateError
from homeport.supervisor.usage import LogCount, end_of
from homeport.usage.ledger import Counted, Ledger, path_in
from homeport.usage.report import as_csv, grouped

HOUR = 3600.0
NOON = 1_795_867_200.0
"""2026-11-28T12:00 UTC."""


def counted(at: float, output: float | None, process: str = "1", **more: Any) -> Counted:
    fields: dict[str, Any] = {
        "endpoint": "home",
        "model": "m",
        "engine": "e",
        "file": "/f",
        "since": NOON,
        "prompt_tokens": output,
    }
    return Counted(at=at, process=process, output_tokens=output, **(fields | more))


def test_what_came_since_the_last_time_goes_to_its_hour(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for at, output in ((60, 10), (120, 15), (HOUR + 60, 40)):
        ledger.add(counted(NOON + at, output), keep_days=9)
    first, second = ledger.rows()
    assert (first.hour, first.output_tokens, first.starts, first.seconds) == ("2026-11-28T12", 15, 1, 120)
    assert (second.hour, second.output_tokens, second.starts, second.seconds) == (
        "2026-11-28T13",
        25,
        0,
        HOUR - 60,
    )
    assert first.requests is None, "what is not counted is not known"


def test_an_engine_that_starts_again_counts_from_0_and_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(counted(NOON + 1, 100), keep_days=9)
    ledger.add(counted(NOON + 2, 7, process="2", since=NOON + 1.5), keep_days=9)
    ledger.add(counted(NOON + 3, 9, process="2", since=NOON + 1.5), keep_days=9)
    (row,) = ledger.rows()
    assert (row.output_tokens, row.starts) == (109, 2)
    total = ledger.since_start("home", NOON)
    assert total is not None
    assert (total.output_tokens, total.requests, total.seconds) == (109, None, 2.5)
    again = ledger.since_start("home", NOON + 4)
    assert again is None, "nothing has been counted since"


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 1000), max_size=6), max_size=4))
def test_however_often_it_starts_and_is_asked_the_sum_is_what_was_done(lives: list[list[int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ledger, at, done = Ledger(Path(folder)), NOON, 0
        for number, life in enumerate(lives):
            so_far = 0
            for more in life:
                at, so_far = at + 1, so_far + more
                ledger.add(counted(at, so_far, process=str(number)), keep_days=9)
            done += so_far
        assert sum(row.output_tokens or 0 for row in ledger.rows()) == done


def test_it_is_kept_for_as_long_as_the_file_says(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(counted(NOON, 5), keep_days=2)
    ledger.add(counted(NOON, 5, endpoint="other"), keep_days=90)
    ledger.add(counted(NOON + 3 * 24 * HOUR, 6), keep_days=2)
    assert [(row.endpoint, row.hour[:10]) for row in ledger.rows()] == [
        ("other", "2026-11-28"),
        ("home", "2026-12-01"),
    ]
    nothing = Ledger(tmp_path / "none")
    nothing.add(counted(NOON, 5), keep_days=0)
    assert not nothing.path.exists()


def test_it_is_its_users_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(counted(NOON, 5), keep_days=9)
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700


def test_a_ledger_that_is_none_or_newer_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    path = path_in(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"this is no ledger at all" * 100)
    with pytest.raises(StateError, match="cannot be read") as refused:
        Ledger(tmp_path).rows()
    assert "move that file away" in refused.value.hint
    path.unlink()
    Ledger(tmp_path).add(counted(NOON, 1), keep_days=9)
    import sqlite3

    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(StateError, match="version 9"):
        Ledger(tmp_path).rows()


def test_a_sum_that_lacks_something_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(counted(NOON, 5, requests=3), keep_days=9)
    ledger.add(counted(NOON + HOUR, 5, engine="silent", process="2"), keep_days=9)
    (day,) = grouped(ledger.rows(), "day")
    assert day.cells() == ("≥ 3", "10", "10", "2", "1.00", "not known")
    assert as_csv([day], "day").splitlines() == [
        "day,endpoint,on,requests,prompt_tokens,output_tokens,starts,hours,usd,partly,region",
        "2026-11-28,home,local,3,10,10,2,1,,requests,",
    ]
    assert [row.key for row in grouped(ledger.rows(), "caller")] == ["not known"]


def test_a_models_name_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(counted(NOON, 5, model='=HYPERLINK("http://x")'), keep_days=9)
    assert as_csv(grouped(ledger.rows(), "model"), "model").splitlines()[1].startswith("\"'=HYPERLINK")


def test_lines_of_a_log_are_counted_once_each_also_where_one_comes_in_pieces(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("asked\n")
    found = LogCount(log, r"^asked$", end_of(log))
    assert found.count() == 0, "what was there before is another process's"
    with log.open("a") as file:
        file.write("asked\nelse\nask")
        file.flush()
        assert found.count() == 1
        file.write("ed\n")
    assert (found.count(), found.count()) == (2, 2)
    assert LogCount(log, None, 0).count() is None
