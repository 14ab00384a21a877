"""Which lanes of tests are asked for, and what of a module's own text tells that none of its tests is of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

LANES = (
    "agents",
    "bench",
    "clients",
    "console",
    "drill",
    "edge",
    "gcloud",
    "install",
    "judges",
    "long",
    "observe",
    "terraform",
    "vllm",
)
"""The marks of tests that a command of their own runs, and `make test` does not."""


def lane_of(marks: str) -> str:
    """Return the one mark that tests need to be asked for by `-m` (`edge`); '' where they need none, or it is less simple."""
    only = re.fullmatch(r"(\w+)( and not \w+)*", marks)
    return only[1] if only else ""


def left_out(marks: str) -> list[str]:
    """Return the marks that no test may have to be asked for; none where it is less simple than a row of `and`."""
    return re.findall(r"not (\w+)", marks) if re.fullmatch(r"(not )?\w+( and (not )?\w+)*", marks) else []


def without(lanes: Iterable[str]) -> str:
    """Return what asks for the tests that are of none of these lanes."""
    return " and ".join(f"not {lane}" for lane in lanes)


def named_files(arguments: Iterable[str]) -> frozenset[Path]:
    """Return the files that arguments of pytest name, by themselves or with a test: `test_it.py::test_this[a]`."""
    paths = (Path(one.partition("::")[0]).resolve() for one in arguments)
    return frozenset(path for path in paths if not path.is_dir())


def names(lane: str, text: str) -> bool:
    """Return whether a text has that mark of a lane (`-m edge`), or takes it from tests/support by its name."""
    return re.search(rf"\bmark\.{lane}\b|\bneeds_{lane}\b", text, re.IGNORECASE) is not None


def nothing_asked(marks: str, text: str) -> bool:
    """
    Return whether none of the tests of a module with this text is asked for: it has nothing of the lane, or its `pytestmark`
    is of one that is left out. What the text alone does not tell is asked for.
    """
    asked = lane_of(marks)
    if asked and not names(asked, text):
        return True
    of_all = re.findall(r"^pytestmark = (\[\n.*?^\]|[^\n]*)", text, re.MULTILINE | re.DOTALL)
    if len(of_all) != 1:
        return False
    bare = re.sub(r"#.*", "", of_all[0])
    return not re.search(r"\bif\b", bare) and any(names(lane, bare) for lane in left_out(marks))
