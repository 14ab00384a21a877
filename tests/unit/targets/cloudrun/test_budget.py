"""The file's budget, a resource of the billing account: made, mended, told to others, and gone without a rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import Raw, act, things
from deployment import google_for
from gcp_rehearsal import cloud
from gcp_rehearsal.context import Call
from gcp_rehearsal.faults import parse
from gcp_rehearsal.settings import Project
from homeport.catalog.prices import load
from homeport.errors import HomeportError, Incomplete, PermissionDenied, PlanStale, SpecError
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import make_plan
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.observe.sidecar import Observing
from homeport.targets.cloudrun.unwanted import unwanted_of
from observed import WithObserve

OPS = "mailto:ops@example.com"
ACCOUNT = "billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets"
BUDGETS = "billingbudgets.billingAccounts.budgets"


@pytest.fixture
def deployer() -> WithObserve:
    return WithObserve("vllm")


def budgets(deployer: WithObserve) -> list[Any]:  # Any: JSON
    return [one.body for one in things(deployer.cloud) if one.api == "billingbudgets"]


def twin(deployer: WithObserve) -> None:
    """Make the endpoint's budget once more, as another `up` at the same time does."""
    (made,) = budgets(deployer)
    again = {key: made[key] for key in made if key not in {"name", "etag"}}
    assert act(Raw(deployer.cloud).send("POST", ACCOUNT, again)).status == 200


def switch_off(deployer: WithObserve, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let somebody switch the API of budgets off.

    Google asks that of the project that a request is charged to; the rehearsal, only of one that the path names.
    """
    rehearsed, (project, *_) = deployer.cloud, deployer.cloud.projects
    admit = rehearsed._admit

    def asked(call: Call) -> None:
        if call.api == "billingbudgets" and not rehearsed.is_enabled(project.id, call.api):
            raise cloud._disabled(call, project)
        admit(call)

    monkeypatch.setattr(rehearsed, "_admit", asked)
    rehearsed.enabled.pop((project.id, "billingbudgets.googleapis.com"))


def refuse(deployer: WithObserve, verb: str) -> None:
    """Let the caller not do that with budgets, from now on."""
    deployer.cloud.faults.append(parse(f"{BUDGETS}.{verb}:403:times=999"))


def planned(deployer: WithObserve) -> tuple[Observing, list[str]]:
    """What is observed with a budget, and what a plan warns of."""
    wanted = deployer.observed(budget=50)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

    async def work() -> tuple[Observing, list[str]]:
        target = deployer.target(google_for(deployer.cloud), chosen, wanted)
        assert target.observing is not None
        plan = await make_plan("home", "cloudrun", target.resources(), await unwanted_of(target))
        return target.observing, list(target.observing.warnings(plan))

    return act(work())


def test_it_is_of_the_whole_project_in_the_accounts_currency_and_writes_to_alerts(
    deployer: WithObserve,
) -> None:
    plan, after = deployer.up(deployer.observed(alerts=[OPS], budget=50))
    assert after.pending == (), [(one.resource.id, one.changes) for one in after.pending]
    order = [action.resource.id for action in plan.pending]
    assert order.index("service/home") < order.index("budget/home"), "it goes before the service goes"
    (made,) = budgets(deployer)
    assert made["displayName"] == "homeport=home: a month"
    assert made["amount"] == {"specifiedAmount": {"units": "50", "currencyCode": "EUR"}}
    assert made["budgetFilter"]["projects"] == ["projects/481516234200"], "Google tells it by its number"
    assert [one["thresholdPercent"] for one in made["thresholdRules"]] == [0.5, 0.9, 1.0]
    (channel,) = made["notificationsRule"]["monitoringNotificationChannels"]
    assert "/notificationChannels/" in channel
    assert "spendCap" not in made, "it stops nothing"
    sent = [one for one in deployer.cloud.log if one.method.endswith("budgets.create")]
    assert len(sent) == 1


def test_what_somebody_changed_is_mended_and_what_they_deleted_is_back(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(budget=50))
    (made,) = budgets(deployer)
    made["amount"]["specifiedAmount"]["units"] = "5000"
    plan, after = deployer.up(deployer.observed(budget=50))
    assert [(one.kind.value, one.resource.id) for one in plan.pending] == [("update", "budget/home")]
    assert after.pending == ()
    assert budgets(deployer)[0]["amount"]["specifiedAmount"]["units"] == "50"
    act(google_for(deployer.cloud).delete("billingbudgets", f"v1/{made['name']}"))
    plan, after = deployer.up(deployer.observed(budget=50))
    assert [(one.kind.value, one.resource.id) for one in plan.pending] == [("create", "budget/home")]
    assert after.pending == ()


def test_another_amount_and_another_address_change_the_one_that_is_there(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(alerts=[OPS], budget=50))
    (before,) = budgets(deployer)
    name = before["name"]
    _, after = deployer.up(deployer.observed(alerts=["mailto:else@example.com"], budget=60))
    assert after.pending == (), [(one.resource.id, one.changes) for one in after.pending]
    (now,) = budgets(deployer)
    assert now["name"] == name
    assert now["amount"]["specifiedAmount"]["units"] == "60"
    _, after = deployer.up(deployer.observed(budget=60))
    assert after.pending == ()
    assert not budgets(deployer)[0].get("notificationsRule", {}).get("monitoringNotificationChannels")


def test_without_the_key_it_goes_and_what_is_others_stays(deployer: WithObserve) -> None:
    mine = {"displayName": "mine", "amount": {"specifiedAmount": {"units": "7"}}}
    assert act(Raw(deployer.cloud).send("POST", ACCOUNT, mine)).status == 200
    deployer.deployed(deployer.observed(alerts=[OPS], budget=50))
    _, after = deployer.up(deployer.observed(alerts=[OPS]))
    assert after.pending == (), [one.resource.id for one in after.pending]
    assert [one["displayName"] for one in budgets(deployer)] == ["mine"]
    assert deployer.service["labels"]["homeport-observe"] == "metrics"


@pytest.mark.parametrize("left", [{}, {"observe": None}])
def test_without_the_whole_table_it_goes_too(deployer: WithObserve, left: dict[str, Any]) -> None:
    del left
    deployer.deployed(deployer.observed(alerts=[OPS], budget=50))
    _, after = deployer.up(deployer.wanted())
    assert after.pending == (), [one.resource.id for one in after.pending]
    assert budgets(deployer) == []


def test_down_takes_it_away_before_its_channels_and_the_service(deployer: WithObserve) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.observed(alerts=[OPS], budget=50))
    gone = deployer.down(deployer.observed(budget=50), purge=True)
    at = next(place for place, one in enumerate(gone) if one.startswith("budget"))
    assert at < gone.index("service home")
    assert all(at < place for place, one in enumerate(gone) if one.startswith("notification"))
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


@pytest.mark.parametrize("verb", ["list", "delete"])
def test_down_takes_the_service_though_the_budget_may_not_be_touched_and_says_what_is_left(
    deployer: WithObserve, verb: str
) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    wanted = deployer.observed(alerts=[OPS], budget=50)
    deployer.deployed(wanted)
    refuse(deployer, verb)
    for _ in range(
        2
    ):  # The file has the budget, so that it is looked for though no service tells of it any more.
        with pytest.raises(Incomplete if verb == "list" else PermissionDenied) as told:
            deployer.down(wanted, purge=True)
        assert deployer.service is None, "it costs, whatever becomes of the budget"
        assert "gcloud billing budgets delete " in told.value.hint
    (left,) = budgets(deployer)
    assert (left["name"] if verb == "delete" else "012345-6789AB-CDEF01") in told.value.hint
    deployer.cloud.faults.clear()
    deployer.down(wanted, purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


@pytest.mark.parametrize("kind", ["alertPolicies", "notificationChannels"])
def test_down_takes_the_service_though_alerts_may_not_be_deleted(deployer: WithObserve, kind: str) -> None:
    wanted = deployer.observed(alerts=[OPS], budget=50)
    deployer.deployed(wanted)
    deployer.cloud.faults.append(parse(f"monitoring.projects.{kind}.delete:403:times=999"))
    with pytest.raises(PermissionDenied):
        deployer.down(wanted, purge=True)
    assert deployer.service is None
    deployer.cloud.faults.clear()
    deployer.down(wanted, purge=True)
    assert not [one for one in things(deployer.cloud) if one.api == "monitoring"]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("end", ["up", "down"])
def test_a_dropped_one_that_could_not_be_deleted_is_looked_for_again(
    deployer: WithObserve, end: str, *, whole: bool
) -> None:
    without = deployer.wanted() if whole else deployer.observed(alerts=[OPS])
    deployer.deployed(deployer.observed(alerts=[OPS], budget=50))
    refuse(deployer, "delete")
    with pytest.raises(PermissionDenied) as told:
        deployer.up(without)
    assert budgets(deployer)[0]["name"] in told.value.hint
    deployer.cloud.faults.clear()
    if end == "up":
        _, after = deployer.up(without)
        assert after.pending == ()
    else:
        deployer.down(without, purge=False)
    assert budgets(deployer) == []


def test_once_it_is_gone_nobody_needs_to_see_budgets_any_more(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(budget=50))
    revision = deployer.service["latestReadyRevision"]
    deployer.up(deployer.observed())
    assert "homeport-budget" not in deployer.service["labels"]
    assert deployer.service["labels"]["homeport"] == "home"
    assert deployer.service["latestReadyRevision"] == revision
    deployer.cloud.log.clear()
    refuse(deployer, "list")
    _, after = deployer.up(deployer.observed())
    deployer.down(deployer.observed(), purge=True)
    assert after.pending == ()
    assert not [one for one in deployer.cloud.log if one.method.startswith("billingbudgets")]


def test_one_that_somebody_else_deleted_leaves_no_mark(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(budget=50))
    (made,) = budgets(deployer)
    act(google_for(deployer.cloud).delete("billingbudgets", f"v1/{made['name']}"))
    _, after = deployer.up(deployer.observed())
    assert after.pending == ()
    assert "homeport-budget" not in deployer.service["labels"]


def test_who_may_not_see_whether_a_dropped_one_is_left_is_told_so(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(budget=50))
    refuse(deployer, "list")
    with pytest.raises(Incomplete, match="not known whether a budget of home is left") as told:
        deployer.up(deployer.observed())
    assert "--billing-account=012345-6789AB-CDEF01" in told.value.hint
    assert "homeport-budget" in deployer.service["labels"]


def test_two_of_them_are_made_one_and_down_takes_both(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(budget=50))
    twin(deployer)
    plan, after = deployer.up(deployer.observed(budget=50))
    (action,) = plan.pending
    assert (action.kind.value, [one.path for one in action.changes]) == ("update", ["duplicates"])
    assert after.pending == ()
    assert len(budgets(deployer)) == 1
    twin(deployer)
    _, after = deployer.up(deployer.observed(budget=60))
    assert after.pending == ()
    assert [one["amount"]["specifiedAmount"]["units"] for one in budgets(deployer)] == ["60"]
    twin(deployer)
    deployer.down(deployer.observed(budget=60), purge=True)
    assert budgets(deployer) == []


def test_two_of_them_that_are_dropped_both_go(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(budget=50))
    twin(deployer)
    deployer.deployed(deployer.observed())
    assert budgets(deployer) == []


@pytest.mark.parametrize("end", ["up", "down"])
def test_with_its_api_off_nobody_says_that_there_is_none(
    deployer: WithObserve, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    deployer.up(deployer.observed(budget=50))
    switch_off(deployer, monkeypatch)
    with pytest.raises(Incomplete, match="not known whether a budget of home is left") as told:
        deployer.up(deployer.observed()) if end == "up" else deployer.down(deployer.observed(), purge=True)
    assert "gcloud services enable billingbudgets.googleapis.com" in told.value.hint
    assert (deployer.service is None) == (end == "down")


def test_without_a_billing_account_nobody_says_that_there_is_none(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(budget=50))
    deployer.cloud.projects = (replace(deployer.cloud.projects[0], billing=False),)
    with pytest.raises(Incomplete, match="has no billing account now"):
        deployer.down(deployer.observed(budget=50), purge=True)
    assert deployer.service is None


@pytest.mark.parametrize("units", [50, 60])
def test_one_that_a_plan_could_not_see_is_not_made_again(
    deployer: WithObserve, monkeypatch: pytest.MonkeyPatch, units: int
) -> None:
    deployer.up(deployer.observed(budget=50))
    switch_off(deployer, monkeypatch)
    if units == 50:
        _, after = deployer.up(deployer.observed(budget=units))
        assert after.pending == ()
    else:
        with pytest.raises(PlanStale):
            deployer.up(deployer.observed(budget=units))
        deployer.up(deployer.observed(budget=units))
    assert [one["amount"]["specifiedAmount"]["units"] for one in budgets(deployer)] == [str(units)]


def test_a_plan_says_that_it_cannot_see_budgets_while_the_api_is_off(
    deployer: WithObserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, warnings = planned(deployer)
    assert ["not known whether a budget of home is in the billing account" in one for one in warnings] == [
        True
    ]
    deployer.up(deployer.observed(budget=50))
    assert planned(deployer)[1] == []
    switch_off(deployer, monkeypatch)
    assert len(planned(deployer)[1]) == 1


def test_another_projects_budget_of_the_same_name_is_left_alone(deployer: WithObserve) -> None:
    deployer.cloud.projects = (*deployer.cloud.projects, Project(id="elsewhere", number="99"))
    other = {
        "displayName": "homeport=home: a month",
        "amount": {"specifiedAmount": {"units": "7"}},
        "budgetFilter": {"projects": ["projects/elsewhere"]},
    }
    assert act(Raw(deployer.cloud).send("POST", ACCOUNT, other)).status == 200
    deployer.deployed(deployer.observed(budget=50))
    assert sorted(one["amount"]["specifiedAmount"]["units"] for one in budgets(deployer)) == ["50", "7"]
    deployer.down(deployer.observed(budget=50), purge=True)
    assert [one["amount"]["specifiedAmount"]["units"] for one in budgets(deployer)] == ["7"]


def test_one_whose_answer_was_lost_is_there_once(deployer: WithObserve) -> None:
    deployer.cloud.faults.append(parse("billingbudgets.billingAccounts.budgets.create:drop:after"))
    _, after = deployer.up(deployer.observed(budget=50))
    assert after.pending == ()
    assert len(budgets(deployer)) == 1


def test_without_it_nobody_is_asked_for_anything_of_a_billing_account(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed(alerts=[OPS]))
    deployer.down(deployer.observed(alerts=[OPS]), purge=True)
    assert not [one for one in deployer.cloud.log if one.method.startswith("billingbudgets")]


def test_who_may_not_see_budgets_is_told_so_before_anything_is_made(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed())
    deployer.deployed(deployer.observed(budget=50))
    deployer.cloud.log.clear()
    deployer.cloud.faults.append(parse("billingbudgets.billingAccounts.budgets.list:403:times=9"))
    with pytest.raises(HomeportError):
        deployer.up(deployer.observed(budget=60))
    assert not [one for one in deployer.cloud.log if one.method.endswith((".create", ".patch"))]


def test_a_plan_tells_what_it_is_of_and_that_it_stops_nothing(deployer: WithObserve) -> None:
    observing, _ = planned(deployer)
    (fact,) = observing.facts(load())
    assert fact.as_json()["budget"] == 50
    assert "50 a month for the whole project, in the billing account's currency" in fact.text
    assert "it stops nothing" in fact.text


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"budget": 0}, "greater than or equal to 1"),
        ({"budget": -5}, "greater than or equal to 1"),
        ({"budget": "50 EUR"}, "valid integer"),
        ({"budget": 49.99}, "valid integer"),
        ({"metrics": False, "budget": 50}, "budget goes by the metrics"),
        ({"budget": 50, "alerts": [f"mailto:o{n}@example.com" for n in range(6)]}, "5 addresses at most"),
        ({"spend_cap": 50}, "whether Cloud Run is among those"),
    ],
)
def test_what_cannot_be_meant_is_refused_plainly(
    deployer: WithObserve, table: dict[str, object], told: str
) -> None:
    with pytest.raises(SpecError) as refused:
        deployer.observed(**table)
    assert told.lower() in str(refused.value).lower()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"displayName": "x"}, "amount must be set"),
        ({"amount": {"specifiedAmount": {"units": "5", "currencyCode": "USD"}}}, "that of the billing account, EUR"),
        ({"displayName": "x" * 61, "amount": {"lastPeriodAmount": {}}}, "at most 60"),
        ({"amount": {"specifiedAmount": {"units": "5"}}, "budgetFilter": {"projects": ["projects/nobody"]}}, "not linked"),
        (
            {"amount": {"specifiedAmount": {"units": "5"}}, "notificationsRule": {"monitoringNotificationChannels": ["x"]}},
            "Threshold rules are required",
        ),
        ({"amount": {"specifiedAmount": {"units": "5"}}, "budget": 5}, "budget"),
    ],
)  # fmt: skip
def test_the_rehearsal_refuses_what_google_refuses(deployer: WithObserve, body: Any, told: str) -> None:
    refused = act(Raw(deployer.cloud).send("POST", ACCOUNT, body))
    assert refused.status == 400
    assert told in refused.error
