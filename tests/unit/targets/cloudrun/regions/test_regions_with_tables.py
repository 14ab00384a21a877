"""Several regions with the other tables of the file: what each region has of its own, what all share, and the end of each table."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployment import google_for
from homeport.catalog.cloudrun import GIB
from homeport.errors import SpecError, StateError, VerificationFailed
from homeport.spec import Spec
from homeport.targets.cloudrun.facts import StayingFact
from homeport.targets.cloudrun.marks import TEMPLATE
from homeport.targets.cloudrun.plan import plan_of
from regions import FIRST, SECOND, InTwoRegions

TABLES: dict[str, dict[str, Any]] = {  # Any: values of homeport.toml
    "guard": {},
    "agent": {"tools": ["calculator"]},
    "scaling": {"warm": ["Mon-Fri 08:00-18:00 Europe/Berlin"]},
    "cloudrun": {"startup_cache": "auto"},
    "observe": {
        "alerts": ["mailto:ops@example.com"],
        "slo": {"availability": 0.99},
        "traces": True,
        "budget": 50,
    },
}
NUMBERED = "/(operations|packages|routes|o|executions)/|/serverless-|/services/[a-z]+.googleapis.com"
"""What stays in its place or has a number of Google's: images and files, operations, routes, APIs."""


@pytest.fixture
def deployer(tmp_path: Path) -> InTwoRegions:
    made = InTwoRegions("vllm", tmp_path)
    made.tables = dict(TABLES)
    return made


def there(deployer: InTwoRegions) -> set[str]:
    """What there is, by API and name."""
    named = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud) if not kept.body.get("deleted")}
    return {name for name in named if not re.search(NUMBERED, name)}


def granted(deployer: InTwoRegions) -> set[tuple[str, str, str]]:
    """Who of the endpoint's own accounts was granted what on what."""
    places = [("cloudresourcemanager", "projects/rehearsal")]
    places += [(kept.api, kept.name) for kept in things(deployer.cloud)]
    return {
        (f"{api}/{name}", binding["role"], member)
        for api, name in places
        for binding in deployer.cloud.access.policy(api, name).get("bindings", ())
        for member in binding.get("members", ())
        if "home-" in member
    }


def screen_in(deployer: InTwoRegions, region: str) -> Any:  # Any: JSON
    """What the gateway of a region is told of its screen."""
    template = deployer.service_in(region)["template"]
    (gateway,) = [one for one in template["containers"] if one["name"] == "gateway"]
    return json.loads(gateway["env"][0]["value"])


def values(value: Any, key: str) -> list[str]:  # Any: JSON
    """What stands under a key, wherever it is."""
    if isinstance(value, dict):
        own = [value[key]] if isinstance(value.get(key), str) else []
        return [*own, *(found for inner in value.values() for found in values(inner, key))]
    return [found for inner in value for found in values(inner, key)] if isinstance(value, list) else []


def without(deployer: InTwoRegions, *tables: str) -> None:
    """Take tables out of the file."""
    deployer.tables = {name: table for name, table in deployer.tables.items() if name not in tables}


def test_each_region_screens_by_its_own_template_and_has_its_own_way_there(deployer: InTwoRegions) -> None:
    plan, after = deployer.up(deployer.in_both())
    assert after.pending == (), after.pending
    names = there(deployer)
    for region in (FIRST, SECOND):
        place = f"projects/rehearsal/locations/{region}"
        assert screen_in(deployer, region)["template"] == f"{place}/templates/home-guard"
        assert f"modelarmor/{place}/templates/home-guard" in names
        assert f"networkconnectivity/{place}/regionalEndpoints/home-guard" in names
        record = f"modelarmor.{region}.rep.googleapis.com./A"
        assert any(name.endswith(record) for name in names), record
    order = [action.resource.id for action in plan.pending]
    for first in ("model-armor-template/home-guard", "regional-endpoint/home-guard", "image/gateway"):
        assert order.index(f"{first} in {SECOND}") < order.index(f"service/home in {SECOND}")


def test_each_region_has_its_own_warm_hours_and_caches_and_one_agent_may_call_each(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    names = there(deployer)
    for region in (FIRST, SECOND):
        place = f"projects/rehearsal/locations/{region}"
        assert f"cloudscheduler/{place}/jobs/home-warm-0800" in names
        job = deployer.cloud.store.get("cloudscheduler", f"{place}/jobs/home-warm-0800")
        assert job is not None
        assert f"/{place}/services/home?" in job.body["httpTarget"]["uri"]
    caches = {"rehearsal-home-caches", f"rehearsal-home-caches-{SECOND}"}
    for region, bucket in zip((FIRST, SECOND), sorted(caches), strict=True):
        text = json.dumps(deployer.service_in(region)["template"]["volumes"])
        assert f'"{bucket}"' in text
    assert {name.rpartition("/")[2] for name in names if "-caches" in name} == caches
    agents = [name for name in names if name.endswith("/services/home-agent")]
    assert agents == [f"run/projects/rehearsal/locations/{FIRST}/services/home-agent"]
    invokers = [
        grant for grant in granted(deployer) if "home-agent@" in grant[2] and "/services/home" in grant[0]
    ]
    assert sorted(grant[0].split("/")[4] for grant in invokers) == [FIRST, SECOND]
    for region in (FIRST, SECOND):
        assert deployer.service_in(region)["defaultUriDisabled"] is True, (
            "the agent asks at the load balancer"
        )


def test_metrics_come_from_each_region_and_one_dashboard_shows_them_apart(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    for region, secret in ((FIRST, "home-observe"), (SECOND, f"home-observe-{SECOND}")):
        kept = deployer.cloud.store.get("secretmanager", f"projects/rehearsal/secrets/{secret}")
        assert kept is not None
        assert [one["location"] for one in kept.body["replication"]["userManaged"]["replicas"]] == [region]
        template = deployer.service_in(region)["template"]
        assert {"serving", "gateway", "metrics", "traces"} <= {one["name"] for one in template["containers"]}
        assert f'"{secret}"' in json.dumps(template["volumes"])
    kinds = [re.sub("/[^/]+$", "", name) for name in there(deployer) if name.startswith("monitoring/")]
    assert kinds.count("monitoring/projects/rehearsal/dashboards") == 1, kinds
    assert kinds.count("monitoring/projects/rehearsal/notificationChannels") == 1, kinds
    watching = [kept.body for kept in things(deployer.cloud) if kept.api == "monitoring"]
    queries = [*values(watching, "query"), *values(watching, "prometheusQuery")]
    assert len(queries) > 15
    assert [query for query in queries if "location" not in query] == []
    legends = values(watching, "legendTemplate")
    assert [legend for legend in legends if not legend.endswith(" ${location}")] == []


def test_a_table_that_leaves_the_file_takes_what_it_made_in_every_region(deployer: InTwoRegions) -> None:
    deployer.tables = {}
    deployer.up(deployer.in_both())
    plain, rights = there(deployer), granted(deployer)
    deployer.tables = dict(TABLES)
    deployer.up(deployer.in_both())
    assert len(there(deployer) - plain) > 10
    deployer.tables = {}
    _, after = deployer.up(deployer.in_both())
    assert after.pending == (), after.pending
    # What was compiled stays for a way back, until the endpoint goes.
    left = {name for name in there(deployer) - plain if "-caches" not in name}
    assert left == set(), left
    assert {grant for grant in granted(deployer) - rights if "-caches" not in grant[0]} == set()
    assert plain - there(deployer) == set()


@pytest.mark.parametrize("region", [FIRST, SECOND])
@pytest.mark.parametrize(
    ("table", "beside", "roles"),
    [
        ("guard", "gateway", {"roles/modelarmor.user"}),
        (
            "observe",
            "metrics",
            {"roles/monitoring.metricWriter", "roles/logging.logWriter", "roles/telemetry.tracesWriter"},
        ),
    ],
)
def test_what_serves_keeps_its_rights_until_every_region_serves_without_the_table_that_left(
    deployer: InTwoRegions, table: str, beside: str, roles: set[str], region: str
) -> None:
    def rights() -> set[str]:
        return {role for _, role, member in granted(deployer) if "home-run@" in member}

    def serving(region: str) -> set[str]:
        name = f"projects/rehearsal/locations/{region}/services/home/revisions/{deployer.serving_in(region)}"
        kept = deployer.cloud.store.get("run", name)
        assert kept is not None
        return {one["name"] for one in kept.body["containers"]}

    deployer.tables = {table: TABLES[table]}
    deployer.deployed(deployer.in_both())
    deployer.tables = {}
    deployer.broken_in = {region}
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.in_both())
    assert beside in serving(region)
    assert roles <= rights(), "it would refuse everything, or tell nothing"
    deployer.broken_in = set()
    _, after = deployer.up(deployer.in_both())
    assert after.pending == (), after.pending
    assert roles & rights() == set()


def test_a_region_that_leaves_the_file_takes_what_its_tables_made_there(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    plan, after = deployer.up(deployer.alone())
    assert after.pending == (), after.pending
    order = [action.resource.id for action in plan.pending]
    # The subnetwork goes once nothing in it has an address.
    assert order.index(f"regional-endpoint/home-guard in {SECOND}") < order.index(
        f"subnetwork/home in {SECOND}"
    )
    assert [name for name in there(deployer) if SECOND in name] == []
    assert screen_in(deployer, FIRST)["template"].startswith(f"projects/rehearsal/locations/{FIRST}/")


def test_tables_and_a_region_may_leave_at_once(deployer: InTwoRegions) -> None:
    deployer.deployed(deployer.in_both())
    deployer.tables = {}
    _, after = deployer.up(deployer.alone())
    assert after.pending == (), after.pending
    assert [name for name in there(deployer) if SECOND in name] == []


def test_a_change_that_fails_in_the_second_region_goes_on_from_there(deployer: InTwoRegions) -> None:
    without(deployer, "guard")
    deployer.deployed(deployer.in_both())
    before = deployer.serving_in(SECOND)
    deployer.tables["guard"] = {}
    deployer.broken_in = {SECOND}
    with pytest.raises(VerificationFailed, match=f"^{SECOND}: "):
        deployer.up(deployer.in_both())
    assert deployer.serving_in(SECOND) == before
    deployer.broken_in = set()
    _, after = deployer.up(deployer.in_both())
    assert after.pending == (), after.pending
    assert deployer.serving_in(SECOND) != before


def test_what_was_begun_in_a_further_region_goes_with_the_table_that_wanted_it(
    deployer: InTwoRegions,
) -> None:
    deployer.broken_in = {FIRST}
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.in_both())
    deployer.broken_in = set()
    deployer.tables = {}
    _, after = deployer.up(deployer.in_both())
    assert after.pending == (), after.pending
    left = [name for name in there(deployer) if re.search("guard|modelarmor|cloudscheduler|observe", name)]
    assert left == []


def test_no_region_goes_back_to_what_answers_unscreened(deployer: InTwoRegions) -> None:
    without(deployer, "guard")
    deployer.deployed(deployer.in_both())
    deployer.tables["guard"] = {}
    deployer.up(deployer.in_both(context=512))
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    with pytest.raises(StateError, match=r"answers unscreened, and the file has a \[guard\]"):
        deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before
    deployer.up(deployer.in_both(context=768))
    deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_a_change_that_no_mark_tells_goes_back_in_every_region_with_all_tables(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    sums = {deployer.service_in(region)["template"]["annotations"][TEMPLATE] for region in (FIRST, SECOND)}
    assert len(sums) == 1, "names of regions, buckets and secrets are not in it"
    deployer.up(deployer.in_both(parallel=2))
    deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_a_region_without_its_screen_stops_the_way_back_before_anything_changes(
    deployer: InTwoRegions,
) -> None:
    deployer.deployed(deployer.in_both())
    deployer.up(deployer.in_both(context=512))
    before = {region: deployer.serving_in(region) for region in (FIRST, SECOND)}
    place = f"projects/rehearsal/locations/{SECOND}/templates/home-guard"
    template = deployer.cloud.store.get("modelarmor", place)
    assert template is not None
    deployer.cloud.store.remove(template)
    with pytest.raises(StateError, match=f"^{SECOND}: .* screens by the template home-guard, which is gone"):
        deployer.back(deployer.in_both())
    assert {region: deployer.serving_in(region) for region in (FIRST, SECOND)} == before


def test_down_leaves_nothing_of_any_table_in_any_region(deployer: InTwoRegions) -> None:
    empty = there(deployer)
    deployer.deployed(deployer.in_both())
    deployer.down(deployer.in_both(), purge=True)
    assert there(deployer) - empty == set()
    assert granted(deployer) == set()


def test_a_plan_prices_every_region(deployer: InTwoRegions) -> None:
    facts = {fact.key: fact for fact in deployer.planned(deployer.in_both()).facts}
    one = {fact.key: fact for fact in deployer.planned(deployer.alone()).facts}
    both, alone = facts["warm_hours"].as_json(), one["warm_hours"].as_json()
    assert (both["regions"], alone["regions"]) == (2, 1)
    assert both["usd_per_month"] > alone["usd_per_month"] * 1.5
    assert "one instance in each of 2 regions" in facts["warm_hours"].text
    assert facts["guard_cost"].as_json()["usd_per_month"] == 2 * one["guard_cost"].as_json()["usd_per_month"]
    assert facts["startup_cache"].as_json()["making_usd"] > one["startup_cache"].as_json()["making_usd"]
    assert "in each of 2 regions" in facts["startup_cache"].text


def test_weights_are_kept_and_paid_for_in_each_region(deployer: InTwoRegions) -> None:
    def kept(wanted: Spec) -> float:
        chosen = deployer._choose(wanted)

        async def work() -> float:
            target = deployer.target(google_for(deployer.cloud), chosen, wanted)
            large = replace(target.chosen.published, size=60 * GIB)
            plan, _ = await plan_of(replace(target, chosen=replace(target.chosen, published=large)))
            return next(fact.weights_gib for fact in plan.facts if isinstance(fact, StayingFact))

        return act(work())

    assert (kept(deployer.alone()), kept(deployer.in_both())) == (60, 120)


def test_a_template_of_one_region_is_refused(deployer: InTwoRegions) -> None:
    deployer.tables["guard"] = {"template": f"projects/rehearsal/locations/{FIRST}/templates/mine"}
    with pytest.raises(SpecError, match="a template of Model Armor is in one region"):
        deployer.in_both()
