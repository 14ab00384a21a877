"""A file of the user's that tools are taken from: what it does as it is run is told, and ends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.agents.own import function_tool
from homeport.errors import SpecError


@pytest.mark.parametrize(
    ("does", "told"),
    [("sys.exit()", "SystemExit: "), ("sys.exit(0)", "SystemExit: 0"), ("1 / 0", "ZeroDivisionError: division by zero")],
)  # fmt: skip
def test_a_file_that_ends_or_raises_as_it_is_run_is_told_and_ends_nothing_else(
    does: str, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "tools.py"
    file.write_text(f"import sys\ndef mine() -> str:\n    return 'x'\n{does}\n")
    with pytest.raises(SpecError, match=f"tools.py cannot be run: {told}"):
        function_tool(f"{file}:mine")
