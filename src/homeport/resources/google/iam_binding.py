"""A grant: one role for one member on one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Binding, Google, IamResource, policy
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.reconcile.shared_reads import shared
from homeport.resources.base import FixedResource
from homeport.resources.google.propagation import Of, changed, found, patient

_ACCOUNT_S = 120.0
"""For how long a new service account may be unknown to policies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(FixedResource):
    """
    A role for a member, and nothing else of the policy that it is in.

    A policy cannot say whose a grant is: one that is there with our member in it is taken for ours.
    """

    google: Google
    role: str
    member: str
    """Such as `serviceAccount:EMAIL`."""
    on: IamResource
    known_as: str
    """What it is on, as people call it, such as `bucket/home-weights`."""
    needs: tuple[str, ...]
    """The thing and the account, where they are ours."""
    under_any_condition: bool = False
    """
    Whether a member that has the role under a condition of somebody's has what is wanted: without one it would have more.
    """
    kind = "grant"
    goes_first: ClassVar[bool] = True
    """Where it is wanted no more it is taken back before anything else is done."""

    @property
    def id(self) -> str:
        """Return its kind, and all that makes it one; of a service account of the project only the first word."""
        who = self.member.partition(":")[2].removesuffix(f"@{self.google.project}.iam.gserviceaccount.com")
        return f"grant/{self.role.rpartition('/')[2]}/{who}/{self.known_as}"

    async def read(self) -> Any | None:  # Any: a Spreading
        """Return the grant, where it is there."""
        try:
            live = await shared((self.google, self.on), lambda: policy.read(self.google, self.on))
        except (NotFound, ApiDisabled):
            return None
        conditions = policy.conditions_of(live, self.role, self.member)
        holds = bool(conditions) if self.under_any_condition else None in conditions
        return found(self.member, Of.GRANT) if holds else None

    def unchanged_after_update(self, live: Any) -> Any:  # Any: a Spreading
        """Return all of it: a grant never changes."""
        return live

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{self.member} has {self.role} on {self.known_as}"

    async def create(self, outputs: Outputs, progress: Progress) -> Any:  # Any: a Spreading
        """Add it to the policy, once the member is known everywhere."""
        google = patient(self.google, outputs, self.needs).patient(accounts=_ACCOUNT_S)
        await policy.grant(google, self.on, [self._binding])
        return changed(self.member, Of.GRANT)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Take it out of the policy."""
        try:
            revoked = await policy.revoke(self.google, self.on, [self._binding])
        except (NotFound, ApiDisabled):
            return ()
        return () if not revoked else (f"grant of {self.role} on {self.known_as}",)

    @property
    def _binding(self) -> Binding:
        return Binding(role=self.role, members=(self.member,))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingGrant(Grant):
    """
    What the endpoint's own account may do while it serves. Where it is wanted no more it is taken back at the end.

    A revision that still serves fails without it, such as one that asks a screen: so all regions must serve by another one before.
    """

    goes_first: ClassVar[bool] = False
