"""Real commands that are killed, or told to stop by Ctrl-C, at one of their calls that change something."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cloud import things
from forked import is_read
from gcloud import Served
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import Cloud, Project
from gcp_rehearsal.discovery import find
from gcp_rehearsal.runtime.build.steps import Worked
from gcp_rehearsal.runtime.processes import Engines
from homeport.cli.rehearse_programs import programs
from rehearsed import running_engines
from through_iap import ThroughIap

How = Literal["killed", "ctrl-c", "ctrl-c twice"]
ENDS: dict[How, set[int]] = {
    "killed": {-signal.SIGKILL},
    # What was begun last may be all that was left, and how long that takes is chance.
    "ctrl-c": {0, 26, 130},
    "ctrl-c twice": {0, 26, 130},
}
"""How a command ends that was stopped so."""
_NO_CHANGE = ("iamcredentials.", "modelarmor.projects.locations.templates.sanitize")
"""What a command that begins again does again: tokens, and what is screened while it proves."""
_MOST = 60
_LEAST: dict[How, int] = {"killed": 2, "ctrl-c": 1, "ctrl-c twice": 1}
"""How often a command must have been stopped. One that is told to stop by Ctrl-C may come to its end the first time."""


@dataclass(kw_only=True)
class Interrupting(Cloud):
    """Stops the command that is its victim at a call that changes something: before that is done, or when it is."""

    victim: subprocess.Popen[str] | None = None
    how: How = "killed"
    nth: int = 0
    after: bool = False
    struck: list[str] = field(default_factory=list)
    """The calls at which one was stopped."""

    async def handle(self, request: Request) -> Reply:
        """The answer, with what happens to the victim meanwhile."""
        found = find(request.host, request.verb, request.path)
        method = found.method.id if found is not None else "iamcredentials."
        waits = method.endswith("perations.wait")  # How many there are is chance.
        if self.victim is None or waits or is_read(request.verb, method) or method.startswith(_NO_CHANGE):
            return await super().handle(request)
        self.nth -= 1
        if self.nth:
            if self.nth == -1 and self.how == "ctrl-c twice":
                self.victim.send_signal(signal.SIGINT)
            return await super().handle(request)
        self.struck.append(f"{'after' if self.after else 'before'} {method}")
        if self.how != "killed":
            self.victim.send_signal(signal.SIGINT)
            return await super().handle(request)
        if self.after:
            await super().handle(request)
        self.victim.kill()
        self.victim.wait()
        return Reply(status=500)

    def there(self) -> set[str]:
        """What there is, by API and name, without the network that Google makes with an API."""
        found = {f"{kept.api}/{kept.name}" for kept in things(self)}
        return {name for name in found if "/default" not in name}


class StoppedCommands(ThroughIap):
    """Types commands that are stopped, and types them again."""

    account = ""
    cloud: Interrupting

    def stopped(self, how: How, *arguments: str, nth: int, after: bool = False) -> bool:
        """Whether a command was stopped at its `nth` call that changes something; else it came to its end, and well."""
        self.cloud.how, self.cloud.nth, self.cloud.after = how, nth, after
        known = len(self.cloud.struck)
        self.cloud.victim = process = self.user.begin(*arguments, "--on", "cloudrun", **self.environment())
        try:
            out, err = process.communicate(timeout=self.patience_s)
        finally:
            self.cloud.victim = None
            process.kill()
        assert "Traceback" not in out + err, err
        stopped = len(self.cloud.struck) > known
        assert process.returncode in (ENDS[how] if stopped else {0}), f"{process.returncode}: {out}\n{err}"
        return stopped and process.returncode != 0

    def insists(self, how: How, *arguments: str, every: int) -> None:
        """
        Type a command until it comes to its end, stopped each time at a call that changes something, the `every`-th at first.

        It must have been stopped, and where it was killed, both before and after what it called for.
        """
        times, known = 0, len(self.cloud.struck)
        while self.stopped(how, *arguments, nth=every + times // 8, after=bool(times % 2)):
            times += 1
            assert times < _MOST, self.cloud.struck
        struck = self.cloud.struck[known:]
        assert len(struck) >= _LEAST[how], f"{arguments[0]} was stopped too seldom to tell anything: {struck}"


@contextmanager
def interrupting(folder: Path) -> Iterator[tuple[Interrupting, Served]]:
    """A cloud that interrupts, on a socket of this process, and what its users know of it; when it ends, nothing that it started is left."""
    engines = Engines(programs())
    cloud = Interrupting(
        projects=(Project(id="rehearsal", default_network=True),), containers=engines, clock=Clock(speed=600)
    )
    with ExitStack() as stack:
        stack.enter_context(running_engines(cloud, engines))
        steps = Worked(url=engines.url, env={"HOMEPORT_GOOGLE_URL": engines.url}, programs=programs())
        stack.callback(steps.close)
        cloud.steps = steps
        yield cloud, Served(engines.url, folder, cloud.secret, engines.inside)
