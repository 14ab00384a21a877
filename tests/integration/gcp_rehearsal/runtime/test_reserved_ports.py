"""Ports of containers, drawn by several rehearsals at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gcp_rehearsal.runtime import process_ends

DRAWN = """
from gcp_rehearsal.runtime import process_ends

process_ends._QUIET_PORTS = range({begin}, {begin} + 40)
print(*[process_ends.free_port() for _ in range(20)], flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ports are reserved on Linux alone")
def test_two_rehearsals_draw_no_port_twice_though_nobody_listens_yet() -> None:
    begin = min(process_ends.free_port(), 29_900)
    command = [sys.executable, "-c", DRAWN.format(begin=begin)]
    drawing = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        drawn = [each.stdout.readline().split() for each in drawing if each.stdout is not None]
    finally:
        for each in drawing:
            each.communicate("\n", timeout=60)
    assert [len(set(ports)) for ports in drawn] == [20, 20]
    assert not set(drawn[0]) & set(drawn[1])
