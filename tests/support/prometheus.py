"""Debian's Prometheus and promtool: those on the PATH, or those that `make test-observe` has fetched."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from places import ROOT

_FETCHED = ROOT / ".cache" / "prometheus" / "usr" / "bin"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    found = shutil.which(name) or shutil.which(name, path=str(_FETCHED))
    assert found, "make test-observe fetches it"
    return found


def promtool(*words: str | Path, folder: Path) -> str:
    """What promtool says, which must be content."""
    done = subprocess.run(
        [program("promtool"), *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
