"""homeport's table of Cloud Run beside the rehearsal's: each was written from Google's pages, neither from the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcp_rehearsal import discovery
from gcp_rehearsal.facts import cloud_run as rehearsed
from gcp_rehearsal.regions import ZONES
from homeport.catalog import cloudrun as known
from homeport.catalog.prices import SHIPPED
from homeport.toml_file import read_toml


def of_homeport() -> dict[str, Any]:  # Any: whatever a fact is
    """What both tables say, by homeport's."""
    limits = known.limits()
    facts: dict[str, Any] = {
        "longest startup with a GPU, in s": limits.startup_s,
        "longest request, in s": limits.request_timeout_s,
        "largest request, in bytes": limits.request_bytes,
        "largest concurrency": limits.max_concurrency,
        "longest idle with a GPU, in s": limits.idle_s,
        "quota of CPU, in milli": limits.cpu_quota_milli,
        "quota of memory, in bytes": limits.memory_quota,
        "GPUs": {gpu.name for gpu in known.gpus()},
    }
    for gpu in known.gpus():
        least, most = gpu.shapes[0], gpu.shapes[-1]
        facts |= {
            f"{gpu.name}: title": gpu.title.removesuffix(" Blackwell"),
            f"{gpu.name}: preview": gpu.status == "preview",
            f"{gpu.name}: least": (least.cpu, least.memory_gib),
            f"{gpu.name}: most": (most.cpu, most.memory_gib),
            f"{gpu.name}: regions": set(gpu.regions),
            f"{gpu.name}: quotas": (gpu.quota["no-zonal"], gpu.quota["zonal"]),
            f"{gpu.name}: a GPU in its quotas": gpu.quota_unit,
            f"{gpu.name}: GPUs of a new project": gpu.default_quota,
        }
    return facts


def of_the_rehearsal() -> dict[str, Any]:  # Any: whatever a fact is
    """What both tables say, by the rehearsal's."""
    service, probe, quota = rehearsed.service_limits(), rehearsed.probe_limits(), rehearsed.default_quotas()
    facts: dict[str, Any] = {
        "longest startup with a GPU, in s": probe.startup_gpu_s,
        "longest request, in s": service.longest_request_s,
        "largest request, in bytes": service.largest_request_bytes,
        "largest concurrency": service.largest_concurrency,
        "longest idle with a GPU, in s": service.idle_gpu_s,
        "quota of CPU, in milli": quota.cpu_milli,
        "quota of memory, in bytes": quota.memory_bytes,
        "GPUs": {gpu.name for gpu in rehearsed.gpu_types()},
    }
    for gpu in rehearsed.gpu_types():
        facts |= {
            f"{gpu.name}: title": gpu.title,
            f"{gpu.name}: preview": gpu.stage != "GA",
            f"{gpu.name}: least": (gpu.least.cpu, gpu.least.memory_gib),
            f"{gpu.name}: most": (gpu.most.cpu, gpu.most.memory_gib),
            f"{gpu.name}: regions": set(gpu.regions),
            f"{gpu.name}: quotas": (gpu.quota, gpu.quota_zonal),
            f"{gpu.name}: a GPU in its quotas": gpu.quota_unit,
            f"{gpu.name}: GPUs of a new project": gpu.default_gpus,
        }
    return facts


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:  # Any: whatever a fact is
    """Each fact that the two tables do not share, as a line."""
    return [
        f"{fact}: homeport says {ours.get(fact)!r}, the rehearsal {theirs.get(fact)!r}"
        for fact in sorted({*ours, *theirs})
        if ours.get(fact) != theirs.get(fact)
    ]


def test_homeport_and_the_rehearsal_say_the_same_of_cloud_run() -> None:
    """Where they part, Google's page decides, and the one that is wrong is corrected."""
    assert differences(of_homeport(), of_the_rehearsal()) == []


def test_each_difference_is_named() -> None:
    ours = of_homeport()
    theirs = ours | {"largest concurrency": 80, "GPUs": {"nvidia-l4"}}
    assert differences(ours, theirs) == [
        f"GPUs: homeport says {ours['GPUs']!r}, the rehearsal {{'nvidia-l4'}}",
        "largest concurrency: homeport says 1000, the rehearsal 80",
    ]


def test_every_region_with_a_gpu_is_one_that_is_rehearsed() -> None:
    assert {region for gpu in known.gpus() for region in gpu.regions} <= set(ZONES)
    assert {region for gpu in rehearsed.gpu_types() for region in gpu.regions} <= set(ZONES)


def test_machines_of_builds_that_homeport_prices_are_googles() -> None:
    """The rehearsal takes them from Google's own document."""
    machines = discovery.load("cloudbuild.v1").schemas["BuildOptions"]["properties"]["machineType"]["enum"]
    assert set(read_toml(SHIPPED, hint="")["build_minute"]) <= set(machines)
