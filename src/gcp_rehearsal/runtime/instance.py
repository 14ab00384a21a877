"""One running instance: its containers, each a process group on this machine, from their start to their end."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future

from gcp_rehearsal.runtime.container_process import ContainerPlan, ContainerProcess, ProcessPlace
from gcp_rehearsal.runtime.container_state import Failure, not_listening
from gcp_rehearsal.runtime.launch_adaptation import ContainerLaunch

_GRACE_S = 10.0
"""Cloud Run gives containers so long after SIGTERM."""


class Instance:
    """
    Starts at once. `up` is settled when every container has started (None), or one of them has failed (`Failure`).

    A container is started when those that it needs have. Once one ends, or its liveness probe fails, the instance is
    over: its maker calls `stop`, which ends the others.
    """

    def __init__(
        self, containers: Sequence[ContainerPlan], *, port: int, ports: Mapping[int, int] | None = None
    ) -> None:
        """Start `containers`, the one that serves first; requests come to `port` of this machine."""
        self.port = port
        self.ports = dict(ports or {})
        """Ports of this machine, by the cloud's that they stand for."""
        self._over = threading.Event()
        self.containers = tuple(ContainerProcess(plan, self._over) for plan in containers)
        self.up: Future[Failure | None] = Future()
        self.system: deque[str] = deque()
        """What Cloud Run itself has to say of it, and nobody has taken to the logs yet."""
        self.active = 0
        """Requests that it is answering."""
        self.took = 0.0
        """Seconds until it was up."""
        self.unhealthy = False
        """Whether a liveness probe has failed."""
        self._began = time.monotonic()
        self._settling = threading.Lock()
        for container in self.containers:
            threading.Thread(target=self._live, args=(container,), daemon=True).start()

    @property
    def what(self) -> ContainerLaunch:
        """Return how the container that serves was started."""
        return self.containers[0].plan.what

    @property
    def place(self) -> ProcessPlace:
        """Return where the container that serves runs."""
        return self.containers[0].plan.place

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """Return the process of the container that serves; None before it starts."""
        return self.containers[0].process

    @property
    def ready(self) -> bool:
        """Tell whether it can be sent requests."""
        return self.up.done() and self.up.result() is None and self.alive

    @property
    def alive(self) -> bool:
        """Tell whether its processes run, or are about to."""
        if self._over.is_set() or (self.up.done() and self.up.result() is not None):
            return False
        return all(container.alive for container in self.containers)

    @property
    def age(self) -> float:
        """Return the seconds since it was begun."""
        return time.monotonic() - self._began

    def outcome(self) -> Failure | None:
        """Return why a task's instance, which has ended, did not end well; None where it did."""
        started = self.up.result()
        process = self.process
        if process is None or process.returncode is None:
            return started or Failure(message="The task was ended before it began.", code=0)
        if not process.returncode:
            return None
        code = process.returncode if process.returncode > 0 else 128 - process.returncode
        text = f"The container exited with an error: exit code {code}."
        return Failure(message=text, execution_reason="NON_ZERO_EXIT_CODE", code=code)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Take what its containers have written: the name of one, and a line of its output."""
        for container in self.containers:
            while container.lines:
                yield container.plan.name, container.lines.popleft()

    def stop(self) -> None:
        """End it with all that it started: asked first, after ten seconds without asking. Returns when it is gone."""
        self._over.set()
        until = time.monotonic() + _GRACE_S
        stopping = [(container, container.ask_to_end()) for container in self.containers]
        for container, others in stopping:
            container.stop(others, until)
        self._settle(not_listening(self.containers[0].plan.port))  # It was ended before it began.

    def _live(self, container: ContainerProcess) -> None:
        """Start a container when its time has come, and watch it until its end."""
        if not self._needs_have_started(container):
            return
        failure = container.start() or container.wait_until_started()
        if failure is not None:
            self._settle(failure)
            return
        container.started.set()
        if all(other.started.is_set() for other in self.containers):
            self.took = time.monotonic() - self._began
            self._settle(None)
        probe = container.plan.liveness
        if not container.wait_while_healthy():
            assert probe is not None
            self.unhealthy = True
            self.system.append(
                f"LIVENESS {probe.kind} probe failed {probe.attempts} times consecutively for container "
                f'"{container.plan.title}" {probe.text}. The instance has been shut down.'
            )
            container.kill()
        elif not self._over.is_set():
            container.say_how_it_ended()
            self._settle(not_listening(container.plan.port))
        self._over.set()

    def _needs_have_started(self, container: ContainerProcess) -> bool:
        needed = [other for other in self.containers if other.plan.name in container.plan.needs]
        while not self._over.is_set() and not (self.up.done() and self.up.result() is not None):
            if all(other.started.wait(0.05) for other in needed):
                return True
        return False

    def _settle(self, failure: Failure | None) -> None:
        with self._settling:
            if not self.up.done():
                self.up.set_result(failure)
