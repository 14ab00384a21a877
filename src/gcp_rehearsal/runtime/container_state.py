"""How far a container or a task has come, and why it did not come up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
class ContainerState:
    """How far something has come."""

    ready: bool = False
    """Whether a container answers, or a task has ended well."""
    failure: Failure | None = None
    again: float = 1.0
    """Where it is neither ready nor failed: in how many seconds to ask again."""
    real: bool = False
    """A real process starts: it says itself when its time is over, in this machine's seconds."""


READY = ContainerState(ready=True)


@dataclass(slots=True, kw_only=True)
class Wait:
    """Asks the containers until they say ready or failed, on the cloud's clock, and tells it once."""

    ask: Callable[[float], ContainerState]
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
    """Return the commonest failure: nothing listens on the port in time."""
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
    """Return the failure of a container with a bucket as a volume that is not there, or may not be read."""
    return Failure(
        revision_reason="HEALTH_CHECK_CONTAINER_ERROR",
        message=f"The user-provided container failed to start: mounting volume '{volume}' of type Cloud Storage "
        f"failed: {why}",
    )
