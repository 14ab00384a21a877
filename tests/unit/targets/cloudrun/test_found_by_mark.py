"""What is down is found by its mark: whatever has changed of names and regions since it was made, nothing paid stays."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from cloud import Raw, act, enable, things
from deployment import google_for
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.faults import Fault
from homeport.catalog.cloudrun import regions
from homeport.errors import Incomplete, NotFound, PermissionDenied
from homeport.listing import ListedEndpoint
from homeport.progress import Silent
from homeport.targets.cloudrun import inventory
from homeport.targets.cloudrun.endpoints import Services, find_services, list_endpoints
from homeport.targets.cloudrun.inventory import Unread, take_inventory
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.names import Names
from marked_deployments import down, file, up
from places import ROOT
from ways import NAME, PROJECT, REGION, Carrying, Way, later, wanted

BASE = f"projects/{PROJECT}"
COMPUTE = f"compute.googleapis.com/compute/v1/{BASE}"
RECORD = ROOT / "tests" / "records" / "cloud-run-version-1.json"
"""All requests that changed something when the first version deployed an isolated vLLM, in their order."""
LISTS = {kind.kind: f"{kind.api}.*{kind.path.rpartition('/')[2]}.list" for kind in inventory.KINDS} | {
    "bucket": "storage.buckets.list",
    "private zone": "dns.managedZones.list",
}
OTHER_NAMES = {
    "builder": "b-{0}-images", "carrier": "c-{0}-weights", "runner": "r-{0}-serving", "bucket": "{0}-of-another-scheme",
    "secret": "token-of-{0}",
}  # fmt: skip


class Heard(Silent):
    """The notes that a user is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def new_cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    enable(
        cloud, "run", "compute", "storage", "secretmanager", "iam", "dns", "artifactregistry", "serviceusage"
    )
    return cloud


def listed(cloud: Cloud) -> tuple[tuple[ListedEndpoint, ...], tuple[Unread, ...]]:
    async def work() -> tuple[tuple[ListedEndpoint, ...], tuple[Unread, ...]]:
        async with google_for(cloud) as google:
            return await list_endpoints(google)

    return act(work())


def send(cloud: Cloud, verb: str, url: str, body: Any = None) -> None:  # Any: JSON
    answer = act(Raw(cloud).send(verb, url, body))
    assert answer.status == 200, answer.body


def all_of(cloud: Cloud) -> dict[str, str]:
    """Everything there, grants included, with what it says."""
    grants = {f"{member} has {role} on {api}/{name}": "" for api, name, role, member in cloud.access.grants()}
    return {f"{kept.api}/{kept.name}": json.dumps(kept.body) for kept in things(cloud)} | grants


def _named_by(scheme: str) -> Callable[[Names], str]:
    return lambda names: scheme.format(names.name)


@pytest.mark.long
@settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # An example takes a second.
)  # fmt: skip
@given(
    way=some.sampled_from(("ollama", "vllm")),
    region=some.sampled_from(regions()),
    isolated=some.booleans(),
    other=some.fixed_dictionaries({}, optional={key: some.just(value) for key, value in OTHER_NAMES.items()}),
    beside=some.sampled_from(("", "home-2", "house")),
)
def test_whatever_was_renamed_since_up_nothing_that_carries_the_mark_stays_and_nothing_else_goes(
    tmp_path_factory: pytest.TempPathFactory,
    way: Way,
    region: str,
    isolated: bool,
    other: dict[str, str],
    beside: str,
) -> None:
    folder, cloud = tmp_path_factory.mktemp("weights"), new_cloud()
    send(cloud, "POST", f"storage.googleapis.com/storage/v1/b?project={PROJECT}", {"name": "theirs", "labels": {"homeport": "no"}})  # fmt: skip
    before = all_of(cloud)
    second = file("ollama", folder, beside, "us-central1") if beside else None
    if second:
        up(cloud, second, name=beside)
    between = all_of(cloud)
    with pytest.MonkeyPatch.context() as patch:
        for key, scheme in other.items():
            patch.setattr(Names, key, property(_named_by(scheme)))
        assert up(cloud, file(way, folder, NAME, region, isolated=isolated)) > 10
    assert down(cloud, "hous") == ()
    assert down(cloud)
    assert all_of(cloud) == between
    if beside:
        assert down(cloud, beside)
    assert all_of(cloud) == before


def test_what_another_scheme_called_otherwise_goes_too_in_every_region_and_in_good_order() -> None:
    cloud = new_cloud()
    before = all_of(cloud)
    mark = {"description": "made by a version to come: homeport=home"}
    for network in ("n-one", "n-two"):
        send(
            cloud,
            "POST",
            f"{COMPUTE}/global/networks",
            {"name": network, "autoCreateSubnetworks": False, **mark},
        )
        rule = {"name": f"{network}-out", "network": f"{BASE}/global/networks/{network}", "direction": "EGRESS",
                "priority": 1000, "destinationRanges": ["0.0.0.0/0"], "denied": [{"IPProtocol": "all"}], **mark}  # fmt: skip
        send(cloud, "POST", f"{COMPUTE}/global/firewalls", rule)
    for number, region in enumerate(regions()):
        subnet = {
            "name": "same",
            "network": f"{BASE}/global/networks/n-one",
            "ipCidrRange": f"10.{number}.0.0/24",
            **mark,
        }
        send(cloud, "POST", f"{COMPUTE}/regions/{region}/subnetworks", subnet)
        place = f"projects/{PROJECT}/locations/{region}"
        interface = {"network": "n-one", "subnetwork": "same"}
        service = {"labels": {"homeport": "home"}, "template": {
            "containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}],
            "vpcAccess": {"egress": "ALL_TRAFFIC", "networkInterfaces": [interface]}}}  # fmt: skip
        send(cloud, "POST", f"run.googleapis.com/v2/{place}/services?serviceId=serving", service)
        send(cloud, "POST", f"artifactregistry.googleapis.com/v1/{place}/repositories?repositoryId=images",
             {"format": "DOCKER", "labels": {"homeport": "home"}})  # fmt: skip
    gone = down(cloud)
    assert len([what for what in gone if what == "service serving"]) == len(regions())
    assert all_of(cloud) == before


def test_what_has_todays_names_and_no_mark_stays_with_all_that_is_in_it_and_is_told() -> None:
    cloud = new_cloud()
    network = {"name": "home", "autoCreateSubnetworks": False}
    send(cloud, "POST", f"{COMPUTE}/global/networks", network)
    zone = {"name": "home-googleapis-com", "dnsName": "googleapis.com.", "description": "", "visibility": "private",
            "privateVisibilityConfig": {"networks": [{"networkUrl": f"https://www.googleapis.com/compute/v1/{BASE}/global/networks/home"}]}}  # fmt: skip
    send(cloud, "POST", f"dns.googleapis.com/dns/v1/{BASE}/managedZones", zone)
    record = {"name": "googleapis.com.", "type": "A", "ttl": 300, "rrdatas": ["199.36.153.8"]}
    send(cloud, "POST", f"dns.googleapis.com/dns/v1/{BASE}/managedZones/home-googleapis-com/rrsets", record)
    send(cloud, "POST", f"iam.googleapis.com/v1/{BASE}/serviceAccounts", {"accountId": "home-run", "serviceAccount": {"displayName": "theirs"}})  # fmt: skip
    bindings = [{"role": "roles/owner", "members": [f"user:{OWNER}"]},
                {"role": "roles/logging.logWriter", "members": [f"serviceAccount:home-run@{PROJECT}.iam.gserviceaccount.com"]}]  # fmt: skip
    send(
        cloud,
        "POST",
        f"cloudresourcemanager.googleapis.com/v3/{BASE}:setIamPolicy",
        {"policy": {"bindings": bindings}},
    )
    before, heard = all_of(cloud), Heard()
    assert down(cloud, progress=heard) == ()
    assert all_of(cloud) == before
    assert "network/home stays: homeport did not make it" in heard.notes
    assert "service-account/home-run stays: homeport did not make it" in heard.notes


def test_grants_of_an_account_of_ours_that_is_gone_already_go_too() -> None:
    cloud = new_cloud()
    owner = {"role": "roles/owner", "members": [f"user:{OWNER}"]}
    policy = f"cloudresourcemanager.googleapis.com/v3/{BASE}:setIamPolicy"
    send(cloud, "POST", policy, {"policy": {"bindings": [owner]}})
    before = all_of(cloud)
    dead = [
        f"deleted:serviceAccount:{account}@{PROJECT}.iam.gserviceaccount.com?uid=123456789012345678901"
        for account in ("home-run", "theirs-run")
    ]
    writes = {"role": "roles/logging.logWriter", "members": dead}
    send(cloud, "POST", policy, {"policy": {"bindings": [owner, writes]}})
    assert len(down(cloud)) == 1
    (left,) = set(all_of(cloud)) - set(before)
    assert "theirs-run" in left


@pytest.mark.parametrize("kind", inventory.KINDS, ids=lambda kind: kind.kind)
def test_a_list_that_cannot_be_read_makes_down_incomplete_and_the_rest_goes(
    tmp_path: Path, kind: inventory.ListedKind
) -> None:
    cloud = new_cloud()
    before = all_of(cloud)
    up(cloud, file("vllm", tmp_path, NAME, REGION, isolated=True))
    cloud.faults.append(Fault(method=LISTS[kind.kind], status=403, times=1000))
    with pytest.raises(
        Incomplete, match=rf"^it is not known whether anything of home is left: .*{kind.plural}"
    ) as told:
        down(cloud)
    assert told.value.hint.endswith("run the same command again")
    assert told.value.exit_code == 27
    # What is called as today is found without its list; accounts stay, since they would leave their grants behind.
    left = {what for what in set(all_of(cloud)) - set(before) if " has " not in what}
    assert all(what.startswith("iam/") for what in left)
    assert bool(left) is (kind.kind == "service account")
    with pytest.raises(Incomplete):
        down(cloud)
    cloud.faults.clear()
    down(cloud)
    assert all_of(cloud) == before


class Broken(Cloud):
    """A cloud that lists no services in one region while it is `broken`."""

    broken = True

    async def handle(self, request: Request) -> Reply:
        if (
            self.broken
            and request.verb == "GET"
            and request.path.endswith("/locations/europe-west4/services")
        ):
            return self.refused("run", ApiError(503, "The service is currently unavailable."))
        return await Cloud.handle(self, request)


def test_one_region_that_cannot_be_read_is_no_empty_region(tmp_path: Path) -> None:
    cloud = Broken(delays=AT_ONCE, steps=Carrying())
    up(cloud, file("vllm", tmp_path, NAME, "europe-west4"))

    async def look() -> Services:
        async with google_for(cloud) as google:
            return await find_services(google, NAME, REGION)

    with pytest.raises(
        Incomplete, match=r"^it is not known whether home is deployed: services in europe-west4: "
    ):
        act(look())
    rows, unread = listed(cloud)
    assert [one.what for one in unread] == ["services in europe-west4"]
    assert [row.state for row in rows] == ["no service"], "its bucket carries the mark, too"
    cloud.broken = False
    rows, unread = listed(cloud)
    assert not unread
    assert [(row.name, row.region) for row in rows] == [("home", "europe-west4")]


def test_what_was_found_is_shown_though_another_region_cannot_be_read(tmp_path: Path) -> None:
    cloud = Broken(delays=AT_ONCE, steps=Carrying())
    up(cloud, file("vllm", tmp_path, NAME, "us-central1"))

    async def look() -> Services:
        async with google_for(cloud) as google:
            return await find_services(google, NAME, "us-central1")

    services = act(look())
    assert services.here["name"].endswith("/us-central1/services/home")
    assert [one.what for one in services.unread] == ["services in europe-west4"]


def test_where_nothing_at_all_can_be_read_the_reason_is_the_error() -> None:
    cloud = new_cloud()
    with pytest.raises(PermissionDenied):
        down(cloud, caller="stranger@example.com")


def test_a_new_project_has_nothing_though_none_of_its_apis_is_on() -> None:
    assert down(Cloud(delays=AT_ONCE)) == ()
    assert listed(Cloud(delays=AT_ONCE)) == ((), ())


def test_a_service_is_found_where_the_files_region_is_another_now(tmp_path: Path) -> None:
    cloud = new_cloud()
    up(cloud, file("vllm", tmp_path, NAME, "europe-west4"))

    async def look(name: str) -> tuple[str, tuple[str, ...]]:
        async with google_for(cloud) as google:
            found = await find_services(google, name, REGION)
            return found.here["name"], found.others

    assert act(look(NAME)) == (f"{BASE}/locations/europe-west4/services/home", ())
    with pytest.raises(
        NotFound, match=r"^house is not deployed in rehearsal: no service there carries"
    ) as told:
        act(look("house"))
    assert told.value.hint.endswith("deployed there: home")


def test_list_shows_every_endpoint_of_the_project_and_what_is_left_of_those_that_are_down(
    tmp_path: Path,
) -> None:
    cloud = new_cloud()
    up(cloud, file("vllm", tmp_path, NAME, REGION))
    up(cloud, file("ollama", tmp_path, "house", "europe-west4"), name="house")
    up(cloud, file("ollama", tmp_path, "gone", REGION), name="gone")
    down(cloud, "gone", purge=False)
    rows, unread = listed(cloud)
    assert not unread
    by_name = {row.name: row.as_json() for row in rows}
    assert list(by_name) == ["gone", "home", "house"]
    home = by_name["home"]
    (revision,) = home["traffic"]
    assert home["revision"] == revision
    assert home["traffic"][revision] == 100
    assert (home["region"], home["state"], home["on"], home["engine"]) == (
        REGION,
        "ready",
        "cloudrun",
        "vllm",
    )
    assert home["model"] == "gemma-4-taught"
    assert (home["min_instances"], home["max_instances"]) == (0, 1)
    # The smallest instance with an L4, by the catalog's prices.
    assert home["usd_per_hour"] == pytest.approx((4 * 0.000018 + 16 * 0.000002 + 0.0001867) * 3600, rel=0.001)
    assert home["verified"]["passed"]
    assert by_name["house"]["region"] == "europe-west4"
    assert (by_name["gone"]["state"], by_name["gone"]["usd_per_hour"]) == ("no service", None)
    assert by_name["gone"]["other"] == ["bucket rehearsal-gone-weights"]


def _of_this_cloud(cloud: Cloud, body: Any) -> Any:  # Any: JSON
    """The recorded body, with the revision that there is now: how its name ends is the cloud's to choose."""
    service = cloud.store.get("run", "projects/rehearsal/locations/us-central1/services/home")
    if service is None:
        return body
    revision = service.body["latestCreatedRevision"].rpartition("/")[2]
    return json.loads(re.sub(r"home-00001-\w+", revision, json.dumps(body)))


def test_a_deployment_that_the_first_version_made_is_found_shown_changed_and_taken_down(
    tmp_path: Path,
) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    before = all_of(cloud)
    for one in json.loads(RECORD.read_text()):
        cloud.clock.jump(600)
        send(cloud, one["verb"], one["url"], _of_this_cloud(cloud, one["body"]))
    cloud.clock.jump(600)
    ((row,), unread) = listed(cloud)
    assert not unread
    assert (row.name, row.state, row.region, row.model) == ("home", "ready", "us-central1", "gemma-4-taught")
    assert row.verified == {"at": "2026-11-28T00:00:00Z", "passed": True}

    async def found() -> tuple[str, ...]:
        async with google_for(cloud) as google:
            return tuple(one.id for one in (await find_managed(google, NAME)).resources)

    ids = act(found())
    for kind in ("service", "repository", "subnetwork", "network", "firewall", "zone", "bucket", "secret", "service-account", "grant"):  # fmt: skip
        assert any(id_.startswith(f"{kind}/") for id_ in ids), kind
    where = {"hub_token": "env:HF_TOKEN", "region": "us-central1"}
    access = {"callers": ["user:friend@example.com"], "isolated": True}
    wish = later(wanted("vllm", tmp_path, access=access, cloudrun=where))
    assert 0 < up(cloud, wish) < 10
    ((row,), _) = listed(cloud)
    assert row.traffic.keys() == {row.revision}
    down(cloud)
    assert all_of(cloud) == before


class Answers:
    """A door that answers every list alike."""

    project = PROJECT

    def __init__(self, page: dict[str, Any]) -> None:  # Any: JSON
        self.page = page

    def within(self, seconds: float) -> Answers:
        return self

    async def get(self, api: str, path: str, **query: Any) -> Any:  # Any: JSON
        await asyncio.sleep(0)
        return self.page if api == "compute" and "/networks" in path else {}


@pytest.mark.parametrize(
    "page",
    [{"unreachable": ["regions/us-east4"]}, {"warning": {"code": "UNREACHABLE", "message": "some of it"}}],
)
def test_what_google_itself_could_not_reach_is_told(page: dict[str, Any]) -> None:
    google: Any = Answers(page)
    found = act(take_inventory(google))
    assert [one.what for one in found.unread] == ["networks"]


@pytest.mark.parametrize("region", ["-", "nowhere"])
def test_cloud_run_lists_the_services_of_one_region_at_a_time(region: str) -> None:
    answer = act(Raw(new_cloud()).send("GET", f"run.googleapis.com/v2/{BASE}/locations/{region}/services"))
    assert answer.status == 400
    assert region in answer.error
