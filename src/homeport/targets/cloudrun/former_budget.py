"""A budget that the file no longer wants: it goes, and after it what the service says of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.budget import MonthlyBudget, found_budget, title
from homeport.targets.cloudrun.label_removal import labelled, remove_label
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import BUDGET_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerBudget(MonthlyBudget):
    """
    The budget and the service's label, which outlives it: a budget that could not be deleted is looked for until it is gone.

    Once it is, nobody needs to see budgets for another plan.
    """

    service: str
    """The full name of the service."""

    async def read(self) -> Json | None:
        """Return what is live of the budget, or of the label alone. Raises `Incomplete` where nobody can tell."""
        live = await MonthlyBudget.read(self)
        if live is None and await labelled(self.google, self.service, BUDGET_LABEL) is not None:
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
        await remove_label(self.google, self.service, BUDGET_LABEL)
        return (self.summary({}),)


def former_budget(google: Google, names: Names) -> FormerBudget:
    """Return what is left of the budget of an endpoint whose file wants none."""
    budget = found_budget(google, names.name)
    same = {field.name: getattr(budget, field.name) for field in fields(budget)}
    return FormerBudget(**same, service=names.service)
