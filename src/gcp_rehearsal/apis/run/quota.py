"""How many instances a project's quotas allow, and Google's words where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gcp_rehearsal.apis.run.sizes import Size, size_of
from gcp_rehearsal.apis.run.status import Wrong, segments
from gcp_rehearsal.facts import cloud_run
from gcp_rehearsal.facts import limits as quota_limits
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime.container_state import Failure
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

FIELD = "template.scaling.max_instance_count"
REVISIONS = "run.projects.locations.services.revisions"
TASKS = "run.projects.locations.jobs.executions.tasks"
EXHAUSTED = Failure(
    message="Quota exceeded for total allowable count of GPUs per project per region.",
    revision_reason="MIN_INSTANCES_NOT_PROVISIONED",
)
_ELSEWHERE = (
    "Consider running your workload in a region with greater capacity, or requesting an increase in quota for this "
    "region if you are seeing sustained usage near this limit, see https://cloud.google.com/run/quotas."
)
_REDUNDANCY = "Learn more about GPU zonal redundancy: g.co/cloudrun/gpu-redundancy-help"


def most_instances(cloud: Cloud, region: str, template: Mapping[str, Json]) -> int:
    """
    Return the most instances that Google sets where nobody says: 100, or as many as the quotas allow, but at
    least one.
    """
    size = size_of(template.get("containers", ()))
    allowed = [
        cloud_run.service_limits().default_instances,
        *(have // each for _, each, have in _of_size(cloud, region, size) if each),
    ]
    gpu = gpu_quota(template)
    if gpu is not None:
        name, unit = gpu
        allowed.append(quota_limits.limit(cloud.quotas, name, region) // unit)
    return max(1, min(allowed))


def check(cloud: Cloud, region: str, template: Mapping[str, Json], wrong: Wrong) -> None:
    """Tell whether as many instances as a template may have are within the quotas."""
    most = template.get("scaling", {}).get("maxInstanceCount") or most_instances(cloud, region, template)
    gpu = gpu_quota(template)
    if gpu is not None and not _check_gpus(cloud, region, gpu, most, wrong):
        return
    size = size_of(template.get("containers", ()))
    broken = [
        (name, each * most, have, have // each)
        for name, each, have in _of_size(cloud, region, size)
        if each * most > have
    ]
    if not broken:
        return
    kind = "CPU" if broken[0][0] == quota_limits.CPU else "memory"
    fewer = min(count for *_, count in broken)
    lines = "\n".join(f"{name} requested: {requested} allowed: {have}" for name, requested, have, _ in broken)
    wrong.say(
        FIELD,
        f"Max instances must be set to {fewer} or fewer to set the requested total {kind}.\n{_ELSEWHERE}\n\n"
        f"Quota violated:\n{lines}",
    )


def check_gpu_of_job(
    cloud: Cloud, region: str, template: Mapping[str, Any], wrong: Wrong
) -> None:  # Any: JSON
    """Tell whether a job's tasks may have a GPU at all."""
    gpu = gpu_quota(template)
    if gpu is not None:
        _check_gpus(cloud, region, gpu, 1, wrong, "template.template.node_selector")


def gpu_quota(template: Mapping[str, Json]) -> tuple[str, int] | None:
    """Return the quota that a template's GPU counts in, and what one GPU counts; None where it has none that is known."""
    gpu = cloud_run.gpu_type(template.get("nodeSelector", {}).get("accelerator", ""))
    if gpu is None:
        return None
    alone = template.get("gpuZonalRedundancyDisabled")
    return gpu.quota if alone else gpu.quota_zonal, gpu.quota_unit


def gpus_are_left(cloud: Cloud, starting: StoredResource) -> bool:
    """Return True if one more instance of a revision finds a GPU beside those that the others of the region keep."""
    mine = gpu_quota(starting.body)
    if mine is None:
        return True
    project, region, _ = segments(starting.name)
    used = 0
    for revision in cloud.store.of("run", REVISIONS):
        if segments(revision.name)[:2] == (project, region) and gpu_quota(revision.body) == mine:
            used += max(revision.hidden.get("instances", 0), 1 if revision is starting else 0)
    used += sum(gpu_quota(task.body) == mine for task in _running_tasks(cloud, project, region))
    return used * mine[1] <= quota_limits.limit(cloud.quotas, mine[0], region)


def used(cloud: Cloud, name: str, project: str, region: str) -> int:
    """Return what the instances that services of a region keep running count in a quota, and running tasks of jobs."""
    kept_running = sum(
        _each(name, revision.body) * int(revision.hidden.get("instances", 0))
        for revision in cloud.store.of("run", REVISIONS)
        if segments(revision.name)[:2] == (project, region)
    )
    return kept_running + sum(_each(name, task.body) for task in _running_tasks(cloud, project, region))


def _running_tasks(cloud: Cloud, project: str, region: str) -> list[StoredResource]:
    """Return the tasks that run in a region. A task itself waits for no GPU here: what Google says then is not known."""
    return [
        task
        for task in cloud.store.of("run", TASKS)
        if segments(task.name)[:2] == (project, region)
        and "startTime" in task.body
        and "completionTime" not in task.body
    ]


def _each(name: str, template: Mapping[str, Json]) -> int:
    """Return what one instance counts in a quota."""
    size = size_of(template.get("containers", ()))
    gpu = gpu_quota(template)
    counted = {quota_limits.CPU: size.cpu, quota_limits.MEMORY: size.memory, **(dict([gpu]) if gpu else {})}
    return counted.get(name, 0)


def _of_size(cloud: Cloud, region: str, size: Size) -> list[tuple[str, int, int]]:
    return [
        (name, each, quota_limits.limit(cloud.quotas, name, region))
        for name, each in ((quota_limits.CPU, size.cpu), (quota_limits.MEMORY, size.memory))
    ]


def _check_gpus(
    cloud: Cloud, region: str, gpu: tuple[str, int], most: int, wrong: Wrong, field: str = FIELD
) -> bool:
    name, unit = gpu
    if name in cloud.quotas_at_first and quota_limits.limit(cloud.quotas, name, region) < unit:
        cloud.quotas[name] = cloud.quotas_at_first.pop(name)
    have = quota_limits.limit(cloud.quotas, name, region)
    if have < unit:
        without = "NoZonalRedundancy" in name
        how = "without" if without else "with"
        instead = "" if without else "\n\nYou could deploy using GPUs without zonal redundancy instead."
        wrong.say(
            field,
            f"You do not have quota for using GPUs {how} zonal redundancy. {_REDUNDANCY}\n\n"
            f"To request quota: g.co/cloudrun/gpu-quota{instead}",
        )
        return False
    if most * unit > have:
        wrong.say(
            field,
            f"Max instances must be set to {have // unit} or fewer in order to set GPU requirements.\n\n"
            f"Quota violated:\n{name} requested: {most * unit} allowed: {have}",
        )
        return False
    return True
