"""The file's budget, a resource of the billing account: made, mended, told to others, and gone without a rest."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Raw, act, things
from deployment import google_for
from gcp_rehearsal.faults import parse
from gcp_rehearsal.settings import Project
from homeport.catalog.prices import load
from homeport.errors import HomeportError, SpecError
from observed import WithObserve

OPS = "mailto:ops@example.com"
ACCOUNT = "billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets"


@pytest.fixture
def deployer() -> WithObserve:
    return WithObserve("vllm")


def budgets(deployer: WithObserve) -> list[Any]:  # Any: JSON
    return [one.body for one in things(deployer.cloud) if one.api == "billingbudgets"]


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
    deployer.up(deployer.observed(budget=50))
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
    deployer.up(deployer.observed(alerts=[OPS], budget=50))
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
    deployer.up(deployer.observed(alerts=[OPS], budget=50))
    _, after = deployer.up(deployer.observed(alerts=[OPS]))
    assert after.pending == (), [one.resource.id for one in after.pending]
    assert [one["displayName"] for one in budgets(deployer)] == ["mine"]
    assert deployer.service["labels"]["homeport-observe"] == "metrics"


@pytest.mark.parametrize("left", [{}, {"observe": None}])
def test_without_the_whole_table_it_goes_too(deployer: WithObserve, left: dict[str, Any]) -> None:
    del left
    deployer.up(deployer.observed(alerts=[OPS], budget=50))
    _, after = deployer.up(deployer.wanted())
    assert after.pending == (), [one.resource.id for one in after.pending]
    assert budgets(deployer) == []


def test_down_takes_it_away_before_its_channels_and_the_service(deployer: WithObserve) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.up(deployer.observed(alerts=[OPS], budget=50))
    gone = deployer.down(deployer.observed(budget=50), purge=True)
    at = next(place for place, one in enumerate(gone) if one.startswith("budget"))
    assert at < gone.index("service home")
    assert all(at < place for place, one in enumerate(gone) if one.startswith("notification"))
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


def test_another_projects_budget_of_the_same_name_is_left_alone(deployer: WithObserve) -> None:
    deployer.cloud.projects = (*deployer.cloud.projects, Project(id="elsewhere", number="99"))
    other = {
        "displayName": "homeport=home: a month",
        "amount": {"specifiedAmount": {"units": "7"}},
        "budgetFilter": {"projects": ["projects/elsewhere"]},
    }
    assert act(Raw(deployer.cloud).send("POST", ACCOUNT, other)).status == 200
    deployer.up(deployer.observed(budget=50))
    assert sorted(one["amount"]["specifiedAmount"]["units"] for one in budgets(deployer)) == ["50", "7"]
    deployer.down(deployer.observed(budget=50), purge=True)
    assert [one["amount"]["specifiedAmount"]["units"] for one in budgets(deployer)] == ["7"]


def test_one_whose_answer_was_lost_is_there_once(deployer: WithObserve) -> None:
    deployer.cloud.faults.append(parse("billingbudgets.billingAccounts.budgets.create:drop:after"))
    _, after = deployer.up(deployer.observed(budget=50))
    assert after.pending == ()
    assert len(budgets(deployer)) == 1


def test_without_it_nobody_is_asked_for_anything_of_a_billing_account(deployer: WithObserve) -> None:
    deployer.up(deployer.observed(alerts=[OPS]))
    deployer.down(deployer.observed(alerts=[OPS]), purge=True)
    assert not [one for one in deployer.cloud.log if one.method.startswith("billingbudgets")]


def test_who_may_not_see_budgets_is_told_so_before_anything_is_made(deployer: WithObserve) -> None:
    deployer.up(deployer.observed())
    deployer.up(deployer.observed(budget=50))
    deployer.cloud.log.clear()
    deployer.cloud.faults.append(parse("billingbudgets.billingAccounts.budgets.list:403:times=9"))
    with pytest.raises(HomeportError):
        deployer.up(deployer.observed(budget=60))
    assert not [one for one in deployer.cloud.log if one.method.endswith((".create", ".patch"))]


def test_a_plan_tells_what_it_is_of_and_that_it_stops_nothing(deployer: WithObserve) -> None:
    import asyncio
    from pathlib import Path

    from homeport.home import find_home
    from homeport.progress import Silent
    from homeport.targets.cloudrun.model_selection import choose

    wanted = deployer.observed(budget=50)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    observing = deployer.target(google_for(deployer.cloud), chosen, wanted).observing
    assert observing is not None
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
