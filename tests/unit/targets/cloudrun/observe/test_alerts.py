"""The dashboard and the alerts of an endpoint on Cloud Run: made, mended, told to others, and gone without a rest."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cloud import Raw, act, things
from deployment import google_for
from gcp_rehearsal.faults import parse
from gcp_rehearsal.iam.permissions import required
from homeport.engines.registry import module
from homeport.errors import GoogleError
from homeport.observe.panels import Watched
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.preflight.permissions import needs
from observed import WithObserve

OPS, ELSE = "mailto:ops@example.com", "mailto:else@example.com"


@pytest.fixture
def deployer() -> WithObserve:
    return WithObserve("vllm")


def parts(deployer: WithObserve) -> dict[str, Any]:  # Any: JSON
    """What there is in Cloud Monitoring, by kind and our label."""
    found = [kept for kept in things(deployer.cloud) if kept.api == "monitoring"]
    key = {"dashboards": "labels"}
    made = {}
    for kept in found:
        kind = kept.name.split("/")[2]
        made[f"{kind}/{kept.body.get(key.get(kind, 'userLabels'), {}).get('homeport-part')}"] = kept.body
    assert len(made) == len(found), "none twice"
    return made


def watched() -> Watched:
    names = module("vllm").METRICS
    assert names is not None
    return Watched("home", names)


def test_each_alert_and_panel_of_the_files_is_there_with_the_same_query(deployer: WithObserve) -> None:
    plan, after = deployer.up(deployer.observed(alerts=[OPS]))
    assert after.pending == (), [(one.resource.id, one.changes) for one in after.pending]
    order = [action.resource.id for action in plan.pending]
    assert order.index("service/home") < order.index("alert-policy/queue"), "they go before the service goes"
    there = parts(deployer)
    policies = [body for name, body in there.items() if name.startswith("alertPolicies/")]
    asked = {one["conditions"][0]["conditionPrometheusQueryLanguage"]["query"] for one in policies}
    assert asked == {alert.query for alert in watched().alerts()}
    (channel,) = [body for name, body in there.items() if name.startswith("notificationChannels/")]
    assert channel["labels"] == {"email_address": "ops@example.com"}
    assert all(one["notificationChannels"] == [channel["name"]] for one in policies)
    down = there["alertPolicies/down"]
    assert (down["severity"], down["conditions"][0]["conditionPrometheusQueryLanguage"]["duration"]) == (
        "CRITICAL",
        "60s",
    )
    tiles = there["dashboards/dashboard"]["mosaicLayout"]["tiles"]
    drawn = [
        line["timeSeriesQuery"]["prometheusQuery"]
        for tile in tiles
        for line in tile["widget"]["xyChart"]["dataSets"]
    ]
    assert drawn == [curve.query for panel in watched().panels() for curve in panel.curves]


SLO = {"ttft": "2s", "availability": 0.99}


def test_objectives_have_a_policy_for_each_window_that_goes_with_them(deployer: WithObserve) -> None:
    plan, after = deployer.up(deployer.observed(alerts=[OPS], slo=SLO))
    assert after.pending == (), [(one.resource.id, one.changes) for one in after.pending]
    there = parts(deployer)
    burns = {name.partition("/")[2]: body for name, body in there.items() if name.endswith("-burn")}
    assert set(burns) == {
        "first-token-fast-burn", "first-token-slow-burn", "availability-fast-burn", "availability-slow-burn",
    }  # fmt: skip
    for name, body in burns.items():
        (condition,) = body["conditions"]
        asked = condition["conditionPrometheusQueryLanguage"]
        long, short = ("1h", "5m") if "fast" in name else ("6h", "30m")
        assert f"[{long}]" in asked["query"]
        assert f"[{short}]" in asked["query"]
        assert int(asked["evaluationInterval"][:-1]) % 30 == 0
        assert asked["duration"] == "60s"
        assert body["severity"] == "CRITICAL"
        assert body["notificationChannels"]
    drawn = there["dashboards/dashboard"]["mosaicLayout"]["tiles"][-1]["widget"]
    assert drawn["title"] == "Error budget used up in an hour"
    plan, after = deployer.up(deployer.observed(alerts=[OPS], slo={"ttft": "5s"}))
    changed = {one.resource.id for one in plan.pending if one.kind.value == "update"}
    assert changed == {
        "alert-policy/first-token-fast-burn", "alert-policy/first-token-slow-burn", "dashboard/dashboard",
    }  # fmt: skip
    assert after.pending == ()
    left = {name.partition("/")[2] for name in parts(deployer) if name.endswith("-burn")}
    assert left == {"first-token-fast-burn", "first-token-slow-burn"}
    _, after = deployer.up(deployer.observed(alerts=[OPS]))
    assert after.pending == ()
    assert not [name for name in parts(deployer) if name.endswith("-burn")]


def test_what_somebody_changed_by_hand_is_mended_and_what_they_deleted_is_back(deployer: WithObserve) -> None:
    deployer.up(deployer.observed(alerts=[OPS]))
    there = parts(deployer)

    async def meddle() -> None:
        google = google_for(deployer.cloud)
        await google.patch(
            "monitoring",
            f"v3/{there['alertPolicies/queue']['name']}",
            {"enabled": False},
            updateMask="enabled",
        )
        await google.delete("monitoring", f"v3/{there['alertPolicies/stalled']['name']}")
        board = there["dashboards/dashboard"]
        await google.patch("monitoring", f"v1/{board['name']}", {**board, "displayName": "mine"})

    act(meddle())
    plan, after = deployer.up(deployer.observed(alerts=[OPS]))
    assert {(one.kind.value, one.resource.id) for one in plan.pending} == {
        ("update", "alert-policy/queue"), ("create", "alert-policy/stalled"), ("update", "dashboard/dashboard"),
    }  # fmt: skip
    assert after.pending == ()
    assert parts(deployer)["alertPolicies/queue"]["enabled"] is True
    assert parts(deployer)["dashboards/dashboard"]["displayName"] == "homeport: home"
    assert parts(deployer)["alertPolicies/queue"]["name"] == there["alertPolicies/queue"]["name"], (
        "the same one"
    )


def test_another_address_takes_the_place_of_the_first_and_none_is_left_over(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(alerts=[OPS]))
    _, after = deployer.up(deployer.observed(alerts=[ELSE]))
    assert after.pending == (), [one.resource.id for one in after.pending]
    channels = [body for name, body in parts(deployer).items() if name.startswith("notificationChannels/")]
    assert [one["labels"]["email_address"] for one in channels] == ["else@example.com"]
    refused = [
        one for one in deployer.cloud.log if one.method.endswith("Channels.delete") and one.status >= 400
    ]
    assert refused == [], "Google deletes no channel that a policy names"
    _, after = deployer.up(deployer.observed())
    assert after.pending == ()
    assert not [name for name in parts(deployer) if name.startswith("notificationChannels/")]


def test_without_the_table_all_of_it_goes_and_what_is_others_stays(deployer: WithObserve) -> None:
    body = {"type": "email", "displayName": "mine", "labels": {"email_address": "me@example.com"}}
    deployer.deployed(deployer.observed(alerts=[OPS]))
    url = "monitoring.googleapis.com/v3/projects/rehearsal/notificationChannels"
    assert act(Raw(deployer.cloud).send("POST", url, body)).status == 200
    _, after = deployer.up(deployer.wanted())
    assert after.pending == (), [one.resource.id for one in after.pending]
    assert [one["displayName"] for one in parts(deployer).values()] == ["mine"]


def test_down_takes_all_of_it_away_before_the_service_and_asks_for_listed_permissions_alone(
    deployer: WithObserve,
) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.observed(alerts=[OPS]))
    gone = deployer.down(deployer.observed(), purge=True)
    service = gone.index("service home")
    assert all(gone.index(one) < service for one in gone if re.match("alert|dashboard|notification", one))
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    refused = [one for one in deployer.cloud.log if one.method.endswith(".delete") and one.status >= 400]
    assert [one.method for one in refused if one.status != 404] == []
    asked_for = {one for call in deployer.cloud.log for one in required(call.method)}
    listed = {one for need in needs().values() for one in need.permissions}
    assert asked_for - listed - {"cloudquotas.quotas.get", "orgpolicy.policy.get"} == set()


def test_down_by_name_finds_it_by_the_services_label_and_another_endpoints_is_left_alone(
    deployer: WithObserve,
) -> None:
    deployer.deployed(deployer.observed(alerts=[OPS]))
    board = parts(deployer)["dashboards/dashboard"]
    board["labels"]["homeport"] = "other"
    found = act(find_managed(google_for(deployer.cloud), "home"))
    kinds = {one.kind for one in found.resources}
    assert {"alert policy", "notification channel"} <= kinds
    assert "dashboard" not in kinds


def test_a_policy_whose_answer_was_lost_is_there_once(deployer: WithObserve) -> None:
    deployer.cloud.faults.append(parse("monitoring.projects.alertPolicies.create:drop:after"))
    _, after = deployer.up(deployer.observed())
    assert after.pending == ()
    assert len([name for name in parts(deployer) if name.startswith("alertPolicies/")]) == len(
        watched().alerts()
    )


@pytest.mark.parametrize(
    ("collection", "body", "told"),
    [
        ("v3/projects/rehearsal/alertPolicies", {"displayName": "x", "combiner": "OR", "conditions": []}, "from 1 to 6"),
        (
            "v3/projects/rehearsal/alertPolicies",
            {"displayName": "x", "combiner": "OR",
             "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": {"query": "up", "evaluationInterval": "45s"}}]},
            "multiple of 30 seconds",
        ),
        (
            "v3/projects/rehearsal/alertPolicies",
            {"displayName": "x", "combiner": "OR",
             "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": {"query": "up"}}]},
            "unknown metric",
        ),
        ("v3/projects/rehearsal/notificationChannels", {"type": "email", "labels": {"email": "x"}}, "email_address"),
        (
            "v1/projects/rehearsal/dashboards",
            {"displayName": "x", "mosaicLayout": {"columns": 48, "tiles": [{"width": 49, "height": 1}]}},
            "within the 48 columns",
        ),
        ("v1/projects/rehearsal/dashboards?validateOnly=true", {"displayName": "x", "mosaicLayouts": {}}, "mosaicLayouts"),
    ],
)  # fmt: skip
def test_the_rehearsal_refuses_what_google_refuses(
    deployer: WithObserve, collection: str, body: dict[str, Any], told: str
) -> None:
    refused = act(Raw(deployer.cloud).send("POST", f"monitoring.googleapis.com/{collection}", body))
    assert refused.status == 400
    assert told in refused.error


def test_a_dashboard_is_checked_without_being_made(deployer: WithObserve) -> None:
    url = "monitoring.googleapis.com/v1/projects/rehearsal/dashboards?validateOnly=true"
    fine = {"displayName": "x", "mosaicLayout": {"columns": 48, "tiles": []}}
    assert act(Raw(deployer.cloud).send("POST", url, fine)).status == 200
    assert parts(deployer) == {}


def again(deployer: WithObserve, made: Any, **changed: Any) -> Any:  # Any: JSON
    """Make what is there once more, as another `up` at the same time does."""
    collection = made["name"].split("/")[2]
    version = "v1" if collection == "dashboards" else "v3"
    url = f"monitoring.googleapis.com/{version}/projects/rehearsal/{collection}"
    body = {key: made[key] for key in made if key not in {"name", "etag", "creationRecord", "mutationRecord"}}
    sent = act(Raw(deployer.cloud).send("POST", url, {**body, **changed}))
    assert sent.status == 200, sent.body
    return sent.body


@pytest.mark.parametrize("kind", ["alertPolicies/queue", "dashboards/dashboard", "channel"])
def test_two_of_one_are_made_one_again(deployer: WithObserve, kind: str) -> None:
    wanted = deployer.observed(alerts=[OPS], budget=50)
    deployer.deployed(wanted)
    kind = next(name for name in parts(deployer) if name.startswith("notif")) if kind == "channel" else kind
    before = parts(deployer)
    again(deployer, before[kind])
    plan, after = deployer.up(wanted)
    (action,) = plan.pending
    assert (action.kind.value, [one.path for one in action.changes]) == ("update", ["duplicates"])
    assert after.pending == ()
    assert parts(deployer).keys() == before.keys()
    assert parts(deployer)["alertPolicies/down"]["notificationChannels"], "somebody is told"


def test_of_two_channels_the_one_stays_that_our_policies_have(deployer: WithObserve) -> None:
    """Two `up` at once: each made a channel, and a policy that has it."""
    wanted = deployer.observed(alerts=[OPS])
    deployer.deployed(wanted)
    made = parts(deployer)
    kind = next(name for name in made if name.startswith("notif"))
    used = made[kind]["name"]
    other = again(deployer, made[kind])["name"]
    again(deployer, made["alertPolicies/queue"], notificationChannels=[other])
    _, after = deployer.up(wanted)
    assert after.pending == ()
    there = parts(deployer)
    assert there[kind]["name"] == used
    assert {
        tuple(body["notificationChannels"]) for name, body in there.items() if "alertPolicies" in name
    } == {(used,)}


def test_a_channel_that_somebody_elses_policy_has_is_not_taken_out_of_it(deployer: WithObserve) -> None:
    wanted = deployer.observed(alerts=[OPS])
    deployer.deployed(wanted)
    made = parts(deployer)
    kind = next(name for name in made if name.startswith("notif"))
    other = again(deployer, made[kind])["name"]
    policy = made["alertPolicies/queue"]
    theirs = again(deployer, policy, notificationChannels=[other], userLabels={"team": "ops"})
    with pytest.raises(GoogleError, match="it is used by") as refused:
        deployer.up(wanted)
    assert f"take the channel {other} out of '{policy['displayName']}'" in refused.value.hint
    kept = act(Raw(deployer.cloud).send("GET", f"monitoring.googleapis.com/v3/{theirs['name']}")).body
    assert kept["notificationChannels"] == [other]


def test_down_takes_both_of_two(deployer: WithObserve) -> None:
    wanted = deployer.observed(alerts=[OPS])
    deployer.deployed(wanted)
    for made in parts(deployer).values():
        again(deployer, made)
    deployer.down(wanted, purge=True)
    assert [kept.name for kept in things(deployer.cloud) if kept.api == "monitoring"] == []
