"""Every test has its own home and its own ports, and cannot reach anything but this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_GUARD = Path(__file__).parent / "guard"
sys.path.insert(0, str(_GUARD))
import sitecustomize  # noqa: E402, F401 - guards this process; others load it by PYTHONPATH

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / ".cache" / "home"
"""The weights that `make test` fetched before the tests began."""


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("HOMEPORT_", "HF_", "OPENAI_", "HUGGING", "PIP_", "GOOGLE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HOMEPORT_HOME", str(home / "homeport"))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("PYTHONPATH", str(_GUARD))
