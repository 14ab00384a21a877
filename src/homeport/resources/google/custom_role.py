"""A role of a project's own, which holds a few permissions."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import AlreadyExists, GoogleError
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address, RestResource

KIND = "custom role"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole(RestResource):
    """A custom role. Google keeps a deleted one for a week, under its id: then it is taken back, not made."""

    async def read(self) -> Json | None:
        """Return what is live; a role that was deleted is not."""
        live = await RestResource.read(self)
        return None if live is None or live.get("deleted") else live

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it, or take the deleted one back and make it what is wanted."""
        google = patient(self.google, outputs, self.needs)
        role_id = self.address.path.rpartition("/")[2]
        live = await RestResource.read(self)
        if live is None:
            try:
                role: Json = await google.post(
                    "iam",
                    self.address.made_at,
                    {"roleId": role_id, "role": self._body(outputs)},
                    repeatable=True,
                )
            except (AlreadyExists, GoogleError):
                live = await RestResource.read(self)
                if live is None:
                    raise
            else:
                return role
        if live.get("deleted"):
            live = await google.post(
                "iam", f"{self.address.path}:undelete", {"etag": live["etag"]}, repeatable=True
            )
        return await self.update(live, outputs, progress)

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Change what it holds."""
        body = self._body(outputs)
        return await self.google.patch("iam", self.address.path, body, updateMask=",".join(sorted(body)))

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it; nothing where it was already."""
        return await RestResource.delete(self, progress) if await self.read() is not None else ()


def custom_role(
    google: Google, name: str, role_id: str, title: str, permissions: tuple[str, ...]
) -> CustomRole:
    """Return the role `role_id` of the endpoint `name`; `title` tells people what it is for."""
    parent = f"v1/projects/{google.project}/roles"
    return CustomRole(
        google=google,
        name=name,
        id=f"role/{role_id}",
        kind=KIND,
        address=Address(api="iam", path=f"{parent}/{role_id}", made_at=parent),
        wanted={
            "title": title,
            "description": f"{LABEL}={name}",
            "includedPermissions": sorted(permissions),
            "stage": "GA",
        },
        marked="description",
    )
