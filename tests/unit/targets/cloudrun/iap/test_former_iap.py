"""A file that no longer stands behind Identity-Aware Proxy: what is left of it is looked for until nothing is, and after that not."""

from __future__ import annotations

import pytest

from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.faults import parse
from gcp_rehearsal.iam.permissions import required
from homeport import spec
from homeport.errors import PermissionDenied
from homeport.targets.cloudrun.iap.entry import ACCESSOR
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.service_labels import BUDGET_LABEL, IAP_LABEL
from homeport.targets.cloudrun.target import CloudRunTarget
from observed import WithObserve
from proxied import ROBOT, TEAM, WEB, Proxied

DEPLOYER = "dev@example.com"
LOOK = "iap.webServices.getIamPolicy"
WITHOUT_WHICH_IT_GOES_ON = {
    ("cloudquotas.quotas.get",),
    ("orgpolicy.policy.get",),
    ("compute.firewalls.get",),
}
"""What preflight reads with them is said to be not checked."""


@pytest.fixture
def deployer() -> Proxied:
    return Proxied("ollama")


def denied(deployer: Proxied) -> set[tuple[str, ...]]:
    return {
        required(one.method) for one in deployer.cloud.log if one.caller == DEPLOYER and one.status == 403
    }


def test_once_nobody_comes_in_any_more_no_plan_asks_for_the_right_to_look(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM, ROBOT))
    without = deployer.through()
    rights = deployer.rights_asked_for(without)
    assert LOOK in rights, "while the service says that it had the proxy"
    deployer.allow(DEPLOYER, rights)
    revision = deployer.service["latestCreatedRevision"]
    _, found, _ = deployer.looked_by(DEPLOYER, without, up=True)
    assert found["permissions"].verdict is PreflightVerdict.OK
    assert denied(deployer) <= WITHOUT_WHICH_IT_GOES_ON
    assert deployer.members("iap", WEB) == {}
    assert IAP_LABEL not in deployer.service["labels"]
    assert deployer.service["labels"]["homeport"] == "home"
    assert deployer.service["latestCreatedRevision"] == revision, "a label is of the service alone"

    fewer = deployer.rights_asked_for(without)
    assert LOOK not in fewer
    deployer.cloud.access.set_policy(
        "cloudresourcemanager", "projects/rehearsal", {"bindings": owners(deployer)}
    )
    deployer.allow(DEPLOYER, fewer)
    deployer.cloud.log.clear()
    plan, found, _ = deployer.looked_by(DEPLOYER, without)
    assert (plan.pending, found["permissions"].verdict) == ((), PreflightVerdict.OK)
    assert not [one.method for one in deployer.cloud.log if one.method.startswith("iap.")]


def owners(deployer: Proxied) -> list[object]:
    bindings = deployer.cloud.access.policy("cloudresourcemanager", "projects/rehearsal")["bindings"]
    return [one for one in bindings if f"user:{DEPLOYER}" not in one["members"]]


def test_who_may_see_who_comes_in_and_not_change_it_is_told_so_before(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    without = deployer.through()
    change = "iap.webServices.setIamPolicy"
    deployer.allow(DEPLOYER, deployer.rights_asked_for(without) - {change})
    _, found, _ = deployer.looked_by(DEPLOYER, without)
    assert found["permissions/iap.admin"].verdict is PreflightVerdict.PROBLEM
    assert change in found["permissions/iap.admin"].text


def test_where_nobody_comes_in_any_more_the_right_to_change_that_is_not_wanted(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    without = deployer.through()
    rights = deployer.rights_asked_for(without)
    assert "iap.webServices.setIamPolicy" in rights
    deployer.cloud.access.set_policy("iap", WEB, {"bindings": []})
    deployer.allow(DEPLOYER, rights - {"iap.webServices.setIamPolicy"})
    _, found, asked = deployer.looked_by(DEPLOYER, without, up=True)
    assert not [one for one in found.values() if one.verdict is PreflightVerdict.PROBLEM]
    assert "permissions/iap.admin" not in found
    assert LOOK not in asked
    assert IAP_LABEL not in deployer.service["labels"]


def test_who_may_not_see_who_comes_in_deploys_all_the_same_and_is_told_what_stays(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    without = deployer.through()
    own = {right for right in deployer.rights_asked_for(without) if not right.startswith("iap.")}
    deployer.allow(DEPLOYER, own)
    plan, found, _ = deployer.looked_by(DEPLOYER, without, up=True)
    (told,) = [one for one in plan.warnings if "who may still come in" in one]
    assert LOOK in told
    assert "roles/iap.admin" in told
    lacked = found["permissions/iap.admin"]
    assert lacked.verdict is PreflightVerdict.WARNING
    assert "which the file wants no more" in lacked.text
    assert found["permissions"].verdict is PreflightVerdict.OK
    assert not deployer.service.get("iapEnabled")
    assert deployer.members("iap", WEB) == {"iap.httpsResourceAccessor": [TEAM]}
    assert IAP_LABEL in deployer.service["labels"], "for the next plan of somebody who may see it"
    deployer.up(without)
    assert (deployer.members("iap", WEB), IAP_LABEL in deployer.service["labels"]) == ({}, False)


def test_who_could_not_be_taken_out_is_looked_for_again(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    deployer.cloud.faults.append(parse("iap.setIamPolicy:403:times=999"))
    with pytest.raises(PermissionDenied):
        deployer.up(deployer.through())
    assert IAP_LABEL in deployer.service["labels"]
    deployer.cloud.faults.clear()
    _, after = deployer.up(deployer.through())
    assert (deployer.members("iap", WEB), after.pending) == ({}, ())
    assert IAP_LABEL not in deployer.service["labels"]


def test_who_comes_in_by_a_condition_of_somebodys_stays_and_is_no_reason_to_look_again(
    deployer: Proxied,
) -> None:
    deployer.deployed(deployer.through(TEAM))
    guest = {
        "role": ACCESSOR,
        "members": ["user:guest@example.com"],
        "condition": {"title": "office", "expression": "request.path.startsWith('/v1')"},
    }
    bindings = [guest, {"role": ACCESSOR, "members": [TEAM]}]
    deployer.cloud.access.set_policy("iap", WEB, {"version": 3, "bindings": bindings})
    _, after = deployer.up(deployer.through())
    assert after.pending == ()
    assert deployer.cloud.access.policy("iap", WEB)["bindings"] == [guest]
    assert IAP_LABEL not in deployer.service["labels"]


def test_where_its_api_is_off_nobody_can_tell_so_the_label_stays(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    deployer.cloud.enabled.pop(("rehearsal", "iap.googleapis.com"))
    _, after = deployer.up(deployer.through())
    assert after.pending == ()
    plan, _, _ = deployer.looked_by(OWNER, deployer.through())
    assert [one for one in plan.warnings if "who may still come in" in one]
    assert IAP_LABEL in deployer.service["labels"]
    assert LOOK in deployer.rights_asked_for(deployer.through())


class Budgeted(WithObserve, Proxied):
    """Has a budget, too."""

    async def finished(self, target: CloudRunTarget) -> CloudRunTarget:
        return await Proxied.finished(self, await WithObserve.finished(self, target))


def test_two_labels_that_go_at_once_both_go() -> None:
    deployer = Budgeted("ollama")
    both = {**deployer.through(TEAM).model_dump(), "observe": {"budget": 50}}
    deployer.up(spec.parse(both))
    assert {IAP_LABEL, BUDGET_LABEL} <= set(deployer.service["labels"])
    deployer.up(spec.parse({**deployer.through().model_dump(), "observe": {}}))
    assert not {IAP_LABEL, BUDGET_LABEL} & set(deployer.service["labels"])
