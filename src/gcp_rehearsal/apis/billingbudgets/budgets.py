"""Budgets of a billing account: what is looked at before one is kept. Nothing is spent here, so none ever writes to anybody."""

from __future__ import annotations

from collections.abc import Mapping

from gcp_rehearsal.apis.resourcemanager.projects import BILLING_ACCOUNT
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, invalid
from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.state import StoredResource

CURRENCY = "EUR"
"""Of the one billing account that there is."""
_LONGEST_TITLE, _MOST_CHANNELS = 60, 5


def _budget(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if not call.name.startswith(BILLING_ACCOUNT):
        raise ApiError(403, "The caller does not have permission")
    if len(str(body.get("displayName", ""))) > _LONGEST_TITLE:
        raise invalid("display_name must be at most 60 characters.", ("budget.display_name", "is too long"))
    _amount(body.get("amount") or {})
    _check_channels(call, body)
    _filter(call, body.setdefault("budgetFilter", {}))
    body["etag"] = call.cloud.number()


def _amount(amount: JsonObject) -> None:
    if len({"specifiedAmount", "lastPeriodAmount"} & set(amount)) != 1:
        raise invalid("Budget amount must be set.", ("budget.amount", "is missing"))
    money = amount.get("specifiedAmount")
    if money is not None:
        if money.get("currencyCode", CURRENCY) != CURRENCY:
            raise invalid(f"The currency of the budget must be that of the billing account, {CURRENCY}.")
        money["currencyCode"] = CURRENCY


def _check_channels(call: Call, body: JsonObject) -> None:
    channels = (body.get("notificationsRule") or {}).get("monitoringNotificationChannels") or []
    if len(channels) > _MOST_CHANNELS:
        raise invalid("At most 5 monitoring notification channels are allowed.")
    if channels and not body.get("thresholdRules"):
        raise invalid("Threshold rules are required for email notifications.")
    for name in channels:
        if call.cloud.store.get("monitoring", call.cloud.by_id(name)) is None:
            raise invalid(f"The notification channel {name} cannot be found.")


def _filter(call: Call, filtered: JsonObject) -> None:
    for name in filtered.get("projects", ()):
        if call.cloud.project(str(name).rpartition("/")[2]) is None:
            raise invalid(f"The project {name} is not linked to the billing account.")
    if "projects" in filtered:
        # Google tells projects back by their numbers.
        filtered["projects"] = [call.cloud.by_number(str(name)) for name in filtered["projects"]]
    filtered.setdefault("creditTypesTreatment", "INCLUDE_ALL_CREDITS")
    if "customPeriod" not in filtered:
        filtered.setdefault("calendarPeriod", "MONTH")


KINDS: Mapping[str, Kind] = {"billingbudgets.billingAccounts.budgets": Kind(prepare=_budget)}
HANDLERS: Mapping[str, Handler] = {}
