"""Lets each of pytest's workers compile a share of the tests' modules first, and take from the others what they compiled."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from asked_lane import lane_of, nothing_asked


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """
    Import a worker's own share of what it is about to collect, before it collects all of it.

    All begin at once, and would rewrite the asserts of the same modules at the same time, in the same order: most of what a
    first run takes until its first test.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    marks = session.config.option.markexpr
    if workers < 2 or lane_of(marks):  # Of a lane, few modules are read: see conftest.py.
        return
    place = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    asked = [
        path
        for path in modules(session.config.args)
        if not nothing_asked(marks, path.read_text(encoding="utf-8"))
    ]
    for path in share(asked, place, workers):
        import_early(path)


def modules(named: Iterable[str]) -> list[Path]:
    """Return the modules of tests that are named, or lie in a folder that is."""
    found: set[Path] = set()
    for path in (Path(one.partition("::")[0]).absolute() for one in named):
        found.update(path.rglob("test_*.py") if path.is_dir() else [path])
    return sorted(found)


def share(paths: Sequence[Path], place: int, workers: int) -> list[Path]:
    """Return one worker's part; all parts together are all of them, and none is in two."""
    return list(paths[place::workers])


def import_early(path: Path) -> None:
    """Import a module as pytest does. What it raises it raises again, and is told, when it is collected."""
    sys.path.insert(0, str(path.parent))
    try:
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(path.stem)
    finally:
        sys.path.remove(str(path.parent))
