"""The uptime check of an endpoint: who it comes as and may call, made, mended, refused where it would wake a GPU, and gone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from api_gateways import ACCOUNT, WithGateway
from cloud import Raw, act, things
from deployment import google_for
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.iam.permissions import required
from homeport.catalog.prices import load
from homeport.errors import SpecError
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.target import CloudRunTarget
from observed import WithObserve

CHECKS = "v3/projects/rehearsal/uptimeCheckConfigs"
CALLS = "roles/run.servicesInvoker"


class KeyedAndObserved(WithObserve, WithGateway):
    """Deploys a model behind an API gateway, with an `[observe]`."""


@pytest.fixture(params=["vllm", "ollama"])
def deployer(request: pytest.FixtureRequest) -> WithObserve:
    return WithObserve(request.param)


def checks(deployer: WithObserve) -> list[Any]:  # Any: JSON
    return [one.body for one in things(deployer.cloud) if "/uptimeCheckConfigs/" in one.name]


def agent(deployer: WithObserve) -> str:
    number = deployer.cloud.projects[0].number
    return f"serviceAccount:service-{number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"


def callers(deployer: WithObserve) -> set[str]:
    path = "projects/rehearsal/locations/europe-west4/services/home"
    policy = deployer.cloud.access.policy("run", path)
    return {member for one in policy.get("bindings", ()) if one["role"] == CALLS for member in one["members"]}


def target(deployer: WithObserve, wanted: Any) -> CloudRunTarget:  # Any: a Spec
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    return act(deployer.finished(deployer.target(google_for(deployer.cloud), chosen, wanted)))


def policies(deployer: WithObserve) -> set[str]:
    return {
        one.body["userLabels"]["homeport-part"] for one in things(deployer.cloud) if "/alertPolicies/" in one.name
    }  # fmt: skip


def test_it_asks_the_service_as_monitorings_own_account_which_may_call_it_first(
    deployer: WithObserve,
) -> None:
    plan, after = deployer.up(deployer.uptimed())
    assert after.pending == (), [(one.resource.id, one.changes) for one in after.pending]
    (check,) = checks(deployer)
    assert check["monitoredResource"] == {
        "type": "cloud_run_revision",
        "labels": {"project_id": "rehearsal", "location": "europe-west4", "service_name": "home"},
    }
    assert check["httpCheck"]["serviceAgentAuthentication"] == {"type": "OIDC_TOKEN"}
    assert check["httpCheck"]["path"] == "/v1/models"
    assert (check["httpCheck"]["port"], check["httpCheck"]["useSsl"]) == (443, True)
    assert len(check["selectedRegions"]) == 3
    assert callers(deployer) == {"user:friend@example.com", agent(deployer)}
    order = [action.resource.id for action in plan.pending]
    grant = next(one for one in order if "gcp-sa-monitoring-notification" in one)
    assert order.index("release/home") < order.index(grant) < order.index("uptime-check/uptime")
    methods = [one.method for one in deployer.cloud.log]
    made = methods.index("serviceusage.services.generateServiceIdentity")
    assert made < methods.index("monitoring.projects.uptimeCheckConfigs.create")
    assert "unreachable" in policies(deployer)


def test_what_somebody_changed_or_deleted_is_mended(deployer: WithObserve) -> None:
    deployer.up(deployer.uptimed())
    (check,) = checks(deployer)
    google = google_for(deployer.cloud)
    act(google.patch("monitoring", f"v3/{check['name']}", {"disabled": True}, updateMask="disabled"))
    changed = {"httpCheck": {**check["httpCheck"], "path": "/metrics"}}
    act(google.patch("monitoring", f"v3/{check['name']}", changed, updateMask="httpCheck"))
    plan, after = deployer.up(deployer.uptimed())
    assert {change.path for one in plan.pending for change in one.changes} == {"disabled", "httpCheck.path"}
    assert after.pending == ()
    (mended,) = checks(deployer)
    assert (mended["name"], mended.get("disabled", False)) == (check["name"], False)
    act(google.delete("monitoring", f"v3/{check['name']}"))
    plan, after = deployer.up(deployer.uptimed())
    assert [(one.kind.value, one.resource.id) for one in plan.pending] == [("create", "uptime-check/uptime")]
    assert after.pending == ()


def test_a_check_of_another_address_is_replaced(deployer: WithObserve) -> None:
    deployer.deployed(deployer.uptimed())
    (check,) = checks(deployer)
    check["monitoredResource"]["labels"]["service_name"] = "other"
    plan, after = deployer.up(deployer.uptimed())
    assert [(one.kind.value, one.resource.id) for one in plan.pending] == [("replace", "uptime-check/uptime")]
    assert after.pending == ()
    (now,) = checks(deployer)
    assert now["name"] != check["name"]


def test_without_it_check_policy_and_right_are_gone_and_all_else_stays(deployer: WithObserve) -> None:
    deployer.deployed(deployer.uptimed())
    _, after = deployer.up(deployer.uptimed(observe={}))
    assert after.pending == (), [one.resource.id for one in after.pending]
    assert checks(deployer) == []
    assert callers(deployer) == {"user:friend@example.com"}
    assert "unreachable" not in policies(deployer)
    assert "down" in policies(deployer)


def test_down_takes_it_away_before_the_service_and_leaves_nothing(deployer: WithObserve) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.uptimed())
    gone = deployer.down(deployer.uptimed(), purge=True)
    assert checks(deployer) == []
    (line,) = [one for one in gone if one.startswith("uptime check")]
    assert gone.index(line) < gone.index("service home")
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


def test_its_permissions_are_on_the_list_and_no_others(deployer: WithObserve) -> None:
    deployer.deployed(deployer.uptimed())
    (check,) = checks(deployer)
    check["displayName"] = "mine"
    deployer.deployed(deployer.uptimed())
    deployer.down(deployer.uptimed(), purge=True)
    asked_for = {one for call in deployer.cloud.log for one in required(call.method)}
    assert {one for one in asked_for if "uptime" in one} == set(needs()["uptime"].permissions)
    listed = {one for need in needs().values() for one in need.permissions}
    assert asked_for - listed - {"cloudquotas.quotas.get", "orgpolicy.policy.get"} == set()


def test_a_lost_answer_makes_no_second_one(deployer: WithObserve) -> None:
    deployer.cloud.faults.append(
        Fault(method="monitoring.projects.uptimeCheckConfigs.create", drop=True, after=True)
    )
    _, after = deployer.up(deployer.uptimed())
    assert after.pending == ()
    assert len(checks(deployer)) == 1


def test_who_may_not_let_google_make_the_account_grants_it_what_it_needs_all_the_same(
    deployer: WithObserve,
) -> None:
    deployer.cloud.faults.append(
        Fault(method="serviceusage.services.generateServiceIdentity", status=403, times=9)
    )
    _, after = deployer.up(deployer.uptimed())
    assert after.pending == ()
    assert agent(deployer) in callers(deployer)


def test_a_public_endpoint_is_asked_as_by_anybody_and_nobody_is_granted_anything(
    deployer: WithObserve,
) -> None:
    public = {"public": True, "anyone_may_spend_my_money": True}
    _, after = deployer.up(deployer.uptimed(access=public))
    assert after.pending == (), [(one.resource.id, one.changes) for one in after.pending]
    (check,) = checks(deployer)
    assert "serviceAgentAuthentication" not in check["httpCheck"]
    assert callers(deployer) == set()


def test_behind_an_api_gateway_it_asks_the_services_own_address_which_stays_open() -> None:
    deployer = KeyedAndObserved("ollama")
    wanted = deployer.uptimed(edge=deployer.keyed().edge)
    _, after = deployer.up(wanted)
    assert after.pending == (), [(one.resource.id, one.changes) for one in after.pending]
    (check,) = checks(deployer)
    assert check["monitoredResource"]["type"] == "cloud_run_revision"
    assert deployer.service["ingress"] == "INGRESS_TRAFFIC_ALL"
    assert callers(deployer) >= {agent(deployer), ACCOUNT}
    deployer.down(wanted, purge=True)
    assert (checks(deployer), deployer.left("apigateway")) == ([], [])


def test_a_plan_says_who_asks_how_often_and_that_it_may_call(deployer: WithObserve) -> None:
    made = target(deployer, deployer.uptimed())
    assert made.observing is not None
    assert made.callers == ("user:friend@example.com", agent(deployer))
    (fact,) = made.observing.facts(load())
    assert f"from 3 places every 300 s, as {agent(deployer).partition(':')[2]}" in fact.text
    assert json.dumps(fact.as_json())


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"scaling": {}}, "would wake a GPU each time"),
        ({"scaling": {"warm": ["Mon-Fri 08:00-18:00 Europe/Berlin"]}}, "set scaling.min to 1 or more"),
        ({"access": {"isolated": True}}, "access.isolated = true says that it does not answer there"),
        ({"edge": {"domain": "llm.example.com"}}, "[edge] says that it does not answer there"),
        ({"observe": {"uptime": True, "metrics": False}}, "uptime goes by the metrics"),
        ({"observe": {"uptime": "yes"}}, "uptime"),
    ],
)
def test_it_is_refused_where_it_would_wake_a_gpu_or_reach_nobody(
    tables: dict[str, object], told: str
) -> None:
    with pytest.raises(SpecError) as refused:
        WithObserve("vllm").uptimed(**tables)
    assert told in f"{refused.value} {refused.value.hint}"


GOOD = {
    "displayName": "x", "timeout": "10s", "httpCheck": {"useSsl": True},
    "monitoredResource": {"type": "uptime_url", "labels": {"host": "example.com"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"displayName": ""}, "display_name must be set"),
        ({"timeout": "61s"}, "between 1 and 60 seconds"),
        ({"period": "90s"}, "60s, 300s, 600s or 900s"),
        ({"selectedRegions": ["EUROPE", "ASIA_PACIFIC"]}, "at least 3 locations"),
        ({"tcpCheck": {"port": 1}}, "to one type"),
        (
            {"monitoredResource": {"type": "cloud_run_revision", "labels": {"location": "x"}}},
            "no service_name",
        ),
        ({"httpCheck": {"body": "e30="}}, "must not be set where request_method is GET"),
        (
            {
                "httpCheck": {
                    "authInfo": {"username": "a"},
                    "serviceAgentAuthentication": {"type": "OIDC_TOKEN"},
                }
            },
            "must not both be set",
        ),
        ({}, ""),
        ({"selectedRegions": ["USA"]}, ""),
    ],
)
def test_the_rehearsal_takes_no_check_that_google_would_refuse(body: dict[str, Any], told: str) -> None:
    cloud = WithObserve("vllm").cloud
    answer = act(Raw(cloud).send("POST", f"monitoring.googleapis.com/{CHECKS}", {**GOOD, **body}))
    assert (answer.status == 200) is (not told), answer.body
    assert told in str(answer.body)
