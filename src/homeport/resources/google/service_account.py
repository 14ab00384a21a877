"""A service account: who a build or a service is."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.backoff import Backoff
from homeport.errors import AlreadyExists, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address, RestResource

_SEEN_IN_A_ROW = 3
"""A new account is answered for by some of Google's servers before others."""
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount(RestResource):
    """A service account, which is only called made when it is seen."""

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it, and wait until it is seen."""
        email = self.address.path.rpartition("/")[2]
        body = {"accountId": email.partition("@")[0], "serviceAccount": dict(self.wanted)}
        try:
            google = patient(self.google, outputs, self.needs)
            await google.post("iam", self.address.made_at, body, repeatable=True)
        except AlreadyExists:
            pass  # An answer was lost, or somebody was quicker: whose it is shows when it is seen.
        return await self._visible()

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Change its words."""
        body = {"serviceAccount": dict(self.wanted), "updateMask": ",".join(self.wanted)}
        return await self.google.patch("iam", self.address.path, body)

    async def _visible(self) -> Json:
        wait = Backoff(what=f"{self.id} to be seen", within=_PATIENCE_S, first=1.0)
        sightings = 0
        while True:
            live = await self.read()
            sightings = sightings + 1 if live is not None else 0
            if sightings == _SEEN_IN_A_ROW:
                return live
            if not await wait.pause():
                raise NotFound(
                    f"{self.summary({})} was made and is not seen after {_PATIENCE_S:.0f} s",
                    hint="run the same command again: it goes on from here",
                )


def account(google: Google, name: str, account_id: str, title: str) -> ServiceAccount:
    """Return the service account `account_id` of the endpoint `name`; `title` tells people what it is for."""
    email = f"{account_id}@{google.project}.iam.gserviceaccount.com"
    return ServiceAccount(
        google=google,
        name=name,
        id=f"service-account/{account_id}",
        kind="service account",
        address=Address(
            api="iam",
            path=f"v1/projects/{google.project}/serviceAccounts/{email}",
            made_at=f"v1/projects/{google.project}/serviceAccounts",
        ),
        wanted={"displayName": title, "description": f"{LABEL}={name}"},
        marked="description",
    )
