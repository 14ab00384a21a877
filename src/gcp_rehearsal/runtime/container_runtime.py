"""Containers that are pretended: whether they start, and how tasks end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcp_rehearsal.context import Cloud
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime.container_state import READY, ContainerState, Failure

STARTS_IN = 10.0
"""Seconds until a container that starts well is ready."""
RUNS_FOR = 20.0
"""Seconds that a task which ends well takes."""


class Willing:
    """Containers that start well, and tasks that end well, except for those whose image or name is told to fail."""

    def __init__(self) -> None:
        self.failing: dict[str, Failure] = {}
        """Failures by a part of an image's or a resource's name."""
        self.seconds: dict[str, float] = {}
        """How long those with such a part in their name take."""
        self.stopped: list[str] = []

    def begin(self, cloud: Cloud) -> None:
        """Do nothing: these containers need nothing of the cloud."""

    def service(self, revision: Mapping[str, Json], waited: float) -> ContainerState:
        """Return the state of a revision: ready after some seconds, or failed."""
        return self._state(revision, waited, STARTS_IN)

    def task(self, task: Mapping[str, Json], waited: float) -> ContainerState:
        """End a task well after some seconds, or let it fail."""
        return self._state(task, waited, RUNS_FOR)

    def stop(self, name: str) -> None:
        """Remember it."""
        self.stopped.append(name)

    def _state(self, revision: Mapping[str, Json], waited: float, seconds: float) -> ContainerState:
        names = [
            revision.get("name", ""),
            *(container.get("image", "") for container in revision.get("containers", ())),
        ]
        left = self._known(self.seconds, names, seconds) - waited
        if left > 0.001:
            return ContainerState(again=left)
        failure = self._known(self.failing, names, None)
        return ContainerState(failure=failure) if failure else READY

    @staticmethod
    def _known(table: Mapping[str, Any], names: list[str], default: Any) -> Any:  # Any: of either table
        return next((value for part, value in table.items() if any(part in name for name in names)), default)
