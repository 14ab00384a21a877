"""Ports that are drawn by several processes at once, for servers that listen some time afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from homeport.free_ports import free_port

DRAWN = {
    "the rehearsal": """
from gcp_rehearsal.runtime import process_ends as drawing

draw = drawing.free_port
""",
    "homeport": """
from homeport import free_ports as drawing

def draw():
    return drawing.free_port("127.0.0.1")
""",
}
TWENTY = """
drawing._QUIET_PORTS = range({begin}, {begin} + 40)
print(*[draw() for _ in range(20)], flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ports are reserved on Linux alone")
@pytest.mark.parametrize(
    "who", [("homeport", "homeport"), ("homeport", "the rehearsal"), ("the rehearsal", "the rehearsal")]
)
def test_two_processes_draw_no_port_twice_though_nobody_listens_yet(who: tuple[str, str]) -> None:
    begin = min(free_port("127.0.0.1"), 29_900)
    drawing = [
        subprocess.Popen(
            [sys.executable, "-c", DRAWN[one] + TWENTY.format(begin=begin)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for one in who
    ]
    try:
        drawn = [each.stdout.readline().split() for each in drawing if each.stdout is not None]
    finally:
        for each in drawing:
            each.communicate("\n", timeout=60)
    assert [len(set(ports)) for ports in drawn] == [20, 20]
    assert not set(drawn[0]) & set(drawn[1])
