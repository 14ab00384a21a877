"""Identity-Aware Proxy before an endpoint in two regions: each region's service has it, and its own policy of who comes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployers import AppliedPlan, applied
from deployment import google_for
from homeport import spec
from homeport.targets.cloudrun.iap import ACCESSOR
from homeport.targets.cloudrun.iap_target import with_iap
from homeport.targets.cloudrun.service_labels import IAP_LABEL
from homeport.targets.cloudrun.target import CloudRunTarget
from proxied import AGENT, ROBOT, TEAM
from regions import FIRST, SECOND, InTwoRegions


class ProxiedInTwoRegions(InTwoRegions):
    """Deploys it in two regions, behind the proxy where the file says so."""

    def through(self, *members: str, regions: tuple[str, ...] = (SECOND,)) -> spec.Spec:
        self.tables = {
            "access": {"iap": list(members)} if members else {"callers": ["user:friend@example.com"]}
        }
        return self.in_both(*regions) if regions else self.alone()

    def up(self, wanted: spec.Spec, *, canary: tuple[int, ...] = ()) -> AppliedPlan:
        chosen = self._choose(wanted)

        async def targeted() -> CloudRunTarget:
            made = self.target(google_for(self.cloud), chosen, wanted, canary=canary)
            further = [await with_iap(one, changing=True) for one in made.further]
            return replace(await with_iap(made, changing=True), further=tuple(further))

        return applied(targeted)

    def comes_in(self, region: str) -> list[str]:
        name = f"projects/rehearsal/iap_web/cloud_run-{region}/services/home"
        bindings = self.cloud.access.policy("iap", name).get("bindings", [])
        return sorted(member for one in bindings if one["role"] == ACCESSOR for member in one["members"])

    def calls(self, region: str) -> list[str]:
        name = f"projects/rehearsal/locations/{region}/services/home"
        bindings = self.cloud.access.policy("run", name).get("bindings", [])
        return sorted(member for one in bindings for member in one["members"])


@pytest.fixture
def deployer(tmp_path: Path) -> ProxiedInTwoRegions:
    return ProxiedInTwoRegions("ollama", tmp_path)


def order_of(plan: Any) -> list[str]:  # Any: a plan of resources
    return [action.resource.id for action in plan.pending]


def test_each_region_has_it_and_people_are_let_in_there_before_clients_are_led_there(
    deployer: ProxiedInTwoRegions,
) -> None:
    plan, after = deployer.up(deployer.through(TEAM, ROBOT))
    assert after.pending == ()
    for region in (FIRST, SECOND):
        assert deployer.service_in(region)["iapEnabled"]
        assert deployer.service_in(region)["labels"][IAP_LABEL] == "service"
        assert (deployer.comes_in(region), deployer.calls(region)) == ([TEAM, ROBOT], [AGENT])
    order = order_of(plan)
    enters = [one for one in order if one.startswith("grant/iap.httpsResourceAccessor/team")]
    calls = [one for one in order if one.startswith("grant/run.invoker/service-")]
    assert (len(enters), len(calls)) == (2, 2)
    led = order.index("backend-service/home-edge")
    assert max(order.index(one) for one in (*enters, *calls)) < led
    releases = [one for one in order if one.startswith("release/")]
    for call, release in zip(calls, releases, strict=True):
        assert order.index(call) < order.index(release)


def test_who_is_named_no_more_goes_in_every_region_and_the_labels_with_the_last(
    deployer: ProxiedInTwoRegions,
) -> None:
    deployer.up(deployer.through(TEAM, ROBOT))
    _, after = deployer.up(deployer.through(ROBOT))
    assert (after.pending, [deployer.comes_in(one) for one in (FIRST, SECOND)]) == ((), [[ROBOT], [ROBOT]])
    _, after = deployer.up(deployer.through())
    assert after.pending == ()
    for region in (FIRST, SECOND):
        service = deployer.service_in(region)
        assert (bool(service.get("iapEnabled")), IAP_LABEL in service["labels"]) == (False, False)
        assert (deployer.comes_in(region), deployer.calls(region)) == ([], ["user:friend@example.com"])


def test_turned_on_before_what_serves_who_comes_in_is_let_in_before_each_region_changes(
    deployer: ProxiedInTwoRegions,
) -> None:
    deployer.up(deployer.through())
    plan, after = deployer.up(deployer.through(TEAM))
    assert after.pending == ()
    order = order_of(plan)
    enters = [one for one in order if one.startswith("grant/iap.httpsResourceAccessor/team")]
    services = [one for one in order if one.startswith("service/home")]
    assert (len(enters), len(services)) == (2, 2)
    for entering, service in zip(enters, services, strict=True):
        assert order.index(entering) < order.index(service)
    assert [deployer.calls(region) for region in (FIRST, SECOND)] == [[AGENT], [AGENT]]


def test_a_region_that_leaves_the_file_lets_nobody_in_any_more_before_its_service_goes(
    deployer: ProxiedInTwoRegions,
) -> None:
    deployer.up(deployer.through(TEAM))
    plan, after = deployer.up(deployer.through(TEAM, regions=()))
    assert after.pending == ()
    assert deployer.service_in(SECOND) is None
    assert (deployer.comes_in(FIRST), deployer.comes_in(SECOND)) == ([TEAM], [])
    order = order_of(plan)
    (leaves,) = [one for one in order if one.startswith("grant/iap.httpsResourceAccessor/")]
    assert order.index(leaves) < order.index(f"service/home in {SECOND}")


def test_a_region_whose_label_outlived_a_broken_off_up_is_looked_at_by_the_next(
    deployer: ProxiedInTwoRegions,
) -> None:
    deployer.up(deployer.through(TEAM))
    without = deployer.through()
    deployer.up(without)
    name = f"projects/rehearsal/locations/{SECOND}/services/home"
    stored = deployer.cloud.store.get("run", name)
    assert stored is not None
    stored.body["labels"][IAP_LABEL] = "service"
    policy = {"bindings": [{"role": ACCESSOR, "members": [TEAM]}]}
    deployer.cloud.access.set_policy(
        "iap", f"projects/rehearsal/iap_web/cloud_run-{SECOND}/services/home", policy
    )
    _, after = deployer.up(without)
    assert (after.pending, deployer.comes_in(SECOND)) == ((), [])
    assert IAP_LABEL not in deployer.service_in(SECOND)["labels"]
