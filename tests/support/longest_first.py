"""Lets the tests that last longest begin first, on as many workers as there are, as far as `--dist worksteal` lets it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

_Item = TypeVar("_Item")


def longest_first(items: Sequence[_Item], seconds: Callable[[_Item], float], workers: int) -> list[_Item]:
    """
    Return the items in an order of which `--dist worksteal` gives each worker one stretch: the longest ones are dealt out,
    each to whoever has least so far, and begin its stretch; what is short follows as it came, and is stolen from the end.

    Where the long ones are more than a worker's share, its stretch ends within them and the next one's begins with the rest;
    what is stolen is a number of tests, whatever they last.
    """
    hands: list[list[_Item]] = [[] for _ in range(workers)]
    for one in sorted(filter(seconds, items), key=seconds, reverse=True):
        min(hands, key=lambda hand: sum(map(seconds, hand))).append(one)
    short = [one for one in items if not seconds(one)]
    ordered: list[_Item] = []
    for place, hand in enumerate(hands):
        # As many as worksteal gives to this worker, which knows nothing of seconds.
        room = max(0, (len(items) - len(ordered)) // (workers - place) - len(hand))
        ordered += [*hand, *short[:room]]
        del short[:room]
    return ordered + short


@pytest.hookimpl(trylast=True)  # when those that nobody asked for are gone
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests by what their mark `lasts` says; those without it are short."""
    if any(map(_seconds, items)):
        items[:] = longest_first(items, _seconds, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("lasts")
    return float(mark.args[0]) if mark else 0.0
