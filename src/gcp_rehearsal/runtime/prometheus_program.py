"""Where Prometheus is on this machine."""

from __future__ import annotations

import shutil


def prometheus_program() -> str:
    """Return Prometheus' program, on the PATH; '' where there is none."""
    return shutil.which("prometheus") or ""
