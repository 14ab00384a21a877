"""One container of an instance: a process group on this machine, its probes, its output, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from gcp_rehearsal.runtime.container_paths import Paths
from gcp_rehearsal.runtime.container_state import Failure, not_listening, not_mounted
from gcp_rehearsal.runtime.fuse import NotMounted
from gcp_rehearsal.runtime.launch_adaptation import ContainerLaunch
from gcp_rehearsal.runtime.mount_namespace import MountNamespace
from gcp_rehearsal.runtime.mounts import Volumes
from gcp_rehearsal.runtime.probe import ContainerProbe
from gcp_rehearsal.runtime.process_ends import end

_LOOKS_EVERY_S = 0.1
_LAST_LINES_WITHIN_S = 5.0
"""After a process has ended: what it wrote is there already, unless something else holds its output open."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlace:
    """Where a process runs."""

    home: Path
    """A folder of its own."""
    paths: Paths
    """Where the container's paths lie here."""
    workdir: Path
    """As the process sees it."""
    volumes: Volumes
    room: MountNamespace | None
    """Its own view of the files; None where it sees this machine's."""
    started: Callable[[int], None]
    """Is told of every process group that is started for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """A container to be run."""

    name: str
    """'' where it has none."""
    what: ContainerLaunch
    place: ProcessPlace
    port: int
    """The one that it listens on in the cloud, for what is told of a failure."""
    startup: ContainerProbe | None
    """None for one that counts as started once its process runs."""
    liveness: ContainerProbe | None
    needs: tuple[str, ...] = ()
    """Containers that have started before it is."""
    is_task: bool = False
    """Whether it is a task's, whose execution tells how it ended."""

    @property
    def title(self) -> str:
        """Return the name that Cloud Run's log gives it."""
        return f"{self.name or 'placeholder'}-1"


class ContainerProcess:
    """Is started once. `over` is its instance's: whatever waits here gives up when that is set."""

    def __init__(self, plan: ContainerPlan, over: threading.Event) -> None:
        self.plan, self._over = plan, over
        self.lines: deque[str] = deque([plan.what.note] if plan.what.note else [])
        """Output that nobody has taken to the logs yet."""
        self.started = threading.Event()
        """Whether its startup probe has succeeded, where it has one."""
        self.process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._reader: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Tell whether its process runs, or is yet to be started."""
        return self.process is None or self.process.poll() is None

    def start(self) -> Failure | None:
        """Mount its volumes and start its process; say why where there is none then."""
        with self._starting:
            failure = not_listening(self.plan.port) if self._over.is_set() else self._start()
        if failure is None:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        return failure

    def wait_until_started(self) -> Failure | None:
        """Probe until the container has started, the attempts are used up, or the process ends; say why where
        it has not started.
        """
        probe = self.plan.startup
        if probe is None:
            return None
        self._over.wait(probe.delay)
        for _ in range(round(probe.period * probe.attempts / probe.pace)):
            again = time.monotonic() + probe.pace
            if self._going and probe.succeeds():
                return None
            self._wait(again)
            if not self._going:
                break
        self.say_how_it_ended()
        return not_listening(self.plan.port)

    def wait_while_healthy(self) -> bool:
        """Return when its process ends or its instance is over; False where its liveness probe has failed before."""
        probe, failures = self.plan.liveness, 0
        if probe is not None:
            self._wait(time.monotonic() + probe.delay)
        while self._going:
            if probe is None:
                self._wait(time.monotonic() + _LOOKS_EVERY_S)
                continue
            again = time.monotonic() + probe.period
            failures = 0 if probe.succeeds() else failures + 1
            if failures == probe.attempts:
                return not self._going
            self._wait(again)
        return True

    def say_how_it_ended(self) -> None:
        """Add to its output, after its last lines, how its process ended; nothing where it runs."""
        if self.process is None or self.process.poll() is None:
            return
        if self._reader is not None:
            self._reader.join(_LAST_LINES_WITHIN_S)
        if not self.plan.is_task:
            self.lines.append(f"Container called exit({self.process.returncode}).")

    def kill(self) -> None:
        """End it without asking."""
        self._signal(signal.SIGKILL)

    def ask_to_end(self) -> list[psutil.Process]:
        """Ask it to end; return what it has started besides, which may outlive it."""
        with self._starting:
            process = self.process
        if process is None:
            return []
        try:
            others = psutil.Process(process.pid).children(recursive=True)
        except psutil.Error:
            others = []
        self._signal(signal.SIGTERM)
        return others

    def stop(self, others: list[psutil.Process], until: float) -> None:
        """Wait for its end, from `until` without asking, and for that of `others`; then unmount its volumes."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, until - time.monotonic()))
            self._signal(signal.SIGKILL)  # What is left of the group after its first process.
            self.process.wait()
            end(others, patience_s=1.0)
        self.plan.place.volumes.close()

    @property
    def _going(self) -> bool:
        return self.alive and not self._over.is_set()

    def _wait(self, until: float) -> None:
        while self._going and (left := until - time.monotonic()) > 0:
            self._over.wait(min(_LOOKS_EVERY_S, left))

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def _start(self) -> Failure | None:
        launch, place = self.plan.what, self.plan.place
        try:
            place.volumes.mount(place.started)
        except NotMounted as error:
            return not_mounted(error.volume, str(error))
        # As in the cloud, nothing that an instance before it left is there: PyTorch keeps what it compiles among such files.
        passing = place.home.with_name("tmp")
        for folder in (place.home, passing):
            folder.mkdir(parents=True, exist_ok=True)
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        command = place.room.entered(launch.command, str(place.workdir)) if place.room else launch.command
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=place.home if place.room else place.workdir,
                env={
                    **environment,
                    "HOME": str(place.home),
                    "TMPDIR": str(passing),
                    "PYTHONUNBUFFERED": "1",
                    **launch.env,
                },
                start_new_session=True,
            )
        except OSError as error:
            self.lines.append(f"failed to start {launch.command[0]}: {error.strerror}")
            return not_listening(self.plan.port)
        place.started(self.process.pid)
        return None

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
        self.process.stdout.close()
