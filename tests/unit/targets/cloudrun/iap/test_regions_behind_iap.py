"""Identity-Aware Proxy before an endpoint in two regions: each region's service has it, and its own policy of who comes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import Raw, act
from deployers import AppliedPlan, applied
from deployment import google_for
from gcp_rehearsal.apis.iap.own_clients import has_client
from gcp_rehearsal.cloud import OWNER
from homeport import spec
from homeport.errors import Incomplete
from homeport.progress import Silent
from homeport.reconcile import Plan, apply
from homeport.targets.cloudrun.iap.entry import ACCESSOR
from homeport.targets.cloudrun.iap.target import with_iap
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import PreflightFinding, PreflightVerdict
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.service_labels import IAP_LABEL
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.teardown import take_down
from proxied import AGENT, ROBOT, TEAM, allow
from regions import FIRST, SECOND, InTwoRegions

DEPLOYER = "dev@example.com"
WEB = "projects/{project}/iap_web/cloud_run-{region}/services/home"
CLIENT = {"accessSettings": {"oauthSettings": {"clientId": "c.apps", "clientSecret": "s3"}}}


class ProxiedInTwoRegions(InTwoRegions):
    """Deploys it in two regions, behind the proxy where the file says so."""

    def through(self, *members: str, regions: tuple[str, ...] = (SECOND,)) -> spec.Spec:
        self.tables = {
            "access": {"iap": list(members)} if members else {"callers": ["user:friend@example.com"]}
        }
        return self.in_both(*regions) if regions else self.alone()

    def up(self, wanted: spec.Spec, *, canary: tuple[int, ...] = ()) -> AppliedPlan:
        chosen = self._choose(wanted)
        return applied(lambda: self._targeted(chosen, wanted, canary=canary))

    async def _targeted(
        self,
        chosen: ResolvedModel,
        wanted: spec.Spec,
        *,
        caller: str = OWNER,
        canary: tuple[int, ...] = (),
    ) -> CloudRunTarget:
        made = self.target(google_for(self.cloud, caller=caller), chosen, wanted, canary=canary)
        further = [await with_iap(one, changing=True) for one in made.further]
        return replace(await with_iap(made, changing=True), further=tuple(further))

    def looked_by(
        self, caller: str, wanted: spec.Spec, *, up: bool = False
    ) -> tuple[Plan, dict[str, PreflightFinding], frozenset[str]]:
        """What one plans, who finds that before, and which rights that asks for; with `up` it is applied, too."""
        chosen = self._choose(wanted)

        async def work() -> tuple[Plan, dict[str, PreflightFinding], frozenset[str]]:
            target = await self._targeted(chosen, wanted, caller=caller)
            plan, findings = await plan_of(target)
            if up:
                await apply(plan, Silent())
            asked = {need for one in (target, *target.further) for need in one.preflight_input().needs}
            rights = frozenset(right for name in asked for right in needs()[name].permissions)
            return plan, {finding.subject: finding for finding in findings.all}, rights

        return act(work())

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
    deployer.deployed(deployer.through(TEAM))
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
    deployer.deployed(deployer.through(TEAM))
    without = deployer.through()
    deployer.deployed(without)
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


def stays_labelled(deployer: ProxiedInTwoRegions, region: str, *members: str) -> None:
    """Have a service say that it had the proxy, and its policy let somebody in, as an `up` leaves them that was broken off."""
    stored = deployer.cloud.store.get("run", f"projects/rehearsal/locations/{region}/services/home")
    assert stored is not None
    stored.body["labels"][IAP_LABEL] = "service"
    bindings = [{"role": ACCESSOR, "members": list(members)}]
    deployer.cloud.access.set_policy(
        "iap", WEB.format(project="rehearsal", region=region), {"bindings": bindings}
    )


def doubts(plan: Plan) -> list[str]:
    return [one for one in plan.warnings if "who may still come in" in one]


def test_a_region_that_leaves_goes_for_who_may_not_see_its_policy_and_what_stays_is_told(
    deployer: ProxiedInTwoRegions,
) -> None:
    deployer.deployed(deployer.through(TEAM))
    without = deployer.through(regions=())
    _, _, asked = deployer.looked_by(OWNER, without)
    allow(deployer.cloud, DEPLOYER, {right for right in asked if not right.startswith("iap.")})
    plan, _, _ = deployer.looked_by(DEPLOYER, without, up=True)
    assert deployer.service_in(SECOND) is None
    assert deployer.comes_in(SECOND) == [TEAM]
    (first,) = [one for one in doubts(plan) if FIRST in one]
    (gone,) = [one for one in doubts(plan) if SECOND in one]
    assert "let them in again" not in first
    assert "let them in again" in gone
    assert WEB.format(project="481516234200", region=SECOND) in gone
    assert "iap.webServices.getIamPolicy" in gone
    assert f"--resource-type=cloud-run --region={SECOND} --service=home --project=rehearsal" in gone


def test_a_region_that_leaves_while_the_proxy_s_api_is_off_goes_and_what_stays_is_told(
    deployer: ProxiedInTwoRegions,
) -> None:
    deployer.deployed(deployer.through(TEAM))
    deployer.cloud.enabled.pop(("rehearsal", "iap.googleapis.com"))
    plan, _, _ = deployer.looked_by(OWNER, deployer.through(regions=()), up=True)
    assert (deployer.service_in(SECOND), deployer.comes_in(SECOND)) == (None, [TEAM])
    assert len(doubts(plan)) == 2
    (gone,) = [one for one in doubts(plan) if SECOND in one]
    assert WEB.format(project="481516234200", region=SECOND) in gone


def test_down_while_the_proxy_s_api_is_off_is_not_taken_for_one_that_left_nobody(
    deployer: ProxiedInTwoRegions,
) -> None:
    deployer.deployed(deployer.through(TEAM))
    deployer.cloud.enabled.pop(("rehearsal", "iap.googleapis.com"))

    async def down() -> None:
        google = google_for(deployer.cloud)
        await take_down(google, "home", purge=True, approve=None, progress=Silent(), tables=("edge",))

    with pytest.raises(Incomplete, match="who comes in to home through Identity-Aware Proxy") as told:
        act(down())
    assert FIRST in str(told.value)
    assert SECOND in str(told.value)


def test_what_is_not_known_of_a_further_region_is_told_with_its_name(deployer: ProxiedInTwoRegions) -> None:
    deployer.deployed(deployer.through(TEAM))
    without = deployer.through()
    deployer.deployed(without)
    stays_labelled(deployer, SECOND, TEAM)
    deployer.cloud.enabled.pop(("rehearsal", "iap.googleapis.com"))
    plan, _, _ = deployer.looked_by(OWNER, without, up=True)
    (told,) = doubts(plan)
    assert SECOND in told
    assert (deployer.comes_in(SECOND), deployer.comes_in(FIRST)) == ([TEAM], [])
    assert IAP_LABEL in deployer.service_in(SECOND)["labels"], "for the next plan"

    stays_labelled(deployer, FIRST, TEAM)
    plan, _, _ = deployer.looked_by(OWNER, without)
    assert [FIRST in one for one in doubts(plan)] == [True, False]
    assert [SECOND in one for one in doubts(plan)] == [False, True]


@pytest.mark.parametrize("level", ["", "/services/home"])
def test_a_client_of_one_region_is_not_taken_for_one_of_all(
    deployer: ProxiedInTwoRegions, level: str
) -> None:
    deployer.deployed(deployer.through(TEAM))
    settings = f"v1/projects/481516234200/iap_web/cloud_run-{FIRST}{level}:iapSettings"
    assert act(Raw(deployer.cloud).send("PATCH", f"iap.googleapis.com/{settings}", CLIENT)).status == 200
    _, found, _ = deployer.looked_by(OWNER, deployer.through(TEAM))
    verdicts = {
        FIRST: found["iap/organisation"].verdict,
        SECOND: found[f"iap/organisation in {SECOND}"].verdict,
    }
    assert verdicts == {FIRST: PreflightVerdict.OK, SECOND: PreflightVerdict.WARNING}
    for region, verdict in verdicts.items():
        name = f"projects/rehearsal/locations/{region}/services/home"
        service = deployer.cloud.store.get("run", name)
        assert service is not None
        assert has_client(deployer.cloud, service) is (verdict is PreflightVerdict.OK), "as it answers"


def test_a_further_region_of_which_nobody_is_left_asks_for_no_right(deployer: ProxiedInTwoRegions) -> None:
    deployer.deployed(deployer.through(TEAM))
    without = deployer.through()
    deployer.deployed(without)
    stays_labelled(deployer, SECOND, TEAM)
    change = "iap.webServices.setIamPolicy"
    assert change in deployer.looked_by(OWNER, without)[2]
    stays_labelled(deployer, SECOND)
    assert change not in deployer.looked_by(OWNER, without)[2]
