"""The job in the cloud judges names itself: the script alone, in a Python that has no homeport."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from homeport.errors import WeightsError
from homeport.weights import transfer
from hostile_names import HOSTILE
from hub import Hub

GGUF = b"GGUF of a stranger"


def test_the_job_in_the_cloud_judges_names_itself(tmp_path: Path) -> None:
    hostile = [*(name for name in HOSTILE if name), transfer.MANIFEST]
    goals = {
        (key, name): tmp_path / f"{key}-{at}" for at, name in enumerate(hostile) for key in ("path", "as")
    }
    files = {
        "path": lambda name: {"path": name, "size": 1, "sha256": None},
        "as": lambda name: {"path": "model.gguf", "as": name, "size": 1, "sha256": None},
    }
    ended = carry_each(tmp_path, [job_of(files[key](name), goal) for (key, name), goal in goals.items()])
    for (case, goal), (code, told) in zip(goals.items(), ended, strict=True):
        assert code == WeightsError.exit_code, (case, told)
        assert case[0] == "as" or told.startswith("homeport: hf:org/model@1 names a file '"), (case, told)
        assert not goal.exists(), case


def test_the_job_in_the_cloud_follows_no_link_out_of_its_folder(tmp_path: Path, hub: Hub) -> None:
    commit = hub.push("org/model", {"a/model.gguf": GGUF})
    outside, goal = tmp_path / "outside", tmp_path / "workspace"
    outside.mkdir()
    goal.mkdir()
    (goal / "a").symlink_to(outside)
    file = {"path": "a/model.gguf", "size": len(GGUF), "sha256": None}
    ran = carry(tmp_path, file, goal, origin=f"hf:org/model@{commit}", HF_ENDPOINT=hub.address)
    assert ran.returncode == WeightsError.exit_code, ran.stdout
    assert "through a link on the way" in ran.stdout
    assert list(outside.iterdir()) == []


EACH = """
import contextlib, io, json, os, runpy, sys
for job in json.load(sys.stdin):
    os.environ["HOMEPORT_JOB"], told, code = job, io.StringIO(), 0
    with contextlib.redirect_stdout(told):
        try:
            runpy.run_path(sys.argv[1], run_name="__main__")
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, told.getvalue()]))
"""
"""Runs a script once per job of standard input in one interpreter, since starting one takes longer than a refusal."""


def job_of(file: dict[str, Any], goal: Path, origin: str = "hf:org/model@1") -> dict[str, Any]:
    return {"from": origin, "to": str(goal), "source": "", "revision": "", "files": [file]}


def carry(
    folder: Path, file: dict[str, Any], goal: Path, *, origin: str = "hf:org/model@1", **env: str
) -> subprocess.CompletedProcess[str]:
    """The carrier's script with one file, as a step of a build runs it."""
    return ran([step(folder)], {"HOMEPORT_JOB": json.dumps(job_of(file, goal, origin)), **env})


def carry_each(folder: Path, jobs: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """How the carrier's script ends with each of these jobs, and what it says."""
    came = ran(["-c", EACH, step(folder)], {}, json.dumps([json.dumps(job) for job in jobs]))
    return [(code, told) for code, told in map(json.loads, came.stdout.splitlines())]


def step(folder: Path) -> str:
    (folder / "step.py").write_text(transfer.script())
    return str(folder / "step.py")


def ran(words: list[str], env: dict[str, str], given: str = "") -> subprocess.CompletedProcess[str]:
    told = {"HOMEPORT_PAUSE_S": "0.01", "HF_ENDPOINT": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, "-I", *words], input=given, env={**told, **env}, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
