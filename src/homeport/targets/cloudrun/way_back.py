"""Whether an earlier revision could serve again: what it reads may be gone, and it may lack the screen that the file wants."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import ApiDisabled, NotFound, SpecError, StateError
from homeport.gateway.settings import VARIABLE
from homeport.gateway.settings import read as settings_of
from homeport.google import Google
from homeport.resources.google.traffic import Body, short
from homeport.spec import Guard
from homeport.targets.cloudrun.containers import secrets_of
from homeport.targets.cloudrun.guarded import GATEWAY

_AGAIN = "put {table} back into the file, and run `homeport up --on cloudrun`: it makes a revision with all that it needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """Looks at the revision that a rollback goes to, before it has traffic."""

    google: Google
    guard: Guard | None
    """What the file wants screened."""

    async def ensure_fit(self, revision: Body) -> None:
        """
        Raise `StateError` where the revision would not start, would refuse everything, or would answer unscreened.

        Raises what reading raises where that cannot be told.
        """
        name = short(str(revision.get("name", "")))
        gateway = _gateway(revision)
        if self.guard is not None and gateway is None:
            raise StateError(
                f"{name} answers unscreened, and the file has a [guard]",
                hint="take [guard] out of the file first, if that is what you want",
            )
        for secret in secrets_of(revision):
            if not await self._is_there("secretmanager", f"v1/{self._in_project(secret)}"):
                raise StateError(
                    f"{name} reads the secret {short(secret)}, which is gone: it would not start",
                    hint=_AGAIN.format(table="what it was for, such as [observe],"),
                )
        template = _template(gateway) if gateway is not None else ""
        if template:
            api = f"modelarmor.{template.split('/')[3]}.rep"
            if not await self._is_there(api, f"v1/{template}"):
                raise StateError(
                    f"{name} screens by the template {short(template)}, which is gone: it would refuse everything",
                    hint=_AGAIN.format(table="[guard]"),
                )

    def _in_project(self, secret: str) -> str:
        return (
            secret if secret.startswith("projects/") else f"projects/{self.google.project}/secrets/{secret}"
        )

    async def _is_there(self, api: str, path: str) -> bool:
        try:
            await self.google.get(api, path)
        except (NotFound, ApiDisabled):
            return False
        return True


def _gateway(revision: Body) -> Body | None:
    return next((one for one in revision.get("containers", ()) if one.get("name") == GATEWAY), None)


def _template(gateway: Body) -> str:
    """Return the template that a gateway is told of; '' for another screen, or words of another version."""
    told = next((one.get("value", "") for one in gateway.get("env", ()) if one.get("name") == VARIABLE), "")
    try:
        return settings_of(told).template if told else ""
    except SpecError:
        return ""
