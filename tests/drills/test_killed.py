"""`kill -9` of a real process, between a request of its and the answer, or just after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud import things
from gcp_rehearsal import server
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import OWNER, Cloud, Delays
from gcp_rehearsal.runtime.launch_adaptation import HOST
from homeport.cli.rehearse_environment import variables
from places import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "foundations.py"
DELAYS = Delays(grants=1, accounts=1, apis=1, operations=0.05)
NAMES = {"b/rehearsal-example", "projects/rehearsal/secrets/example-token",
         "projects/rehearsal/locations/us-central1/repositories/example",
         "projects/rehearsal/serviceAccounts/example-run@rehearsal.iam.gserviceaccount.com"}  # fmt: skip


class Killer(Cloud):
    """Kills the process that sends the n-th request, when it has come or when all was done that it asks for."""

    victim: subprocess.Popen[str] | None = None
    nth, after = 0, False

    async def handle(self, request: Request) -> Reply:
        self.nth -= 1
        if self.nth or self.victim is None:
            return await super().handle(request)
        if self.after:
            await super().handle(request)
        os.kill(self.victim.pid, signal.SIGKILL)
        self.victim.wait()
        return Reply(status=500)


@contextmanager
def serving(cloud: Cloud) -> Iterator[dict[str, str]]:
    """The cloud on a socket of this process; the environment in which it is found."""
    with server.listen(0) as listening:
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        threading.Thread(target=server.serve, args=(cloud, listening), daemon=True).start()
        yield {
            **os.environ,
            **variables(url, "rehearsal", secret=cloud.secret, caller=OWNER, folder=cloud.folder),
            "HOMEPORT_VALIDATE": "1",
        }


def begin(command: str, environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE), command], env=environment, cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def run(command: str, environment: dict[str, str], folder: Path) -> str:
    with begin(command, environment, folder) as process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


@pytest.mark.long
@pytest.mark.parametrize("nth", [1, 8, 11, 14, 19])
def test_the_next_up_goes_on_and_down_leaves_nothing(nth: int, tmp_path: Path) -> None:
    cloud = Killer(delays=DELAYS, clock=Clock(speed=20))
    with serving(cloud) as environment:
        cloud.after = nth % 2 == 0
        cloud.nth = nth
        with begin("up", environment, tmp_path) as cloud.victim:
            assert cloud.victim.wait(300) == -signal.SIGKILL, cloud.victim.communicate()[0]
        run("up", environment, tmp_path)
        assert "nothing to do" in run("plan", environment, tmp_path)
        assert {thing.name for thing in things(cloud)} == NAMES
        assert "left: nothing" in run("down", environment, tmp_path)
        assert list(things(cloud)) == []
