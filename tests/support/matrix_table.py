"""The matrix of test_chaos.py as a table: what converged of what was run, and what was not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Told(NamedTuple):
    """What a test tells of one cell."""

    task: str
    whole: bool
    """Whether every call was to go wrong in every kind, and not a sample."""
    kind: str
    method: str
    well: bool
    by_law: bool
    """Whether it was not run: it is a read's, and the same as another or as if nothing had gone wrong."""


def lines(cells: Sequence[Told], kinds: Sequence[str]) -> Iterator[str]:
    """Yield the table of one task: for each method and kind what converged of what was run; in brackets how many were not."""
    ran = Counter((cell.method, cell.kind) for cell in cells if not cell.by_law)
    well = Counter((cell.method, cell.kind) for cell in cells if cell.well and not cell.by_law)
    apart = Counter((cell.method, cell.kind) for cell in cells if cell.by_law)
    yield (
        "every call in every kind"
        if all(cell.whole for cell in cells)
        else ("a sample: every call in one kind (make chaos: every call in every kind)")
    )
    yield f"{'':<48}" + "".join(f"{kind:>14}" for kind in kinds)
    for method in sorted({cell.method for cell in cells}):
        name = method.replace("projects.", "").replace("locations.", "")
        yield f"{name:<48}" + "".join(
            f"{_cell(well[method, kind], ran[method, kind], apart[method, kind]):>14}" for kind in kinds
        )
    more = f"; {apart.total()} more, in brackets, are a read's, and were not run (decision 0017)"
    yield f"{well.total()} of {ran.total()} that were run{more if apart else ''}"


def _cell(well: int, ran: int, apart: int) -> str:
    return " ".join([*([f"{well}/{ran}"] if ran else []), *([f"({apart})"] if apart else [])])
