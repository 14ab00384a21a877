"""Whatever goes wrong at whichever call: two more runs at most, and all is as it should be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos import KINDS, RUNS, calls, cell


@pytest.mark.parametrize("kind", KINDS)
def test_a_deployment_converges_whichever_call_goes_wrong(
    kind: str, record_property: Callable[[str, object], None]
) -> None:
    methods = calls()
    cells = [cell(kind, nth) for nth in range(1, len(methods) + 1)]
    for found in cells:
        record_property("chaos", (kind, found.method, 0 if found.wrong else found.runs))
    assert len(cells) > 100
    assert not [found for found in cells if found.wrong or not 1 <= found.runs <= RUNS]
