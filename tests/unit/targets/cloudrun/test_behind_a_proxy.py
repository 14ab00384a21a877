"""A service behind Identity-Aware Proxy: what is made, in which order, what goes when the file names others, and what it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloud import Raw, act, enable
from deployment import google_for
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.faults import parse
from gcp_rehearsal.iam.permissions import required
from gcp_rehearsal.testing import Rehearsed
from homeport import spec
from homeport.cli.show import status_text
from homeport.errors import VerificationFailed
from homeport.google import Google
from homeport.google.credentials import (
    Credentials,
    FixedToken,
    Impersonated,
    SignedIdentity,
    from_access_token,
)
from homeport.results import Status
from homeport.secret import Secret
from homeport.targets.cloudrun.endpoints import describe
from homeport.targets.cloudrun.iap.check import iap_misfit
from homeport.targets.cloudrun.iap.entrants import entering
from homeport.targets.cloudrun.iap.entry import ACCESSOR, COME_IN, EndpointIap, unwanted_entrants
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.service_labels import IAP_LABEL
from homeport.targets.cloudrun.verification.observed_deployment import (
    Entrant,
    ExpectedDeployment,
    ObservedDeployment,
)
from homeport.targets.cloudrun.verification.revision import endpoint_of
from proxied import AGENT, ROBOT, SERVICE, TEAM, WEB, Proxied
from reached import Reached

FEDERATED = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/Alice"
NAMES = Names(name="home", project="rehearsal", region="europe-west4")


@pytest.fixture
def deployer() -> Proxied:
    return Proxied("ollama")


def test_the_proxy_may_call_before_a_revision_is_proven_and_people_come_in_after_it(
    deployer: Proxied,
) -> None:
    plan, after = deployer.up(deployer.through(TEAM, ROBOT))
    assert not after.pending
    order = [action.resource.id for action in plan.pending]
    calls = f"grant/run.invoker/{AGENT.partition(':')[2]}/service/home"
    enters = "grant/iap.httpsResourceAccessor/team@example.com/iap/home"
    assert (
        order.index("service/home") < order.index(calls) < order.index("release/home") < order.index(enters)
    )
    service = deployer.cloud.store.get("run", SERVICE)
    assert service is not None
    assert (service.body["iapEnabled"], service.body.get("invokerIamDisabled", False)) == (True, False)
    assert deployer.members("run", SERVICE) == {"run.invoker": [AGENT]}
    assert deployer.members("iap", WEB) == {"iap.httpsResourceAccessor": [TEAM, ROBOT]}
    assert ("rehearsal", "iap.googleapis.com") in deployer.cloud.enabled


def test_who_is_not_named_any_more_goes_and_so_does_the_proxy(deployer: Proxied) -> None:
    deployer.up(deployer.through(TEAM, ROBOT))
    _, after = deployer.up(deployer.through(ROBOT))
    assert (deployer.members("iap", WEB), after.pending) == ({"iap.httpsResourceAccessor": [ROBOT]}, ())
    _, after = deployer.up(deployer.through())
    assert not after.pending
    service = deployer.cloud.store.get("run", SERVICE)
    assert service is not None
    assert not service.body.get("iapEnabled")
    assert deployer.members("iap", WEB) == {}
    assert deployer.members("run", SERVICE) == {"run.servicesInvoker": ["user:friend@example.com"]}
    assert IAP_LABEL not in service.body["labels"]


def seen(planned: set[str], enabled: bool, *entrants: Entrant) -> ObservedDeployment:
    expected = ExpectedDeployment(
        image_digest="", gpu="", concurrency=1, max_instances=1, entrants=frozenset(planned)
    )
    sender: Any = None
    return ObservedDeployment(
        service={"iapEnabled": enabled},
        revision={},
        policy={},
        planned=expected,
        sender=sender,
        entrants=entrants,
    )


OFFICE = {
    "title": "office",
    "expression": "'accessPolicies/1/accessLevels/office' in request.auth.access_levels",
}


def test_who_comes_in_under_a_condition_is_granted_nothing_more_and_the_plan_says_so(
    deployer: Proxied,
) -> None:
    deployer.deployed(deployer.through(TEAM, ROBOT))
    bindings = [
        {"role": ACCESSOR, "members": ["group:Team@example.com"], "condition": OFFICE},
        {"role": ACCESSOR, "members": [ROBOT]},
    ]
    deployer.cloud.access.set_policy("iap", WEB, {"version": 3, "bindings": bindings})
    plan = deployer.up(deployer.through(TEAM, ROBOT)).plan
    assert not plan.pending
    assert deployer.cloud.access.policy("iap", WEB)["bindings"] == bindings

    async def looked() -> list[str]:
        iap = EndpointIap(google=google_for(deployer.cloud), names=NAMES, agent=AGENT, members=(TEAM, ROBOT))
        return [f"{one.verdict}: {one.text}" for one in await iap.conditions()]

    (told,) = act(looked())
    assert told.startswith("warning: ")
    assert told.endswith("group:Team@example.com under 'office'")


def test_only_roles_that_let_people_in_count_and_a_condition_is_told_as_one(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    admin, guest, other, odd = (f"user:{who}@example.com" for who in ("admin", "guest", "other", "odd"))
    custom = "projects/rehearsal/roles/comesIn"
    deployer.cloud.access.set_policy(
        "iap",
        WEB,
        {
            "version": 3,
            "bindings": [
                {"role": ACCESSOR, "members": [TEAM]},
                {"role": ACCESSOR, "members": [guest], "condition": OFFICE},
                {"role": "roles/iap.admin", "members": [admin]},
                {"role": custom, "members": [other]},
                {"role": "organizations/1/roles/odd", "members": [odd]},
            ],
        },
        at_once=True,
    )

    async def looked() -> tuple[Entrant, ...]:
        google = google_for(deployer.cloud)
        await google.post(
            "iam",
            "v1/projects/rehearsal/roles",
            {"roleId": "comesIn", "role": {"title": "in", "includedPermissions": [COME_IN]}},
        )
        return await entering(google, SERVICE)

    came = {one.member: one for one in act(looked())}
    assert set(came) == {TEAM, guest, other, odd}, "an administrator of the policy does not come in by that"
    assert (came[guest].condition, bool(came[other].unread), bool(came[odd].unread)) == (
        "office",
        False,
        True,
    )
    for member, way in (
        (guest, "under the condition 'office'"),
        (other, f"by {custom}"),
        (odd, "as far as is known"),
    ):
        misfit = iap_misfit(seen({TEAM}, True, came[TEAM], came[member]))
        assert f"{member} may come in" in misfit
        assert way in misfit
        assert "homeport up" not in misfit, "which takes none of these back"
        assert not iap_misfit(seen({TEAM, member}, True, came[TEAM], came[member]))


def test_principals_that_differ_in_case_are_two(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    lower = FEDERATED.replace("/Alice", "/alice")
    bindings = [{"role": ACCESSOR, "members": [FEDERATED, lower, TEAM.replace("team", "Team")]}]
    deployer.cloud.access.set_policy("iap", WEB, {"bindings": bindings}, at_once=True)

    async def gone() -> list[str]:
        google = google_for(deployer.cloud)
        iap = EndpointIap(google=google, names=NAMES, agent=AGENT, members=(TEAM, FEDERATED))
        return [one.summary({}) for one in await unwanted_entrants(iap)]

    (surplus,) = act(gone())
    assert surplus.startswith(f"{lower} has {ACCESSOR}")


FRIEND, STALE = "user:friend@example.com", "user:stale@example.com"


def done(deployer: Proxied) -> list[str]:
    """What changed a policy or the service since the log was cleared, in order; the first change of each kind."""
    changes = [
        one.method for one in deployer.cloud.log if one.method.endswith(("setIamPolicy", "services.patch"))
    ]
    return list(dict.fromkeys(change.removeprefix("run.projects.locations.") for change in changes))


def test_turning_it_on_lets_people_in_before_and_takes_callers_out_after_a_proof(deployer: Proxied) -> None:
    deployer.deployed(deployer.through())
    deployer.cloud.log.clear()
    deployer.broken = True
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.through(TEAM, ROBOT))
    assert done(deployer)[-1] == "services.patch", (
        "everybody who comes in next is granted before the service changes"
    )
    assert deployer.service["iapEnabled"] is True
    assert deployer.members("iap", WEB) == {"iap.httpsResourceAccessor": [TEAM, ROBOT]}
    assert deployer.members("run", SERVICE) == {"run.invoker": [AGENT], "run.servicesInvoker": [FRIEND]}
    deployer.broken = False
    _, after = deployer.up(deployer.through(TEAM, ROBOT))
    assert not after.pending
    assert deployer.members("run", SERVICE) == {"run.invoker": [AGENT]}


def test_everybody_goes_before_a_proof_behind_the_proxy(deployer: Proxied) -> None:
    deployer.deployed(deployer.through())
    bindings = [{"role": "roles/run.invoker", "members": ["allUsers"]}, {"role": "roles/run.servicesInvoker", "members": [FRIEND]}]  # fmt: skip
    deployer.cloud.access.set_policy("run", SERVICE, {"bindings": bindings})
    deployer.broken = True
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.through(TEAM))
    assert deployer.members("run", SERVICE) == {"run.invoker": [AGENT], "run.servicesInvoker": [FRIEND]}


def test_turning_it_off_lets_callers_in_before_and_takes_people_out_after_a_proof(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    bindings = [
        {"role": "roles/run.invoker", "members": [AGENT]},
        {"role": "roles/run.servicesInvoker", "members": [STALE]},
    ]
    deployer.cloud.access.set_policy("run", SERVICE, {"bindings": bindings})
    deployer.cloud.log.clear()
    deployer.broken = True
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.through())
    assert done(deployer) == ["services.setIamPolicy", "services.patch"]
    assert not deployer.service.get("iapEnabled")
    assert deployer.members("run", SERVICE) == {"run.invoker": [AGENT], "run.servicesInvoker": [FRIEND]}, (
        "who is named nowhere is out before the proxy is"
    )
    assert deployer.members("iap", WEB) == {"iap.httpsResourceAccessor": [TEAM]}
    deployer.broken = False
    _, after = deployer.up(deployer.through())
    assert not after.pending
    assert deployer.members("iap", WEB) == {}
    assert deployer.members("run", SERVICE) == {"run.servicesInvoker": [FRIEND]}


def test_who_was_let_in_once_and_is_not_named_is_out_before_the_proxy_is_turned_on(deployer: Proxied) -> None:
    deployer.deployed(deployer.through())
    enable(deployer.cloud, "iap")
    deployer.cloud.access.set_policy("iap", WEB, {"bindings": [{"role": ACCESSOR, "members": [STALE]}]})
    deployer.broken = True
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.through(TEAM))
    assert deployer.members("iap", WEB) == {"iap.httpsResourceAccessor": [TEAM]}


def test_nobody_is_let_in_early_to_what_was_never_proven(deployer: Proxied) -> None:
    deployer.broken = True
    for members in ((), (TEAM,)):
        with pytest.raises(VerificationFailed):
            deployer.up(deployer.through(*members))
    assert deployer.service["iapEnabled"] is True
    assert deployer.members("iap", WEB) == {}


def test_a_service_that_never_had_the_proxy_is_asked_for_no_permission_on_it(deployer: Proxied) -> None:
    deployer.up(deployer.through())
    assert not [one.method for one in deployer.cloud.log if one.method.startswith("iap.")]
    assert "iap.googleapis.com" not in {service for _, service in deployer.cloud.enabled}


def test_what_its_calls_ask_for_is_what_preflight_looks_for(deployer: Proxied) -> None:
    deployer.up(deployer.through(TEAM))
    asked = {name for one in deployer.cloud.log for name in required(one.method) if name.startswith("iap.")}
    assert asked == set(needs()["iap"].permissions)


def test_a_plan_asks_for_a_signature_before_it_says_that_a_revision_can_be_proven(deployer: Proxied) -> None:
    cloud, account = deployer.cloud, "program@rehearsal.iam.gserviceaccount.com"
    enable(cloud, "iam", "iamcredentials")
    accounts = "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts"
    assert act(Raw(cloud).send("POST", accounts, {"accountId": "program"})).status == 200

    async def looked(credentials: Credentials) -> tuple[str, str, str]:
        google = Google(credentials, project="rehearsal", transport=Rehearsed(cloud))
        iap = EndpointIap(google=google, names=NAMES, agent=AGENT, members=(TEAM,))
        (one,) = await iap.findings()
        return one.verdict.value, one.text, one.hint

    fixed = from_access_token(cloud.token(OWNER), account)
    acting = Credentials(Impersonated(FixedToken(Secret(cloud.token(OWNER)), OWNER), account, Reached(cloud)))
    verdict, text, hint = act(looked(fixed))
    assert (verdict, "signs nothing" in text, "HOMEPORT_IMPERSONATE" in hint) == ("problem", True, True)
    verdict, text, hint = act(looked(acting))
    assert (verdict, "roles/iam.serviceAccountTokenCreator" in hint) == ("problem", True), text
    bindings = [{"role": "roles/iam.serviceAccountTokenCreator", "members": [f"user:{OWNER}"]}]
    cloud.access.set_policy("iam", f"projects/rehearsal/serviceAccounts/{account}", {"bindings": bindings})
    verdict, text, _ = act(looked(acting))
    assert (verdict, account in text) == ("ok", True)


def test_a_person_may_change_who_comes_in_where_nothing_has_to_be_proven(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    pending, looked_at = deployer.planned(deployer.through(TEAM, ROBOT))
    assert (pending, "iap/proof" in looked_at) == ({"grant"}, False)
    other = spec.parse({**deployer.wanted(context=2048).model_dump(), "access": {"iap": [TEAM]}})
    pending, looked_at = deployer.planned(other)
    assert ("release" in pending, "iap/proof" in looked_at) == (True, True)


def test_what_answers_behind_the_proxy_is_called_by_what_an_account_signs(deployer: Proxied) -> None:
    service = {
        "name": SERVICE,
        "urls": ["https://home-1.run.app"],
        "uri": "https://home-1.run.app",
        "iapEnabled": True,
    }
    with_proxy = endpoint_of(google_for(deployer.cloud), service, "m")
    assert isinstance(with_proxy.identity, SignedIdentity)
    without = endpoint_of(google_for(deployer.cloud), {**service, "iapEnabled": False}, "m")
    assert not isinstance(without.identity, SignedIdentity)


def test_status_says_that_it_stands_before_the_service_and_who_comes_in(deployer: Proxied) -> None:
    deployer.deployed(deployer.through(TEAM))
    bindings = [
        {"role": ACCESSOR, "members": [TEAM]},
        {"role": ACCESSOR, "members": [FRIEND], "condition": OFFICE},
        {"role": "roles/iap.admin", "members": [ROBOT]},
    ]
    deployer.cloud.access.set_policy("iap", WEB, {"version": 3, "bindings": bindings}, at_once=True)

    def said() -> tuple[Status, str]:
        status = act(describe(google_for(deployer.cloud), "home", "europe-west4"))
        return status, status_text(status)

    status, text = said()
    assert status.as_json()["iap"] == [TEAM, f"{FRIEND} under the condition 'office'"]
    assert f"through Identity-Aware Proxy, which stands before it: {TEAM}, {FRIEND} under" in text
    deployer.cloud.faults.append(parse("iap.getIamPolicy:403:times=9"))
    status, text = said()
    assert (status.iap, "which stands before it: that is not known" in text) == (None, True)
    assert (status.as_json()["iap"], status.as_json()["behind_iap"]) == (None, True)
    assert [one for one in status.unread if one.startswith("who comes in through Identity-Aware Proxy")]
    deployer.cloud.faults.clear()
    deployer.cloud.access.set_policy("iap", WEB, {"version": 3, "bindings": []}, at_once=True)
    status, _ = said()
    assert (status.as_json()["iap"], status.as_json()["behind_iap"]) == ([], True)
    text = status_text(replace(status, unread=("another thing of Identity-Aware Proxy: it is off",)))
    assert "which stands before it: nobody" in text
    deployer.up(deployer.through())
    status, text = said()
    assert (status.iap, "Identity-Aware Proxy" in text) == (None, False)
    assert status.as_json()["behind_iap"] is False


@pytest.mark.parametrize(
    ("planned", "enabled", "comes_in", "says"),
    [
        ({TEAM}, True, {TEAM}, ""),
        ({TEAM}, True, {"group:Team@example.com"}, ""),
        ({FEDERATED}, True, {FEDERATED.replace("/Alice", "/alice")}, "/alice may come in"),
        (set(), False, set(), ""),
        ({TEAM}, False, {TEAM}, "does not stand before the service"),
        (set(), True, set(), "was not planned"),
        ({TEAM}, True, {TEAM, "allAuthenticatedUsers"}, "allAuthenticatedUsers may come in"),
    ],
)
def test_a_proxy_that_is_not_as_planned_is_told(
    planned: set[str], enabled: bool, comes_in: set[str], says: str
) -> None:
    deployed = seen(planned, enabled, *(Entrant(member=member, role=ACCESSOR) for member in sorted(comes_in)))
    misfit = iap_misfit(deployed)
    assert says in misfit if says else not misfit
    assert (302 in deployed.refusals) is enabled, (
        "the way to a login is a refusal where there is one, and nowhere else"
    )
