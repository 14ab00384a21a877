"""Plan, apply and destroy, over a graph of resources. Live reality is the only state."""

from homeport.reconcile.apply import Applied, apply
from homeport.reconcile.cancellation import Cancellation
from homeport.reconcile.destroy import Destroyed, destroy
from homeport.reconcile.interrupts import patient
from homeport.reconcile.plan import Action, ActionKind, Plan, make_plan
from homeport.reconcile.references import Concat, Ref, joined, needs_of, resolve
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Change, Outputs, Resource

__all__ = [
    "KNOWN_AFTER_APPLY",
    "Action",
    "ActionKind",
    "Applied",
    "Cancellation",
    "Change",
    "Concat",
    "Destroyed",
    "Outputs",
    "Plan",
    "Ref",
    "Resource",
    "apply",
    "destroy",
    "joined",
    "make_plan",
    "needs_of",
    "patient",
    "resolve",
]
