"""A list of a project's endpoints says of each kind that it did not look for that it did not, why, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud import act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import Fault
from homeport.catalog.cloudrun import regions
from homeport.listing import Listing, NotLookedFor
from homeport.targets.cloudrun.endpoints import list_endpoints
from homeport.targets.cloudrun.inventory import take_inventory
from homeport.targets.cloudrun.not_looked_for import not_looked_for
from marked_deployments import file, up
from ways import NAME, Carrying


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud(delays=AT_ONCE, steps=Carrying())
    enable(made, "run", "compute", "storage", "secretmanager", "iam", "dns", "artifactregistry")
    return made


def gaps(cloud: Cloud) -> dict[str, NotLookedFor]:
    """What is not looked for there, by kind; regions that no list asks apart."""
    return {one.kind: one for one in told_of(cloud) if not one.where.startswith("regions other than")}


def told_of(cloud: Cloud) -> tuple[NotLookedFor, ...]:
    """All that is not looked for there."""

    async def work() -> tuple[NotLookedFor, ...]:
        async with google_for(cloud) as google:
            inventory = await take_inventory(google)
            _, unread = await list_endpoints(google, inventory)
            return not_looked_for(inventory, unread)

    return act(work())


def test_a_list_that_may_not_be_read_is_told_once_for_all_regions_and_with_what_to_do(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method="artifactregistry.*repositories.list", status=403, times=1000))
    one = gaps(cloud)["repositories"]
    assert one.where == ", ".join(sorted(regions()))
    assert one.refused
    assert one.why.startswith("Forbidden ")
    assert one.do.endswith("; then list again")


def test_regions_that_answered_are_not_among_those_that_were_left_out(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method="run.projects.locations.services.list", status=403, nth=2))
    one = gaps(cloud)["services"]
    assert one.where in regions(), "one alone"
    assert one.where in one.why


def test_regions_that_no_list_asks_are_told_of_each_kind_that_each_region_has_for_itself(
    cloud: Cloud,
) -> None:
    elsewhere = [one for one in told_of(cloud) if one.where == f"regions other than {', '.join(regions())}"]
    assert [one.kind for one in elsewhere] == ["services", "repositories", "subnetworks"]
    assert all("`gcloud run services list`" in one.do for one in elsewhere)


def test_an_api_that_is_off_is_no_empty_list() -> None:
    off = Cloud(delays=AT_ONCE, steps=Carrying())
    enable(off, "run", "storage", "secretmanager", "iam", "dns", "artifactregistry")
    told = gaps(off)
    for kind in ("networks", "subnetworks", "firewall rules"):
        assert not told[kind].refused
        assert told[kind].why.startswith("its API is off")
        assert told[kind].do.startswith("gcloud services enable compute.googleapis.com")
    assert "services" not in told


def test_what_a_table_makes_is_told_until_a_service_says_that_it_had_it(cloud: Cloud, tmp_path: Path) -> None:
    told = gaps(cloud)
    for kind in ("URL maps", "alert policies", "API gateways"):
        assert "homeport down NAME --on cloudrun" in told[kind].do
        assert not told[kind].refused
    up(cloud, file("vllm", tmp_path, NAME, "us-central1"))
    kept = cloud.store.get("run", f"projects/rehearsal/locations/us-central1/services/{NAME}")
    assert kept is not None
    kept.body["labels"]["homeport-observe"] = "true"
    enable(cloud, "monitoring")
    later = gaps(cloud)
    assert "URL maps" in later
    assert "alert policies" not in later


@pytest.mark.parametrize("off", [False, True])
def test_what_only_services_tell_of_is_not_said_to_be_told_by_none_where_they_could_not_be_read(
    off: bool,
) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    enable(
        cloud,
        "compute",
        "storage",
        "secretmanager",
        "iam",
        "dns",
        "artifactregistry",
        *(() if off else ("run",)),
    )
    if not off:
        cloud.faults.append(Fault(method="run.projects.locations.services.list", status=403, times=1000))
    one = gaps(cloud)["URL maps"]
    assert one.why == "asked for where a service says that it had some, and not all services could be read"


def test_jobs_are_shown_by_a_command_that_removes_nothing(cloud: Cloud) -> None:
    assert gaps(cloud)["jobs"].do == "`gcloud run jobs list --project=rehearsal` shows them"


def test_kinds_with_one_reason_are_one_line() -> None:
    alike = [NotLookedFor(kind=kind, why="its API is off", do="turn it on") for kind in ("a", "b")]
    other = NotLookedFor(kind="c", where="x, y", why="not allowed", do="ask", refused=True)
    listing = Listing(endpoints=(), unread=("c in x", "c in y"), not_looked_for=(*alike, other))
    assert list(listing.gaps()) == [
        ("not looked for: a, b: its API is off; do: turn it on", False),
        ("not known, could not be read: c in x, y: not allowed; do: ask", True),
    ]
