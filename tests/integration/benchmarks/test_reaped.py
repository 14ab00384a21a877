"""A script has the time of all that it started, also of what detached itself and has ended, and ends as it would alone."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from at_terminal import CTRL_C, program_at_terminal
from common import ROOT
from others import MARK
from patience import until
from promises import PARTS

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux hands what is detached to a process above"
)
BURNS = """
import time
while time.process_time() < {seconds}:
    pass
"""
BEGINS = f"""
import os, subprocess, sys, time
sys.path[:0] = [{str(ROOT / "benchmarks")!r}, {str(ROOT / "tests" / "support")!r}]
import others
from reaped import reaped
reaped()
"""
DETACHES = f"""
import json, psutil
from patience import until
before = others.look()
print("looked", flush=True)
starts = "import os, subprocess, sys; print(subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True, stdout=2).pid)"
pid = int(subprocess.run([sys.executable, "-c", starts, {BURNS.format(seconds=0.5)!r}], check=True, capture_output=True).stdout)
until(lambda: not psutil.pid_exists(pid))
sys.stdin.read()
after = others.look()
print(json.dumps({{"ours": after.ours - before.ours, "share": others.others_between(before, after) or 0, "total": after.total - before.total}}))
"""
WAITS = """
for number in (1, 2):
    try:
        print("begun", os.getpid(), flush=True)
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        print("asked", number, flush=True)
sys.exit(7)
"""


@contextmanager
def waiting(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as above:
        try:
            assert above.stdout is not None
            yield above, psutil.Process(int(above.stdout.readline().split()[1]))
        finally:
            above.kill()


def script(folder: Path, does: str) -> list[str]:
    path = folder / "script.py"
    path.write_text(BEGINS + does)
    return [sys.executable, str(path)]


def test_what_detached_itself_and_has_ended_is_not_laid_to_others_and_what_others_worked_is(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        script(tmp_path, DETACHES), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "looked\n"
        unmarked = {name: value for name, value in os.environ.items() if name != MARK}
        subprocess.run([sys.executable, "-c", BURNS.format(seconds=1)], check=True, env=unmarked)
        process.stdin.close()
        found = json.loads(process.stdout.readline())
    assert 0.5 <= found["ours"] < 1.5
    if not found["total"]:
        pytest.skip("the processors count nothing here")
    # Other tests that run beside are others, too.
    assert found["share"] * found["total"] > 0.9


def test_ctrl_c_at_a_terminal_comes_once(tmp_path: Path) -> None:
    with program_at_terminal(script(tmp_path, WAITS), tmp_path) as terminal:
        for _ in range(2):
            terminal.until("begun")
            terminal.type(CTRL_C)
        assert terminal.end() == 7
        assert terminal.seen.count("asked 1") == terminal.seen.count("asked 2") == 1


def test_what_is_sent_to_the_process_above_reaches_the_script(tmp_path: Path) -> None:
    with waiting(script(tmp_path, WAITS)) as (above, below):
        assert below.pid != above.pid
        above.send_signal(signal.SIGTERM)
        assert above.wait() == 128 + signal.SIGTERM


def test_a_script_that_is_killed_is_told_as_that_and_one_whose_process_above_is_killed_ends(
    tmp_path: Path,
) -> None:
    with waiting(script(tmp_path, WAITS)) as (above, below):
        below.kill()
        assert above.wait() == 128 + signal.SIGKILL
    with waiting(script(tmp_path, WAITS)) as (above, below):
        above.kill()
        until(lambda: not below.is_running() or below.status() == psutil.STATUS_ZOMBIE)


def test_each_part_of_the_table_is_such_a_script() -> None:
    for name, part in PARTS.items():
        begins = ast.parse((ROOT / "benchmarks" / part.command[0]).read_text()).body[-1]
        last = ast.unparse(begins).split()[-2:]
        assert last == ["reaped()", "main()"], name
