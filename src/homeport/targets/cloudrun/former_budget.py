"""A budget that the file no longer wants: it goes, and after it what the service says of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.budget import MonthlyBudget, found_budget, title
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import BUDGET_LABEL

_DEADLINE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerBudget(MonthlyBudget):
    """
    The budget and the service's label, which outlives it: a budget that could not be deleted is looked for until it is gone.

    Once it is, nobody needs to see budgets for another plan. Whether Google makes a revision where a label alone
    changes was not checked; it would have no traffic.
    """

    service: str
    """The path of the service in the API."""

    async def read(self) -> Json | None:
        """Return what is live of the budget, or of the label alone. Raises `Incomplete` where nobody can tell."""
        live = await MonthlyBudget.read(self)
        if live is None and await self._marked() is not None:
            return {"displayName": title(self.name)}
        return live

    def summary(self, outputs: Outputs) -> str:
        """Return what it is."""
        return f"budget of {self.name}, and the service's label of it"

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake the budget, then the label."""
        live = await MonthlyBudget.read(self)
        if live is not None:
            await self.unmake(live)
        service = await self._marked()
        if service is not None:
            labels = {key: value for key, value in service["labels"].items() if key != BUDGET_LABEL}
            body = {"labels": labels, "etag": service["etag"]}
            begun = await self.google.patch("run", self.service, body, updateMask="labels")
            await self.google.finish("run", begun, key=self.id, deadline=_DEADLINE_S)
        return (self.summary({}),)

    async def _marked(self) -> Json | None:
        """Return the service while it says that it had a budget."""
        try:
            service = await self.google.get("run", self.service)
        except (NotFound, ApiDisabled):
            return None
        return service if BUDGET_LABEL in service.get("labels", {}) else None


def former_budget(google: Google, names: Names) -> FormerBudget:
    """Return what is left of the budget of an endpoint whose file wants none."""
    budget = found_budget(google, names.name)
    same = {field.name: getattr(budget, field.name) for field in fields(budget)}
    return FormerBudget(**same, service=f"v2/{names.service}")
