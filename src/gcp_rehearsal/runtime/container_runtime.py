"""Whether containers start, and how tasks end: a seam, behind which real processes may be put."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gcp_rehearsal.cloud import Cloud

STARTS_IN = 10.0
"""Seconds until a container that starts well is ready."""
RUNS_FOR = 20.0
"""Seconds that a task takes which ends well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something did not come up, as a condition tells it."""

    message: str
    reason: str = ""
    """A common reason of a condition, such as `CONTAINER_MISSING`."""
    revision_reason: str = ""
    """A revision's own reason, such as `HEALTH_CHECK_CONTAINER_ERROR`."""
    execution_reason: str = ""
    """An execution's own reason, such as `NON_ZERO_EXIT_CODE`."""
    code: int = 1
    """The exit code of a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far something has come."""

    ready: bool = False
    """Whether a container answers, or a task has ended well."""
    failure: Failure | None = None
    again: float = 1.0
    """Where it is neither ready nor failed: in how many seconds to ask again."""
    real: bool = False
    """A real process starts: it says itself when its time is over, in this machine's seconds."""


READY = State(ready=True)


class Containers(Protocol):
    """Runs what is deployed. Each is asked again and again, with the seconds that have passed since the first time."""

    def begin(self, cloud: Cloud) -> None:
        """Whose containers they are: told once, before anything else."""
        ...

    def service(self, revision: Mapping[str, Any], waited: float) -> State:  # Any: JSON
        """Whether an instance of a revision has started."""
        ...

    def task(self, task: Mapping[str, Any], waited: float) -> State:  # Any: JSON
        """Whether an attempt of a task has ended."""
        ...

    def stop(self, name: str) -> None:
        """The revision or task of that name is not needed any more."""
        ...


class Willing:
    """Containers that start well, and tasks that end well, but for those whose image or name is told to fail."""

    def __init__(self) -> None:
        self.failing: dict[str, Failure] = {}
        """Failures by a part of an image's or a resource's name."""
        self.seconds: dict[str, float] = {}
        """How long those take that have such a part in theirs."""
        self.stopped: list[str] = []

    def begin(self, cloud: Cloud) -> None:
        """They need nothing of it."""

    def service(self, revision: Mapping[str, Any], waited: float) -> State:  # Any: JSON
        """Ready after some seconds, or failed."""
        return self._state(revision, waited, STARTS_IN)

    def task(self, task: Mapping[str, Any], waited: float) -> State:  # Any: JSON
        """Ended well after some seconds, or failed."""
        return self._state(task, waited, RUNS_FOR)

    def stop(self, name: str) -> None:
        """Remember it."""
        self.stopped.append(name)

    def _state(self, what: Mapping[str, Any], waited: float, seconds: float) -> State:  # Any: JSON
        names = [what.get("name", ""), *(one.get("image", "") for one in what.get("containers", ()))]
        left = self._known(self.seconds, names, seconds) - waited
        if left > 0.001:
            return State(again=left)
        failure = self._known(self.failing, names, None)
        return State(failure=failure) if failure else READY

    @staticmethod
    def _known(table: Mapping[str, Any], names: list[str], default: Any) -> Any:  # Any: of either table
        return next((value for part, value in table.items() if any(part in name for name in names)), default)


@dataclass(slots=True, kw_only=True)
class Wait:
    """Asks the containers until they say ready or failed, on the cloud's clock, and tells it once."""

    ask: Callable[[float], State]
    done: Callable[[Failure | None], None]
    after: Callable[[float, Callable[[], None]], object]
    takes: Callable[[float], float]
    deadline: float = float("inf")
    late: Failure | None = None
    """What is told at the deadline."""
    waited: float = 0.0

    def __call__(self) -> None:
        """Ask once; where nothing is known yet, ask again later."""
        state = self.ask(self.waited)
        if state.ready or state.failure:
            self.done(state.failure)
            return
        if state.real:
            self.after(state.again, self)
            return
        if self.waited >= self.deadline and self.late:
            self.done(self.late)
            return
        seconds = min(state.again, self.deadline - self.waited)
        self.waited += seconds
        self.after(self.takes(seconds), self)


def not_listening(port: int, *, logs: str = "") -> Failure:
    """The commonest failure: nothing listens on the port in time."""
    where = f"\n\nLogs URL: {logs}\n" if logs else "\n"
    return Failure(
        revision_reason="HEALTH_CHECK_CONTAINER_ERROR",
        message=(
            "The user-provided container failed to start and listen on the port defined provided by the "
            f"PORT={port} environment variable within the allocated timeout. This can happen when the container port "
            "is misconfigured or if the timeout is too short. The health check timeout can be extended. Logs for "
            f"this revision might contain more information.{where}For more troubleshooting guidance, see "
            "https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
        ),
    )


def not_mounted(volume: str, why: str) -> Failure:
    """A bucket that is a volume of the container is not there, or may not be read."""
    return Failure(
        revision_reason="HEALTH_CHECK_CONTAINER_ERROR",
        message=f"The user-provided container failed to start: mounting volume '{volume}' of type Cloud Storage "
        f"failed: {why}",
    )
