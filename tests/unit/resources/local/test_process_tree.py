"""Whose processes are looked at when those of an endpoint are sought."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from psutil._common import parse_environ_block

from homeport.resources.local import process_tree


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (b"A=1\0B=2\0", True),
        (b"title\0A=1\0", True),
        (b"", False),
        (b"title\0", False),
        (b"=x\0", False),
        (b"\0LEFT=1\0", False),
        (b"\0\0LEFT=1\0", False),
        (b"VLLM::EngineCore\0\0\0LEFT=1\0", False),
    ],
)
def test_what_a_title_was_written_over_tells_nothing_whatever_it_left(environment: bytes, told: bool) -> None:
    assert process_tree.tells(environment) is told
    # As psutil reads it, by whose reading processes are told apart.
    assert bool(parse_environ_block(environment.decode())) is told


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="its files are Linux's")
def test_a_process_whose_environment_tells_that_it_is_anothers_is_not_looked_at_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    environ = psutil.Process.environ

    def noted(process: psutil.Process) -> dict[str, str]:
        looked_at.append(process.pid)
        return environ(process)

    monkeypatch.setattr(psutil.Process, "environ", noted)
    assert process_tree.belonging(tmp_path) == []
    assert os.getpid() not in looked_at
