"""One step of a build, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, with what Cloud Build hands to its container."""

    number: int
    id: str
    image: str
    args: Sequence[str]
    entrypoint: str = ""
    script: str = ""
    folder: str = ""
    """Under `/workspace`."""
    env: Mapping[str, str] = field(default_factory=dict)
    """With what its secrets hold."""
    secret_env: Sequence[str] = ()
    """Names of the variables that come from secrets."""
    account: str = ""
    """The e-mail of the build's service account."""
    project: str = ""
    build: str = ""
    """The build's id."""
    source: tuple[str, str] | None = None
    """Bucket and object of the archive that is unpacked into `/workspace` before the first step."""
    inputs: str = ""
    """A digest of all that decides what comes of the build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of a step."""

    code: int = 0
    lines: Sequence[str] = ()
    seconds: float = 1.0


class RunningStep(Protocol):
    """A step that takes its own time, whatever the clock's pace: a real process."""

    @property
    def seconds(self) -> float:
        """Return how long it has run, in seconds of this machine."""
        ...

    def fresh(self) -> Sequence[str]:
        """Return the lines that it has written since this was last asked."""
        ...

    def poll(self) -> Ran | None:
        """Return what came of it, with the lines that are not told yet; None while it runs."""
        ...

    def stop(self) -> None:
        """End it."""
        ...
