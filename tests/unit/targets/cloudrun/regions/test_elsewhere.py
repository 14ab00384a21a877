"""What stands in a region that the file names no more: a plan says so, what it costs and what to do, or that it is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import Fault
from homeport.catalog import cloudrun as catalog
from homeport.reconcile import Plan
from homeport.resources.google.traffic import Receipt
from homeport.targets.cloudrun.plan import plan_of
from marked_deployments import down, file, up
from regions import FIRST, SECOND, InTwoRegions
from ways import NAME, Carrying, Way

OLD, NEW = "europe-west4", "us-central1"
NAMED = (
    ("run", f"locations/{OLD}/services/{NAME}"),
    ("artifactregistry", f"locations/{OLD}/repositories/{NAME}"),
    ("artifactregistry", f"locations/{OLD}/repositories/{NAME}-docker-io"),
    ("compute", f"regions/{OLD}/subnetworks/{NAME}"),
)
"""What a note names of the old region."""


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(delays=AT_ONCE, steps=Carrying())


def planned(cloud: Cloud, folder: Path, region: str, *, way: Way = "ollama") -> Plan:
    """The plan of the file with that region."""

    wish = file(way, folder, NAME, region)

    async def work() -> Plan:
        async with google_for(cloud) as google:
            plan, _ = await plan_of(wish.target(google, unproven))
            return plan

    return act(work())


async def unproven(*_: object) -> Receipt:
    raise AssertionError("a plan proves nothing")


def told(plan: Plan) -> list[str]:
    """The warnings that tell of other regions."""
    return [one for one in plan.warnings if "also stands in" in one or "also has something in" in one]


def test_a_plan_with_another_region_tells_what_stays_in_the_old_one_its_price_and_what_to_do(
    cloud: Cloud, tmp_path: Path
) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    (note,) = told(planned(cloud, tmp_path, NEW))
    assert note.startswith(
        f"{NAME} also stands in {OLD} ($1.05 an hour for each instance that runs): service {NAME}, repository {NAME}, repository {NAME}-docker-io, subnetwork {NAME}; this plan leaves it "
        f'there, and it is paid for: write region = "{OLD}" into [cloudrun] to go on there; `homeport down {NAME} --on cloudrun` '
    )
    assert f"gcloud run services delete {NAME} --region={OLD} --project=rehearsal" in note
    assert f"gcloud artifacts repositories delete {NAME} --location={OLD} --project=rehearsal" in note
    assert note.endswith(
        f" && gcloud compute networks subnets delete {NAME} --region={OLD} --project=rehearsal"
    )
    assert "one to two hours after the service is gone" in note


def test_addresses_that_the_old_region_has_stand_in_the_way_before_anything_is_made(
    cloud: Cloud, tmp_path: Path
) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    (problem,) = [one for one in planned(cloud, tmp_path, NEW).problems if one.startswith("subnetwork/")]
    assert problem.startswith(
        f"subnetwork/{NAME}: {NAME} in {OLD} has 10.8.0.0/23 of the network {NAME}, and the one in {NEW} would have 10.8.0.0/23"
    )
    assert f"gcloud compute networks subnets delete {NAME} --region={OLD} --project=rehearsal" in problem


def test_what_the_note_takes_away_alone_lets_the_endpoint_move(cloud: Cloud, tmp_path: Path) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    for api, path in NAMED:
        forget(cloud, api, path)
    plan = planned(cloud, tmp_path, NEW)
    assert [one for one in plan.problems if one.startswith("subnetwork/")] == told(plan) == []
    up(cloud, file("ollama", tmp_path, NAME, NEW))


def test_it_is_told_as_long_as_it_stands_also_where_nothing_is_to_be_done(
    cloud: Cloud, tmp_path: Path
) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    forget(cloud, *NAMED[0])
    forget(cloud, *NAMED[-1])
    up(cloud, file("ollama", tmp_path, NAME, NEW))
    plan = planned(cloud, tmp_path, NEW)
    assert (plan.pending, len(told(plan))) == ((), 1)
    down(cloud)
    assert told(planned(cloud, tmp_path, NEW)) == []


def forget(cloud: Cloud, api: str, path: str) -> None:
    """Let that be gone, as who deletes it by hand does."""
    kept = cloud.store.get(api, f"projects/rehearsal/{path}")
    assert kept is not None
    cloud.forget(kept)


def service_in(cloud: Cloud, region: str) -> Any:  # Any: JSON
    """The service as it is there."""
    kept = cloud.store.get("run", f"projects/rehearsal/locations/{region}/services/{NAME}")
    assert kept is not None
    return kept.body


def test_instances_that_always_run_there_are_told(cloud: Cloud, tmp_path: Path) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    service_in(cloud, OLD)["scaling"] = {"minInstanceCount": 2}
    assert "instance that runs, 2 at least at all times)" in told(planned(cloud, tmp_path, NEW))[0]


def test_a_repository_without_a_service_is_told_and_no_region_to_go_on_in(
    cloud: Cloud, tmp_path: Path
) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    forget(cloud, *NAMED[0])
    (note,) = told(planned(cloud, tmp_path, NEW))
    assert note.startswith(
        f"{NAME} also has something in {OLD}, where it does not serve: repository {NAME}, repository {NAME}-docker-io, subnetwork {NAME};"
    )
    assert "write region" not in note
    assert "paid for" in note


def test_a_subnetwork_alone_is_told_and_costs_nothing(cloud: Cloud, tmp_path: Path) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    for api, path in NAMED[:-1]:
        forget(cloud, api, path)
    (note,) = told(planned(cloud, tmp_path, NEW))
    assert "paid for" not in note
    assert note.endswith(
        f"goes with: gcloud compute networks subnets delete {NAME} --region={OLD} --project=rehearsal"
    )


def test_what_bears_another_mark_or_none_is_not_told(cloud: Cloud, tmp_path: Path) -> None:
    up(cloud, file("ollama", tmp_path, "other", OLD), name="other")
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    del service_in(cloud, OLD)["labels"]["homeport"]
    (note,) = told(planned(cloud, tmp_path, NEW))
    assert "service" not in note.partition(";")[0]
    assert "other" not in note


def test_a_region_that_cannot_be_read_is_not_known_and_never_silent(cloud: Cloud, tmp_path: Path) -> None:
    up(cloud, file("ollama", tmp_path, NAME, OLD))
    nth = catalog.regions().index(OLD) + 1
    cloud.faults.append(Fault(method="run.projects.locations.services.list", nth=nth, status=403))
    plan = planned(cloud, tmp_path, NEW)
    (unknown,) = [one for one in plan.warnings if "is not known" in one and "also stands" in one]
    assert unknown.startswith(f"whether {NAME} also stands in {OLD} is not known: services in {OLD}: ")
    assert any("also has something in" in one for one in plan.warnings)


def test_where_nothing_can_be_read_that_is_one_line(cloud: Cloud, tmp_path: Path) -> None:
    up(cloud, file("ollama", tmp_path, NAME, NEW))
    for method in (
        "run.projects.locations.services.list",
        "artifactregistry.projects.locations.repositories.list",
        "compute.subnetworks.list",
    ):
        cloud.faults.append(Fault(method=method, times=99, status=403))
    plan = planned(cloud, tmp_path, NEW)
    (unknown,) = [one for one in plan.warnings if "is not known" in one]
    assert unknown.startswith(f"whether {NAME} also stands in another region is not known: ")


def test_regions_that_the_file_names_and_those_that_the_plan_takes_away_are_not_elsewhere(
    tmp_path: Path,
) -> None:
    deployer = InTwoRegions("vllm", tmp_path)
    deployer.up(deployer.in_both())
    assert told(deployer.planned(deployer.in_both())) == []
    plan = deployer.planned(deployer.alone())
    assert f"service/home in {SECOND}" in {action.resource.id for action in plan.pending}
    assert told(plan) == []


def test_a_region_that_repeats_another_is_told_where_the_first_one_left_the_file(tmp_path: Path) -> None:
    deployer = InTwoRegions("vllm", tmp_path)
    deployer.up(deployer.in_both())
    notes = told(planned(deployer.cloud, tmp_path, "us-east4", way="vllm"))
    assert [one.split(" (")[0] for one in notes] == [
        f"home also stands in {FIRST}",
        f"home also stands in {SECOND}",
    ]
    assert ["write region" in one for one in notes] == [True, False]
