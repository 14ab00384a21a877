"""
Whatever goes wrong at whichever call of either way: two more runs at most, and all is as it should be.

Each call goes wrong once, each in the next kind (of larger graphs, every fifth call or every eleventh); with CHAOS=all each call in every kind (`make chaos`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from chaos import RUNS, cells, task
from forked import Cell
from matrix_table import Told
from ways import Way
from whole_graphs import GRAPHS, Work

Record = Callable[[str, object], None]
ALL = os.environ.get("CHAOS") == "all"
PARTS = 4 if ALL else 2
"""Of each run, so that two cores have about as much to do."""
TASKS = [
    (way, work, part)
    for part, work, way in product(range(PARTS), ("up", "change", "down", "rollback"), ("ollama", "vllm"))
]
LARGER = [
    pytest.param(name, work, part, of, id=f"{name}-{work}-{part} of {of}")
    for name, graph in GRAPHS.items()
    for work in graph.works
    for part, of in ([(part, PARTS) for part in range(PARTS)] if ALL else [(1 % graph.every, graph.every)])
]
"""Of larger graphs a sample takes some of the calls only, and so each kind."""


def told(cell: Cell, task: str) -> tuple[object, ...]:
    """What the table at the end is made of: a tuple and no more, since workers hand it on."""
    return tuple(Told(task, ALL, cell.kind, cell.method, not cell.wrong, cell.by_law))


@pytest.mark.drill
@pytest.mark.parametrize(("graph", "work", "part", "of"), LARGER)
def test_with_many_tables_in_several_regions_and_behind_every_kind_of_door_it_is_the_same(
    graph: str,
    work: Work,
    part: int,
    of: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    made = GRAPHS[graph]
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    came = cells(task(made.way, work, tmp_path, graph), part=part, of=of, sample=not ALL)
    for cell in came:
        record_property("chaos", told(cell, f"{work} {made.way}, {graph}"))
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
    assert len(came) > (10 if work != "rollback" else 2)
    assert not [cell for cell in came if cell.wrong or not 1 <= cell.runs <= RUNS]
