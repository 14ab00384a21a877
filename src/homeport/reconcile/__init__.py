"""Plan, apply and destroy, over a graph of resources. Live reality is the only state."""

from homeport.reconcile.apply import Outcome, apply
from homeport.reconcile.destroy import Destroyed, destroy
from homeport.reconcile.differences import Rules, differences
from homeport.reconcile.halt import Halt
from homeport.reconcile.interrupts import patient
from homeport.reconcile.plan import Action, Kind, Plan, make_plan
from homeport.reconcile.references import Joined, Ref, joined, needs_of, resolve
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Change, Outputs, Resource

__all__ = [
    "KNOWN_AFTER_APPLY",
    "Action",
    "Change",
    "Destroyed",
    "Halt",
    "Joined",
    "Kind",
    "Outcome",
    "Outputs",
    "Plan",
    "Ref",
    "Resource",
    "Rules",
    "apply",
    "destroy",
    "differences",
    "joined",
    "make_plan",
    "needs_of",
    "patient",
    "resolve",
]
