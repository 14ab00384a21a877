"""Where a build may run, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from homeport.json_types import Json

NOT_HERE = "cannot run builds"
"""Google's words for a project that may not build on a machine, or in a region: "due to quota restrictions, …"."""
ALLOWED = (
    "europe-west1",
    "us-central1",
    "us-west2",
    "asia-east1",
    "australia-southeast1",
    "southamerica-east1",
)
"""
Regions in which even those projects may build that may not build everywhere "depending on usage": Google's page on Cloud
Build's locations, read 2026-11-28. The registry and the bucket are reached from any.
"""
MEDIUM = "E2_MEDIUM"
"""Another name of Cloud Build's default machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlace:
    """What the file says of where builds run."""

    fixed_region: bool = False
    """Whether the file names the region: no other is taken."""
    fixed_machine: bool = False
    """Whether the file names the machine, or the build would not fit another: no other is taken."""

    def tried(self, region: str, machine: str) -> Iterator[tuple[str, str]]:
        """Yield region and machine, in the order in which they are tried; '' is Cloud Build's default machine."""
        machines = [machine] if self.fixed_machine or machine in {"", MEDIUM} else [machine, ""]
        for candidate in [region] if self.fixed_region else dict.fromkeys((region, *_nearest(region))):
            for machine_type in machines:
                yield candidate, machine_type


ANYWHERE = BuildPlace()
"""Where the file names nothing."""


def _nearest(region: str) -> list[str]:
    """Return the regions where every project may build, those of the same continent first."""
    continent = region.partition("-")[0]
    return sorted(ALLOWED, key=lambda candidate: not candidate.startswith(f"{continent}-"))


@dataclass(slots=True)
class BuildSteps:
    """Tells each step of a build as it begins."""

    what: str
    within: float
    """Seconds that it may take at most."""
    note: Callable[[str], None] | None
    told: set[str] = field(default_factory=set)

    def look(self, build: Json) -> None:
        """Tell what is new of a build."""
        if self.note is None:
            return
        steps = build.get("steps", ())
        if build["status"] in {"PENDING", "QUEUED"}:
            self._tell("queue", f"{self.what} waits for a machine, {self.within / 60:.0f} min at most")
        for number, step in enumerate(steps, 1):
            if step.get("status") == "WORKING":
                name = step.get("id") or str(step.get("name", "")).rpartition("/")[2]
                self._tell(name, f"{self.what}: step {number} of {len(steps)}, {name}")

    def _tell(self, key: str, text: str) -> None:
        if key not in self.told and self.note is not None:
            self.told.add(key)
            self.note(text)
