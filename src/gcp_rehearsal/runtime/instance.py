"""One running instance: a process group on this machine, its startup probe, its output, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from gcp_rehearsal.runtime.container_paths import Paths
from gcp_rehearsal.runtime.container_state import Failure, not_listening, not_mounted
from gcp_rehearsal.runtime.fuse import NotMounted
from gcp_rehearsal.runtime.launch_adaptation import HOST, ContainerLaunch
from gcp_rehearsal.runtime.mount_namespace import MountNamespace
from gcp_rehearsal.runtime.mounts import Volumes
from gcp_rehearsal.runtime.process_ends import end

_GRACE_S = 10.0
"""Cloud Run gives a container so long after SIGTERM."""
_GOOGLES_OWN = 240.0
"""The period, in seconds, of the probe that Google sets where nobody sets one."""
_INHERITED = ("PATH", "TMPDIR", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupProbe:
    """When an instance counts as started; times in seconds of this machine."""

    path: str = ""
    """For HTTP; '' where a connection is enough."""
    port: int = 0
    """0 for the one that requests go to."""
    delay: float = 0.0
    period: float = 240.0
    timeout: float = 240.0
    attempts: int = 1

    @classmethod
    def of(cls, container: Mapping[str, Any]) -> StartupProbe:  # Any: JSON
        """The startup probe of a container; Google's own where it has none."""
        said = container.get("startupProbe", {})
        http = said.get("httpGet")
        return cls(
            path=(http.get("path") or "/") if http is not None else "",
            port=int((http or said.get("tcpSocket") or {}).get("port") or 0),
            delay=float(said.get("initialDelaySeconds", 0)),
            period=float(said.get("periodSeconds", 240 if not said else 10)),
            timeout=float(said.get("timeoutSeconds", 240 if not said else 1)),
            attempts=int(said.get("failureThreshold", 1 if not said else 3)),
        )


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


class Instance:
    """Starts at once. `up` is settled when the probe has succeeded (None) or it has failed (`Failure`)."""

    def __init__(
        self, what: ContainerLaunch, *, port: int, wanted: int, probe: StartupProbe, place: ProcessPlace
    ) -> None:
        self.what, self.port, self.place, self._wanted, self._probe = what, port, place, wanted, probe
        self.up: Future[Failure | None] = Future()
        self.lines: deque[str] = deque()
        """Output that nobody has taken to the logs yet."""
        self.lines.extend([what.note] if what.note else [])
        self.active = 0
        """Requests that it is answering."""
        self.took = 0.0
        """Seconds until it was up."""
        self.process: subprocess.Popen[bytes] | None = None
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._reader: threading.Thread | None = None
        self._life = threading.Thread(target=self._live, daemon=True)
        self._life.start()

    @property
    def ready(self) -> bool:
        """Whether it can be sent requests."""
        return self.up.done() and self.up.result() is None and self.alive

    @property
    def alive(self) -> bool:
        """Whether its process runs, or is about to."""
        if self._ended.is_set():
            return False
        return not self.up.done() if self.process is None else self.process.poll() is None

    def stop(self) -> None:
        """End it with all that it started: asked first, after ten seconds without asking. Returns when it is gone."""
        self._ended.set()
        with self._starting:
            if self.process is None:
                self.place.volumes.close()
                return
        try:
            group = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            group = []
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_S)
        self._signal(signal.SIGKILL)  # Whoever of the group has outlived its first process.
        self.process.wait()
        end(group, patience_s=1.0)
        self.place.volumes.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _live(self) -> None:
        """Mount, start, probe."""
        with self._starting:
            began = not self._ended.is_set() and self._start()
        if began:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
            self._watch()
        elif not self.up.done():
            self.up.set_result(not_listening(self._wanted))  # It was ended before it began.

    def _start(self) -> bool:
        """Whether there is a process now."""
        what, place = self.what, self.place
        try:
            place.volumes.mount(place.started)
        except NotMounted as error:
            self.up.set_result(not_mounted(error.volume, str(error)))
            return False
        place.home.mkdir(parents=True, exist_ok=True)
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        command = place.room.entered(what.command, str(place.workdir)) if place.room else what.command
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=place.home if place.room else place.workdir,
                env={**environment, "HOME": str(place.home), "PYTHONUNBUFFERED": "1", **what.env},
                start_new_session=True,
            )
        except OSError as error:
            self.lines.append(f"failed to start {what.command[0]}: {error.strerror}")
            self.up.set_result(not_listening(self._wanted))
            return False
        place.started(self.process.pid)
        return True

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
        self.process.stdout.close()

    def _watch(self) -> None:
        """Probe until it succeeds, the attempts are used up, or the process ends."""
        probe = self._probe
        # Google's own probe keeps knocking for four minutes; others knock once a period.
        pace = 0.1 if probe.period >= _GOOGLES_OWN else probe.period
        self._ended.wait(probe.delay)
        for _ in range(round(probe.period * probe.attempts / pace)):
            again = time.monotonic() + pace
            if self.alive and self._answers():
                self.took = time.monotonic() - self._began
                self.up.set_result(None)
                return
            while self.alive and time.monotonic() < again:
                self._ended.wait(min(0.1, pace))
            if not self.alive:
                break
        if self._reader is not None and not self.alive:
            self._reader.join(1.0)  # Its last lines come before the failure.
        if self.process is not None and self.process.poll() is not None:
            self.lines.append(f"Container called exit({self.process.returncode}).")
        self.up.set_result(not_listening(self._wanted))

    def _answers(self) -> bool:
        import httpx2  # Late: a rehearsal starts faster without an HTTP client.

        timeout, port = min(self._probe.timeout, self._probe.period), self._probe.port or self.port
        try:
            if self._probe.path:
                answer = httpx2.get(
                    f"http://{HOST}:{port}{self._probe.path}", timeout=timeout, trust_env=False
                )
                return 200 <= answer.status_code < 400
            with socket.create_connection((HOST, port), timeout):
                return True
        except (OSError, httpx2.HTTPError):
            return False
