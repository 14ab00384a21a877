"""A project of `homeport agent init`, as its owner tests it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from homeport.agents.project import write_project


def test_the_projects_own_tests_pass_without_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_project(folder, framework="pydantic-ai")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        cwd=folder, capture_output=True, text=True, timeout=180, check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
