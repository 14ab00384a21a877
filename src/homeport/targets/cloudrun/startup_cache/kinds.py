"""Where a project's jobs are listed: one that makes a startup cache is left behind where `up` was ended while it ran."""

from __future__ import annotations

from homeport.targets.cloudrun.listed_kind import ListedKind

JOB = "job"
CACHE_KINDS = (
    ListedKind(
        kind=JOB,
        plural="jobs",
        api="run",
        path="v2/projects/{project}/locations/{region}/jobs",
        items="jobs",
    ),
)
