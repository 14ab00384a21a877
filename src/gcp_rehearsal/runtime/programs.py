"""
How this machine runs what an image starts: told by the caller, since a rehearsal knows no program itself.

An image's base is not pulled. A `Program` says what it would start, and how that runs here without a GPU or without the
program; programs are handed in by the names of images, such as `{"vllm/vllm-openai": MyProgram()}`. A container of any
other image runs its own command, with the paths, ports and addresses of this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gcp_rehearsal.runtime.container_paths import Paths
from gcp_rehearsal.runtime.image import Image
from gcp_rehearsal.runtime.launch_adaptation import ContainerLaunch


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSite:
    """Where a container is started."""

    image: Image
    paths: Paths
    """Where the container's paths lie here."""
    port: int
    """The one that requests come to."""
    folder: Path
    """Of this instance alone; it goes with it."""
    storage: Mapping[str, str]
    """Variables by which Google's libraries find the rehearsal's metadata server and Cloud Storage; empty without."""
    url: str = ""
    """Where what the container sends finds the rehearsal: as from within the project's networks where all of it goes through one; '' without."""


class Program(Protocol):
    """What one image starts, and how that runs on this machine."""

    @property
    def entrypoint(self) -> Sequence[str]:
        """Return the image's own entrypoint."""

    @property
    def cmd(self) -> Sequence[str]:
        """Return the image's own arguments."""

    def adapt(self, launch: ContainerLaunch, site: LaunchSite) -> None:
        """Change in a launch what this machine needs changed, each with its reason."""

    def files(self) -> Sequence[Path]:
        """Return what of this machine it is made of, so that a container's files are not put before it."""


Programs = Mapping[str, Program]
"""By the names of images, without registry, tag and digest."""


def program_of(programs: Programs, reference: str) -> Program | None:
    """Return the program of an image by its reference, whichever registry or mirror it comes from; None without one."""
    name, _, _ = reference.partition("@")
    head, slash, last = name.rpartition("/")
    bare = f"{head}{slash}{last.partition(':')[0]}"
    matches = (program for known, program in programs.items() if f"/{bare}".endswith(f"/{known}"))
    return next(matches, None)
