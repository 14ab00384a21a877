"""A budget of a project in a month: mail when it is used up, and nothing else. It lies with the billing account, not with the project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from homeport.errors import (
    AlreadyExists,
    ApiDisabled,
    GoogleError,
    HomeportError,
    Incomplete,
    NotFound,
    PermissionDenied,
)
from homeport.google import ANSWER_LOST, Google
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import Outputs, Ref
from homeport.reconcile.diff import Rules
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address
from homeport.resources.google.unnamed import UnnamedResource, one_of

BUDGET = "budget"
THRESHOLDS = (0.5, 0.9, 1.0)
"""Shares of it at which mail is written: those that Google's own page proposes."""
MOST_TOLD = 5
"""Addresses of our own that a budget takes, by the document billingbudgets.v1 of 2026-10-11."""
_API = "billingbudgets"
API = f"{_API}.googleapis.com"
_RULES = Rules(
    references=frozenset(("notificationsRule.monitoringNotificationChannels[]",)),
    unordered=frozenset(("notificationsRule.monitoringNotificationChannels",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyBudget(UnnamedResource):
    """
    An endpoint's budget, which has no labels: it is known by its title, and by the project that it is of.

    It outlives the project's APIs and its link to a billing account. One without a `wanted` body is to go.
    """

    async def read(self) -> Json | None:
        """
        Return what is live, with the project as we write it and the names of more of them; None where there is none.

        For one that is wanted, also None where an API is off that `up` switches on: `create` looks again then. Raises
        `PermissionDenied` for one who may not see budgets of the billing account, and `Incomplete` where it is
        to go and nobody can tell whether it is there.
        """
        account = ""
        try:
            account = await self.account()
            budgets = await self.ours(account)
        except (ApiDisabled, PermissionDenied) as error:
            if not self.wanted:
                raise self._unknown(str(error), account, error.hint) from error
            if isinstance(error, ApiDisabled):
                return None
            raise
        if not account and not self.wanted:
            raise self._unknown(
                f"the project {self.google.project} has no billing account now, and budgets lie with one"
            )
        live = one_of(budgets)
        return live and {**live, "budgetFilter": {**live["budgetFilter"], "projects": [self._project]}}

    def is_managed(self, live: Json) -> bool:
        """Return True if its title is the endpoint's."""
        return str(live.get("displayName", "")).startswith(title(self.name))

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        units = self.wanted.get("amount", {}).get("specifiedAmount", {}).get("units")
        return f"budget of {units} a month: mail alone" if units else f"budget of {self.name}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """
        Make it. It is asked for once alone: each request makes another.

        Raises `AlreadyExists` where one is there: a plan sees none as long as the API is off.
        """
        google = patient(self.google, outputs, self.needs)
        seeing = replace(self, google=google)
        account = await seeing.account()
        if not account:
            raise HomeportError(
                f"the project {self.google.project} has no billing account, and a budget lies with one",
                hint=f"gcloud billing projects link {self.google.project} --billing-account=ACCOUNT",
            )
        if await seeing.ours(account):
            raise AlreadyExists(f"there is a budget of {self.name} in {account} already", status=409)
        try:
            return await google.post(_API, f"v1/{account}/budgets", self._body(outputs), repeatable=False)
        except GoogleError as error:
            live = await self.read() if error.reason == ANSWER_LOST else None
            if live is None:
                raise
            return live

    @property
    def _project(self) -> str:
        return f"projects/{self.google.project}"

    async def account(self) -> str:
        """Return the billing account of the project, as `billingAccounts/ID`; '' where it has none."""
        billing = await self.google.get("cloudbilling", f"v1/{self._project}/billingInfo")
        return str(billing.get("billingAccountName") or "")

    async def _numbered(self) -> str:
        """Return the project by its number, as Google tells it back."""
        project = await self.google.get("cloudresourcemanager", f"v3/{self._project}")
        return str(project["name"])

    async def ours(self, account: str) -> list[Json]:
        """Return all budgets of the endpoint in that account."""
        if not account:
            return []
        numbered = await self._numbered()
        return [
            live
            async for live in self.google.pages(_API, f"v1/{account}/budgets", "budgets")
            if str(live.get("displayName", "")).startswith(title(self.name))
            and live.get("budgetFilter", {}).get("projects") in ([self._project], [numbered])
        ]

    async def remove(self, name: str) -> None:
        """Unmake the one of that name, if it is still there. Raises an error that says how to do it by hand."""
        try:
            await self.google.delete(_API, f"v1/{name}")
        except NotFound:
            return
        except HomeportError as error:
            by_hand = f"the budget of {self.name} is left; who may: gcloud billing budgets delete {name}"
            error.hint = f"{error.hint}; {by_hand}" if error.hint else by_hand
            raise

    def _unknown(self, why: str, account: str = "", hint: str = "") -> Incomplete:
        """Return the error for one that is to go, where nobody knows whether it is there."""
        place = account.rpartition("/")[2] or "ACCOUNT"
        by_hand = (
            f"who may: gcloud billing budgets list --billing-account={place}, and gcloud billing budgets delete NAME for what "
            f"is called `{title(self.name)}…` and is of {self.google.project}"
        )
        return Incomplete(
            f"it is not known whether a budget of {self.name} is left in the billing account: {why}",
            hint=f"{hint}; or {by_hand}" if hint else by_hand,
        )

    def at(self, live: Json) -> MonthlyBudget:
        """Return it under the name that Google gave it."""
        return replace(self, address=replace(self.address, path=f"v1/{live['name']}"))


def title(owner: str) -> str:
    """Return what a budget's title begins with."""
    return f"{LABEL}={owner}: "


def budget(google: Google, owner: str, units: int, told: tuple[Ref, ...]) -> MonthlyBudget:
    """Return a budget of so many units of the billing account's currency a month, for all that the project costs."""
    body: dict[str, Any] = {  # Any: JSON, and Refs
        "displayName": f"{title(owner)}a month",
        "budgetFilter": {"projects": [f"projects/{google.project}"], "calendarPeriod": "MONTH"},
        "amount": {"specifiedAmount": {"units": f"{units}"}},
        "thresholdRules": [
            {"thresholdPercent": share, "spendBasis": "CURRENT_SPEND"} for share in THRESHOLDS
        ],
        "notificationsRule": {"monitoringNotificationChannels": list(told)},
    }
    return found_budget(google, owner, body)


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


__all__ = ["API", "BUDGET", "MOST_TOLD", "THRESHOLDS", "MonthlyBudget", "budget", "found_budget"]
