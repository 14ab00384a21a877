"""
Whatever goes wrong at whichever call of either way: two more runs at most, and all is as it should be.

Each call goes wrong once, each in the next kind (of the larger graph, every third call); with CHAOS=all each call in every kind (`make chaos`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from chaos import RUNS, Work, cells, task
from forked import Cell
from matrix_table import Told
from ways import Way

Record = Callable[[str, object], None]
ALL = os.environ.get("CHAOS") == "all"
PARTS = 4 if ALL else 2
"""Of each run, so that two cores have about as much to do."""
TASKS = [
    (way, work, part)
    for part, work, way in product(range(PARTS), ("up", "change", "down"), ("ollama", "vllm"))
]


LARGE_PARTS = [(part, PARTS) for part in range(PARTS)] if ALL else [(1, 3)]
"""Of the larger graph a sample takes every third call only, and so each kind."""


GRAPHS: dict[str, tuple[Way, tuple[str, ...], tuple[str, ...]]] = {
    # Beside a service that may have all that the quota holds, a change has no job make another cache.
    "large": ("vllm", (".jobs.", "billingbudgets.", "monitoring."), ()),
    "keyed": ("ollama", ("apigateway.", "apikeys."), ("apigateway.",)),
}
"""Graphs beside the usual one: the way, what goes wrong among others, and what does in a change."""


def told(cell: Cell, task: str) -> tuple[object, ...]:
    """What the table at the end is made of: a tuple and no more, since workers hand it on."""
    return tuple(Told(task, ALL, cell.kind, cell.method, not cell.wrong, cell.by_law))


@pytest.mark.drill
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("part", LARGE_PARTS, ids=str)
@pytest.mark.parametrize("work", ["up", "change", "down"])
def test_with_a_startup_cache_an_agents_secret_and_a_budget_or_with_keys_of_clients_it_is_the_same(
    work: Work,
    part: tuple[int, int],
    graph: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    way, always, in_a_change = GRAPHS[graph]
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    came = cells(task(way, work, tmp_path, **{graph: True}), part=part[0], of=part[1], sample=not ALL)
    for cell in came:
        record_property("chaos", told(cell, f"{work} {way}, {graph}"))
    methods = " ".join(cell.method for cell in came)
    assert all(one in methods for one in (in_a_change if work == "change" else always)), methods
    assert not [cell for cell in came if cell.wrong or not 1 <= cell.runs <= RUNS]


@pytest.mark.drill
@pytest.mark.parametrize(("way", "work", "part"), TASKS)
def test_whichever_call_goes_wrong_all_ends_as_if_nothing_had(
    way: Way, work: Work, part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    came = cells(task(way, work, tmp_path), part=part, of=PARTS, sample=not ALL)
    for cell in came:
        record_property("chaos", told(cell, f"{work} {way}"))
    assert len(came) > 10
    assert not [cell for cell in came if cell.wrong or not 1 <= cell.runs <= RUNS]
