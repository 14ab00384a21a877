"""Whatever goes wrong at whichever call: two more runs at most, and all is as it should be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos import KINDS, KINDS_OF_DOWN, RUNS, Work, calls, cell

Record = Callable[[str, object], None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_deployment_converges_whichever_call_goes_wrong(kind: str, record_property: Record) -> None:
    _try_all("up", kind, record_property)


@pytest.mark.parametrize("kind", KINDS_OF_DOWN)
def test_nothing_of_ours_and_all_of_theirs_is_left_whichever_call_of_down_goes_wrong(
    kind: str, record_property: Record
) -> None:
    _try_all("down", kind, record_property)


def _try_all(work: Work, kind: str, record: Record) -> None:
    count = calls(work)
    cells = [cell(work, kind, nth) for nth in range(1, count + 1)]
    for found in cells:
        record("chaos", (work, kind, found.method, not found.wrong))
    assert count > 60
    assert not [found for found in cells if found.wrong or not 1 <= found.runs <= RUNS]
