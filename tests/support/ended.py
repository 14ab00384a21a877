"""Tells `.ci/run` how a run of tests ended: its exit status, and how many tests passed."""

from __future__ import annotations

import pytest


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write both into pytest's cache, each a number in a file of its own; in a worker of xdist nothing ends."""
    cache = getattr(session.config, "cache", None)  # None by `-p no:cacheprovider`.
    if cache is None or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = len(reporter.stats.get("passed", [])) if reporter is not None else 0
    cache.set("homeport/exit", int(exitstatus))
    cache.set("homeport/passed", passed)
