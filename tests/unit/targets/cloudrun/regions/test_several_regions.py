"""One endpoint in several regions: their order, what each has of its own, a failure, a region less, and the end of all."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployers import UNPROVEN
from deployment import google_for
from edges import DOMAIN
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.runtime.container_state import Failure
from homeport.catalog import cloudrun as catalog
from homeport.errors import (
    Incomplete,
    PermissionDenied,
    SpecError,
    StateError,
    Unsupported,
    VerificationFailed,
    WeightsError,
)
from homeport.google import Google
from homeport.progress import Silent
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.results import Status
from homeport.spec import Spec
from homeport.spec.guard import UNSCREENED
from homeport.targets.cloudrun import inventory
from homeport.targets.cloudrun.endpoints import describe
from homeport.targets.cloudrun.foundations import RANGE, subnet_range
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.regions.report import merged
from homeport.targets.cloudrun.status_usage import with_usage
from regions import FIRST, SECOND, InTwoRegions

KEY = f"projects/rehearsal/locations/{FIRST}/keyRings/r/cryptoKeys/k"
CLOSED = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"


@pytest.fixture
def deployer(tmp_path: Path) -> InTwoRegions:
    return InTwoRegions("vllm", tmp_path)


def names_of(deployer: InTwoRegions) -> set[str]:
    """What there is, by the end of its name."""
    return {kept.name for kept in things(deployer.cloud)}


def parts(deployer: InTwoRegions) -> dict[str, Any]:  # Any: JSON
    """What there is of the load balancer, by place, collection and name."""
    return {
        "/".join(kept.name.split("/")[-3:]): kept.body
        for kept in things(deployer.cloud)
        if kept.api == "compute"
    }


def test_a_region_follows_the_other_and_the_load_balancer_comes_behind_both(deployer: InTwoRegions) -> None:
    plan, after = deployer.up(deployer.in_both())
    order = [action.resource.id for action in plan.pending]
    there = f" in {SECOND}"
    assert order.index("release/home") < order.index(f"service/home{there}")
    assert order.index(f"release/home{there}") < order.index("backend-service/home-edge")
    assert after.pending == (), after.pending
    for region in (FIRST, SECOND):
        service = deployer.service_in(region)
        assert (service["ingress"], service["defaultUriDisabled"]) == (CLOSED, True)
        assert service["customAudiences"] == [f"https://{DOMAIN}"]
        assert service["labels"]["homeport"] == "home"
    assert deployer.service_in(SECOND)["labels"]["homeport-further"] == FIRST
    assert f"homeport-in-{SECOND}" in deployer.service_in(FIRST)["labels"]


def test_each_region_has_its_own_bucket_image_and_addresses_and_all_share_the_rest(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    names = names_of(deployer)
    buckets = {name.rpartition("/")[2] for name in names}
    assert {"rehearsal-home-weights", f"rehearsal-home-weights-{SECOND}"} <= buckets, sorted(names)
    accounts = [name for name in names if "/serviceAccounts/home-run@" in name]
    assert len(accounts) == 1
    ranges = {kept.body["ipCidrRange"] for kept in things(deployer.cloud) if "/subnetworks/home" in kept.name}
    assert len(ranges) == 2
    assert RANGE in ranges
    image = deployer.service_in(SECOND)["template"]["containers"][0]["image"]
    assert image.startswith(f"{SECOND}-docker.pkg.dev/"), image


def test_clients_are_led_to_both_regions_and_a_header_to_each_alone(deployer: InTwoRegions) -> None:
    from gcp_rehearsal.apis.compute.url_maps import service_for

    deployer.deployed(deployer.in_both())
    there = parts(deployer)
    main = there["global/backendServices/home-edge"]
    assert [one["group"].split("/")[-3] for one in main["backends"]] == [FIRST, SECOND]
    assert main["outlierDetection"]["consecutiveErrors"] == 5
    routes = there["global/urlMaps/home-edge"]
    for name in (
        f"home-edge-in-{FIRST}",
        f"home-edge-in-{SECOND}",
        "home-edge-candidate",
        f"home-edge-candidate-{SECOND}",
    ):
        backend = there[f"global/backendServices/{name}"]
        assert len(backend["backends"]) == 1
        headers = {CANDIDATE_HEADER: backend["id"]}
        assert service_for(routes, DOMAIN, "/v1/models", headers).endswith(f"/backendServices/{name}")
    assert len(routes["tests"]) == 5, "Google refuses a map that does not route so"


def test_a_change_that_fails_in_the_first_region_leaves_the_second_as_it_was(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    deployer.broken_in, deployer.proven_in = {FIRST}, []
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.in_both(parallel=2))
    assert deployer.proven_in == [FIRST]
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before
    assert deployer.service_in(SECOND)["latestReadyRevision"].endswith(before[SECOND]), (
        "none was even made there"
    )


def test_a_change_that_fails_in_the_second_region_leaves_that_serving_what_it_served(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    deployer.broken_in = {SECOND}
    with pytest.raises(VerificationFailed, match=f"{SECOND}: the new revision of home"):
        deployer.up(deployer.in_both(parallel=2))
    assert deployer.serving_in(FIRST) != before[FIRST]
    assert deployer.serving_in(SECOND) == before[SECOND]
    deployer.broken_in = set()
    _, after = deployer.up(deployer.in_both(parallel=2))
    assert after.pending == (), "the same command goes on from there"
    assert deployer.serving_in(SECOND) != before[SECOND]


def test_a_failure_in_a_further_region_is_explained_and_says_where(deployer: InTwoRegions) -> None:
    deployer.later = Failure(
        message="The container failed to start: mounting volume 'weights' of type Cloud Storage failed: odd"
    )
    with pytest.raises(WeightsError, match=rf"^{SECOND}: (?!{SECOND})") as failed:
        deployer.rolled_out(deployer.in_both())
    assert f"now: {FIRST} serves by" in failed.value.hint


def test_reports_of_regions_are_one_in_which_each_check_says_its_region() -> None:
    both = merged({FIRST: UNPROVEN, SECOND: UNPROVEN}, FIRST)
    assert both is not None
    assert [one.name for one in both.results] == ["chat", "stream", f"{SECOND}/chat", f"{SECOND}/stream"]
    assert both.seconds == 2.0
    alone = merged({SECOND: UNPROVEN}, FIRST)
    assert alone is not None
    assert {one.name for one in alone.results} == {f"{SECOND}/chat", f"{SECOND}/stream"}, (
        "it alone was released"
    )
    assert merged({}, FIRST) is None


def test_the_way_back_is_in_every_region_what_the_first_one_served_before(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    deployer.deployed(deployer.in_both(context=512))
    said = deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before
    assert said.serving == f"{before[FIRST]} in {FIRST}, {before[SECOND]} in {SECOND}"
    assert said.changed == (f"release/home in {SECOND}", "release/home")


@pytest.mark.parametrize("nth", [1, 2])
def test_a_way_back_that_failed_in_a_region_is_finished_by_another_and_not_undone(
    deployer: InTwoRegions, nth: int
) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    deployer.deployed(deployer.in_both(context=512))
    deployer.cloud.faults.append(Fault(method="run.projects.locations.services.patch", nth=nth, status=403))
    with pytest.raises(PermissionDenied, match=f"^{(SECOND, FIRST)[nth - 1]}: ") as failed:
        deployer.back(deployer.in_both())
    assert f"{FIRST} serves what it served" in failed.value.hint or nth == 2, failed.value.hint
    assert deployer.serving_in(FIRST) != before[FIRST], "what is gone back from is told by it to the end"
    deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_the_way_back_from_a_change_that_stopped_half_way_leaves_the_region_that_never_changed(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    deployer.deployed(deployer.in_both(context=512))
    second = deployer.serving_in(SECOND)
    first = deployer.serving_in(FIRST)
    deployer.broken_in = {SECOND}
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.in_both(context=768))
    deployer.back(deployer.in_both())
    assert deployer.serving_in(FIRST) == first
    assert deployer.serving_in(SECOND) == second, "its own before would have been another context"


def test_a_region_without_what_the_first_one_served_before_stops_the_way_back_before_anything_changes(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.alone())
    deployer.deployed(deployer.in_both(context=512))
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    with pytest.raises(
        StateError, match=f"{SECOND} has no verified revision that serves what .* nothing was changed"
    ):
        deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_a_way_back_without_the_file_turns_back_no_region_alone(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    deployer.deployed(deployer.in_both(context=512))
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    with pytest.raises(
        StateError, match=rf"serves in several regions \({FIRST}, {SECOND}\).* nothing was changed"
    ):
        deployer.back_by_name()
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_a_way_back_without_the_file_is_gone_once_the_other_region_is_gone(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    deployer.deployed(deployer.alone())
    first = deployer.serving_in(FIRST)
    deployer.deployed(deployer.alone(context=512))
    assert f"homeport-in-{SECOND}" in deployer.service_in(FIRST)["labels"], "it tells of what was"
    assert deployer.back_by_name() == deployer.serving_in(FIRST) == first


def test_where_other_regions_may_not_be_read_no_way_back_without_the_file(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    deployer.deployed(deployer.in_both(context=512))
    before = deployer.serving_in(FIRST)
    listed = sorted(catalog.regions()).index(SECOND) + 1
    denied = Fault(method="run.*services.list", nth=listed, status=403)
    deployer.cloud.faults.append(denied)
    with pytest.raises(Incomplete, match="not known in which regions"):
        deployer.back_by_name()
    assert deployer.serving_in(FIRST) == before


@pytest.mark.parametrize("half_way", [False, True])
def test_a_change_that_no_mark_tells_is_turned_back_by_the_sum_of_what_was_asked_for(
    deployer: InTwoRegions, half_way: bool
) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    assert deployer.sum_in(FIRST) == deployer.sum_in(SECOND)
    if half_way:
        deployer.broken_in = {SECOND}
        with pytest.raises(VerificationFailed):
            deployer.up(deployer.in_both(parallel=2))
    else:
        deployer.up(deployer.in_both(parallel=2))
    deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_the_way_back_takes_the_revision_with_the_same_sum_though_a_later_one_has_the_same_marks(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    deployer.up(deployer.in_both(parallel=2))
    gone = deployer.serving_in(FIRST)
    deployer.back(deployer.in_both())
    deployer.up(deployer.in_both(context=512))
    deployer.take_away(FIRST, gone)
    deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


@pytest.mark.parametrize("older", ["both", "the one that serves", "the one before"])
def test_a_change_that_no_mark_tells_and_whose_revisions_have_no_sum_stops_the_way_back_before_anything_changes(
    deployer: InTwoRegions, older: str
) -> None:
    deployer.deployed(deployer.in_both())
    if older != "the one that serves":
        deployer.forget_sums()
    deployer.up(deployer.in_both(parallel=2))
    if older != "the one before":
        deployer.forget_sums()
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    with pytest.raises(StateError, match=r"differ in none of what a revision tells .* nothing was changed"):
        deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_where_the_other_region_has_no_revision_of_that_sum_the_way_back_stops_before_anything_changes(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    deployer.forget_sums(SECOND)
    deployer.up(deployer.in_both(parallel=2))
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    with pytest.raises(
        StateError, match=f"{SECOND} has no verified revision that serves what .* nothing was"
    ):
        deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_an_endpoint_in_one_region_has_no_sum_so_that_a_new_version_of_homeport_makes_no_revision(
    deployer: InTwoRegions,
) -> None:
    deployer.up(deployer.alone())
    assert deployer.sum_in(FIRST) == ""


def test_an_export_that_is_refused_points_to_nothing_that_would_make_two_of_one_name(
    deployer: InTwoRegions,
) -> None:
    with pytest.raises(Unsupported) as refused:
        act(deployer.lifecycle(google_for(deployer.cloud), deployer.in_both()).export("knative", Silent()))
    assert (
        refused.value.hint
        == "it is exported as gcloud, terraform, cloudbuild, trigger, github; `homeport up --on cloudrun` makes it, too"
    )


def test_a_service_that_repeats_another_endpoint_is_left(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    deployer.service_in(SECOND)["labels"]["homeport-further"] = "asia-southeast1"
    deployer.deployed(deployer.alone())
    assert deployer.service_in(SECOND) is not None


def test_status_tells_each_region_and_calls_none_of_them_another_endpoint(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    status = act(describe(google_for(deployer.cloud), "home", SECOND))
    assert [one.region for one in status.regions] == [FIRST, SECOND], (
        "the first one first, whichever was asked for"
    )
    assert status.also_in == ()
    assert {one.closed for one in status.regions} == {True}
    assert {one.model for one in status.regions} == {status.model}
    deployer.up(deployer.alone())
    assert act(describe(google_for(deployer.cloud), "home", FIRST)).regions == ()


def told(deployer: InTwoRegions, wanted: Spec) -> Status:
    """The status by its file."""
    return act(deployer.lifecycle(google_for(deployer.cloud), wanted).status(usage=False))


def test_status_tells_what_a_way_back_of_all_regions_comes_to(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    assert told(deployer, deployer.in_both()).rollback_to is None
    deployer.up(deployer.in_both(context=512))
    status = told(deployer, deployer.in_both())
    assert status.rollback_to == f"{before[FIRST]} in {FIRST}, {before[SECOND]} in {SECOND}"
    by_name = act(describe(google_for(deployer.cloud), "home", FIRST))
    assert by_name.rollback_to is None
    assert "must go back together" in by_name.rollback_refused


def test_status_tells_that_a_way_back_would_be_refused_and_why(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.alone())
    deployer.deployed(deployer.in_both(context=512))
    refused = told(deployer, deployer.in_both())
    assert refused.rollback_to is None
    assert f"{SECOND} has no verified revision that serves what" in refused.rollback_refused


@pytest.mark.parametrize("second", ["not made yet", "deleted by hand"])
def test_a_region_that_is_not_there_is_told_by_status_and_stops_the_way_back_with_its_name(
    deployer: InTwoRegions, second: str
) -> None:
    made = deployer.alone if second == "not made yet" else deployer.in_both
    deployer.up(made())
    deployer.up(made(context=512))
    kept = deployer.cloud.store.get("run", f"projects/rehearsal/locations/{SECOND}/services/home")
    if kept is not None:
        deployer.cloud.store.remove(kept)
    before = deployer.serving_in(FIRST)
    with pytest.raises(StateError, match=f"^{SECOND}: .* nothing was changed in any region") as refused:
        deployer.back(deployer.in_both())
    status = told(deployer, deployer.in_both())
    assert (status.rollback_to, status.rollback_refused) == (None, str(refused.value))
    assert deployer.serving_in(FIRST) == before


def test_where_a_region_was_not_seen_status_tells_no_way_back_and_no_usage_as_that_of_all(
    deployer: InTwoRegions, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer.up(deployer.in_both())
    deployer.up(deployer.in_both(context=512))
    google = google_for(deployer.cloud)
    lists = inventory._listed

    async def denied(google: Google, kind: Any, region: str) -> Any:  # Any: as a list is read
        if region == SECOND:
            return [], inventory._unread(kind, region, PermissionDenied("403"))
        return await lists(google, kind, region)

    monkeypatch.setattr(inventory, "_listed", denied)
    status = act(describe(google, "home", FIRST))
    assert (status.rollback_to, status.regions) == (None, ())
    assert "in which regions home serves is not known: " in status.rollback_unknown
    assert act(with_usage(google, status)) is status
    assert status.usage_unknown == status.rollback_unknown


def test_a_startup_cache_that_one_region_alone_has_room_for_keeps_no_region_from_the_way_back(
    deployer: InTwoRegions, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = deployer.target

    def without_room(*asked: Any, **how: Any) -> Any:  # Any: as a target is made
        target = made(*asked, **how)
        return replace(target, further=tuple(replace(other, no_cache="no room") for other in target.further))

    monkeypatch.setattr(deployer, "target", without_room)
    deployer.tables = {"cloudrun": {"startup_cache": "auto"}}
    deployer.up(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    deployer.up(deployer.in_both(parallel=2))
    deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_a_refused_way_back_says_what_differs_there(deployer: InTwoRegions) -> None:
    deployer.up(deployer.alone(context=768))
    deployer.up(deployer.in_both(context=512))
    refused = told(deployer, deployer.in_both()).rollback_refused
    assert f"serves what {FIRST} served before" in refused
    assert "differs in context 512 instead of 768" in refused


def test_status_prices_each_region(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    status = act(describe(google_for(deployer.cloud), "home", FIRST))
    prices = {one.region: one.usd_per_hour for one in status.regions}
    assert prices.keys() == {FIRST, SECOND}
    assert all(price and price > 0.5 for price in prices.values()), "of a GPU"


def test_a_region_that_is_taken_out_of_the_file_goes_once_nothing_leads_there(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    plan, after = deployer.up(deployer.alone())
    order = [(action.kind.value, action.resource.id) for action in plan.pending]
    led = order.index(("update", "backend-service/home-edge"))
    gone = order.index(("delete", f"service/home in {SECOND}"))
    assert led < gone
    assert all(order.index(one) < gone for one in order if one[0] == "delete" and "endpoint-group" in one[1])
    assert after.pending == (), after.pending
    assert "outlierDetection" not in parts(deployer)["global/backendServices/home-edge"]
    left = [name for name in names_of(deployer) if SECOND in name]
    assert left == [], left
    assert deployer.serving_in(FIRST)


def test_without_an_edge_no_further_region_is_left(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    _, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    assert [name for name in names_of(deployer) if SECOND in name] == []
    assert deployer.service_in(FIRST)["ingress"] == "INGRESS_TRAFFIC_ALL"


def test_down_leaves_nothing_in_any_region(deployer: InTwoRegions) -> None:
    empty = names_of(deployer)
    deployer.deployed(deployer.in_both())
    deployer.down(deployer.in_both(), purge=True)
    left = {name for name in names_of(deployer) - empty if not re.search(r"/(services|operations)/", name)}
    assert [name for name in left if "home" in name] == []
    assert deployer.service_in(FIRST) is None
    assert deployer.service_in(SECOND) is None


def test_no_two_regions_of_the_catalog_have_the_same_addresses() -> None:
    regions = catalog.regions()
    ranges = {
        subnet_range(Names(name="home", project="p", region=region, further=True)) for region in regions
    }
    assert len(ranges) == len(regions)
    assert RANGE not in ranges


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cloudrun": {}}, r"which is the first must be said"),
        ({"edge": {"regions": [FIRST]}}, rf"{FIRST} is that of \[cloudrun\] already"),
        ({"edge": {"regions": ["europe-west99"]}}, r"has no GPU"),
        ({"edge": {"regions": [SECOND, SECOND]}}, r"names one twice"),
        ({"edge": {"regions": [SECOND], "kind": "regional"}}, r'regions are for kind = "global"'),
        ({"guard": {"template": f"projects/p/locations/{FIRST}/templates/t"}}, r"not built together with guard.template"),
        ({"guard": {"where": "traffic-extension", "unscreened": list(UNSCREENED)}}, r"not built together with guard.where"),
        ({"access": {"encryption_key": KEY}}, r"wants a key in each region.*locations/\{region\}/"),
    ],
)  # fmt: skip
def test_what_several_regions_cannot_be_is_refused_with_the_reason(
    deployer: InTwoRegions, change: dict[str, Any], why: str
) -> None:
    from homeport import spec

    wanted = deployer.in_both().model_dump(exclude_unset=True)
    edge = {**wanted["edge"], **change.get("edge", {})}
    with pytest.raises(SpecError, match=why):
        spec.parse({**wanted, **change, "edge": edge})
