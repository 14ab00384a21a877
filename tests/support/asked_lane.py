"""Which lane of tests is asked for."""

from __future__ import annotations

import re


def lane_of(marks: str) -> str:
    """Return the one mark that tests need to be asked for by `-m` (`edge`); '' where they need none, or it is less simple."""
    only = re.fullmatch(r"(\w+)( and not \w+)*", marks)
    return only[1] if only else ""
