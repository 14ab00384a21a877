"""A budget of a project in a month: mail when it is used up, and nothing else. It lies with the billing account, not with the project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from homeport.errors import ApiDisabled, GoogleError, HomeportError
from homeport.google import ANSWER_LOST, Google
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import Outputs, Ref, Rules
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address, RestResource

BUDGET = "budget"
THRESHOLDS = (0.5, 0.9, 1.0)
"""Shares of it at which mail is written: those that Google's own page proposes."""
MOST_TOLD = 5
"""Addresses of our own that a budget takes, by the document billingbudgets.v1 of 2026-10-11."""
_API = "billingbudgets"
_RULES = Rules(
    references=frozenset(("notificationsRule.monitoringNotificationChannels[]",)),
    unordered=frozenset(("notificationsRule.monitoringNotificationChannels",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyBudget(RestResource):
    """An endpoint's budget, which has no labels: it is known by its title, and by the project that it is of."""

    async def read(self) -> Json | None:
        """
        Return what is live, with the project as we write it; None where there is none, or an API is off.

        Raises `PermissionDenied` for one who may not see budgets of the billing account.
        """
        try:
            account = await self._account()
            if not account:
                return None
            numbered = await self._numbered()
            found = [
                one
                async for one in self.google.pages(_API, f"v1/{account}/budgets", "budgets")
                if str(one.get("displayName", "")).startswith(title(self.name))
                and one.get("budgetFilter", {}).get("projects") in ([self._project], [numbered])
            ]
        except ApiDisabled:
            return None
        live = min(found, key=lambda one: str(one["name"]), default=None)
        if live is None:
            return None
        return {**live, "budgetFilter": {**live["budgetFilter"], "projects": [self._project]}}

    def is_managed(self, live: Json) -> bool:
        """Return True if its title is the endpoint's."""
        return str(live.get("displayName", "")).startswith(title(self.name))

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        units = self.wanted.get("amount", {}).get("specifiedAmount", {}).get("units")
        return f"budget of {units} a month: mail alone" if units else f"budget of {self.name}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it. It is asked for once alone: each request makes another."""
        account = await self._account()
        if not account:
            raise HomeportError(
                f"the project {self.google.project} has no billing account, and a budget lies with one",
                hint=f"gcloud billing projects link {self.google.project} --billing-account=ACCOUNT",
            )
        google = patient(self.google, outputs, self.needs)
        try:
            return await google.post(_API, f"v1/{account}/budgets", self._body(outputs), repeatable=False)
        except GoogleError as error:
            found = await self.read() if error.reason == ANSWER_LOST else None
            if found is None:
                raise
            return found

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Change what differs of that which is there."""
        return await RestResource.update(self._at(live), live, outputs, progress)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it; nothing where there is nothing."""
        live = await self.read()
        return await RestResource.delete(self._at(live), progress) if live is not None else ()

    @property
    def _project(self) -> str:
        return f"projects/{self.google.project}"

    async def _account(self) -> str:
        found = await self.google.get("cloudbilling", f"v1/{self._project}/billingInfo")
        return str(found.get("billingAccountName") or "")

    async def _numbered(self) -> str:
        """Return the project by its number, as Google tells it back."""
        found = await self.google.get("cloudresourcemanager", f"v3/{self._project}")
        return str(found["name"])

    def _at(self, live: Json) -> MonthlyBudget:
        return replace(self, address=replace(self.address, path=f"v1/{live['name']}"))


def title(owner: str) -> str:
    """Return what a budget's title begins with."""
    return f"{LABEL}={owner}: "


def budget(google: Google, owner: str, units: int, told: tuple[Ref, ...]) -> MonthlyBudget:
    """Return a budget of so many units of the billing account's currency a month, for all that the project costs."""
    wanted: dict[str, Any] = {  # Any: JSON, and Refs
        "displayName": f"{title(owner)}a month",
        "budgetFilter": {"projects": [f"projects/{google.project}"], "calendarPeriod": "MONTH"},
        "amount": {"specifiedAmount": {"units": f"{units}"}},
        "thresholdRules": [
            {"thresholdPercent": share, "spendBasis": "CURRENT_SPEND"} for share in THRESHOLDS
        ],
        "notificationsRule": {"monitoringNotificationChannels": list(told)},
    }
    return found_budget(google, owner, wanted)


def found_budget(google: Google, owner: str, wanted: JsonObject | None = None) -> MonthlyBudget:
    """Return the budget of an endpoint, whatever it is of: enough to be read and taken away."""
    return MonthlyBudget(
        google=google,
        name=owner,
        id=f"{BUDGET}/{owner}",
        kind=BUDGET,
        address=Address(api=_API, path=f"v1/budgets/{owner}", made_at=""),
        wanted=wanted or {},
        rules=_RULES,
    )


__all__ = ["BUDGET", "MOST_TOLD", "THRESHOLDS", "MonthlyBudget", "budget", "found_budget"]
