"""The script that makes environments of clients leaves nothing behind that goes on by itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from patience import until
from places import ROOT

SCRIPT = ROOT / "scripts" / "clients_env.sh"
NPM = '#!/bin/sh\necho $$ > "$NOTED.new"; mv "$NOTED.new" "$NOTED"\nexec sleep 3600\n'
"""An npm that waits for its index for ever."""
FAILS = '#!/bin/sh\nuntil [ -e "$NOTED" ]; do sleep 0.1; done\nexit 1\n'
"""A Python that fails once npm has begun."""
WAITS = "#!/bin/sh\nexec sleep 3600\n"


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def children(pid: int, name: str) -> list[psutil.Process]:
    return [one for one in psutil.Process(pid).children() if one.name() == name]


@pytest.mark.skipif(shutil.which("ps") is None, reason="the script finds what it began by ps")
@pytest.mark.parametrize("ended_by", ["a client that fails", "SIGTERM"])
def test_npm_ends_with_the_script_that_began_it(ended_by: str, tmp_path: Path) -> None:
    program(tmp_path / "scripts" / "locked_env.sh", "#!/bin/sh\n")
    shutil.copy(ROOT / "scripts" / "again.sh", tmp_path / "scripts")
    program(tmp_path / "bin" / "npm", NPM)
    program(tmp_path / "bin" / "python", FAILS if ended_by == "a client that fails" else WAITS)
    of_npm = tmp_path / "locks" / "clients" / "of-npm"
    of_npm.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (of_npm / name).write_text("{}")
    (of_npm.parent / "of-python.txt").write_text("")
    noted = tmp_path / "pid"
    env = {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHON": str(tmp_path / "bin" / "python"),
        "NOTED": str(noted),
    }  # fmt: skip
    command = ["sh", str(SCRIPT), "into", "of-npm", "of-python"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, start_new_session=True) as script:
        try:
            until(noted.exists)
            npm = psutil.Process(int(noted.read_text()))
            if ended_by == "SIGTERM":
                (python,) = until(lambda: children(script.pid, "sleep"))
                script.send_signal(signal.SIGTERM)
                python.kill()  # sh acts on a signal when the command that it waits for has ended
            assert script.wait(180) != 0
            until(lambda: not npm.is_running() or npm.status() == psutil.STATUS_ZOMBIE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(script.pid, signal.SIGKILL)
