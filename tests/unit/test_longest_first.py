"""What lasts longest begins first, on each worker."""

from __future__ import annotations

from longest_first import longest_first

LASTS = {"a": 0.0, "b": 30.0, "c": 0.0, "d": 90.0, "e": 0.0, "f": 40.0, "g": 0.0, "h": 20.0}


def test_each_worker_begins_with_the_longest_that_are_left() -> None:
    assert longest_first(list(LASTS), LASTS.__getitem__, 1) == ["d", "f", "b", "h", "a", "c", "e", "g"]
    ordered = longest_first(list(LASTS), LASTS.__getitem__, 2)
    assert ordered[:4] == ["d", "a", "c", "e"], "worksteal gives the first half to the first worker"
    assert ordered[4:] == ["f", "b", "h", "g"]


def test_no_test_is_lost_and_short_ones_keep_their_order() -> None:
    for workers in range(1, 12):
        ordered = longest_first(list(LASTS), LASTS.__getitem__, workers)
        assert sorted(ordered) == sorted(LASTS)
        assert [one for one in ordered if not LASTS[one]] == ["a", "c", "e", "g"]
