"""Plan, apply and destroy, over a graph of resources. Live reality is the only state."""

from homeport.reconcile.apply import Outcome, apply, destroy
from homeport.reconcile.plan import Action, Kind, Plan, make_plan
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Change, Outputs, Resource

__all__ = [
    "KNOWN_AFTER_APPLY",
    "Action",
    "Change",
    "Kind",
    "Outcome",
    "Outputs",
    "Plan",
    "Resource",
    "apply",
    "destroy",
    "make_plan",
]
