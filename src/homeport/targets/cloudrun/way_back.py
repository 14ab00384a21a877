"""Whether an earlier revision could serve again: what it reads may be gone, and it may lack the screen that the file wants."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import ApiDisabled, NotFound, SpecError, StateError
from homeport.gateway.settings import VARIABLE
from homeport.gateway.settings import read as settings_of
from homeport.google import Binding, Google, IamResource, policy
from homeport.json_types import Json
from homeport.resources.google import service_extensions as extensions
from homeport.resources.google.network import network
from homeport.resources.google.traffic import Body, short
from homeport.spec import Guard
from homeport.targets.cloudrun.containers import secret_versions_of
from homeport.targets.cloudrun.foundations import DOMAINS
from homeport.targets.cloudrun.front import screening_gateway
from homeport.targets.cloudrun.guard.road_standing import model_names, names_of
from homeport.targets.cloudrun.guard.screen import ROLE, ModelArmorParts
from homeport.targets.cloudrun.names import Names

_AGAIN = "put {table} back into the file, and run `homeport up --on cloudrun`: it makes a revision with all that it needs"
_LEADS = ("rrdatas", "destinationRanges")
"""Keys of a DNS record and of a firewall rule that say where they lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """Looks at the revision that a rollback goes to, before it has traffic."""

    google: Google
    names: Names
    guard: Guard | None
    """What the file wants screened by a gateway."""
    road: Guard | None = None
    """What it wants screened at a load balancer."""

    async def ensure_fit(self, revision: Body) -> None:
        """
        Raise `StateError` where the revision would not start, would refuse everything, or would answer unscreened.

        Raises what reading raises where that cannot be told.
        """
        name = short(str(revision.get("name", "")))
        gateway = screening_gateway(revision)
        if self.guard is not None and gateway is None:
            raise StateError(
                f"{name} answers unscreened, and the file has a [guard]",
                hint="take [guard] out of the file first, if that is what you want",
            )
        if self.road is not None and self.road.where == "traffic-extension" and gateway is None:
            await self._ensure_named(name, revision)
        for secret, version in secret_versions_of(revision):
            await self._ensure_readable(name, secret, version)
        template = _template(gateway) if gateway is not None else ""
        if template:
            await self._ensure_screens(name, revision, template)

    async def _ensure_named(self, name: str, revision: Body) -> None:
        """Raise `StateError` where the traffic extension that is there does not look at all that the revision answers to."""
        part = extensions.part(
            self.google, self.names.name, extensions.TRAFFIC, self.names.guard, {}, self.names.region
        )
        live = await part.read()
        named = extensions.models_of(live) if live is not None else frozenset[str]()
        lacking = [each for each in model_names(names_of(revision)) if each not in named]
        if names_of(revision) and not lacking:
            return
        unnamed = ", ".join(lacking) or "what it serves, which it does not say"
        raise StateError(
            f"{name} would answer unscreened: the traffic extension {self.names.guard} "
            + (f"does not name {unnamed}" if live is not None else "is gone"),
            hint="put that model back into the file, and run `homeport up --on cloudrun`: it tells the extension before anything serves",
        )

    async def _ensure_readable(self, name: str, secret: str, version: str) -> None:
        try:
            live = await self.google.get("secretmanager", f"v1/{self._in_project(secret)}/versions/{version}")
            state = str(live.get("state", "")).lower()
        except (NotFound, ApiDisabled):
            state = "gone"
        if state != "enabled":
            raise StateError(
                f"{name} reads version {version} of the secret {short(secret)}, which is {state}: it would not start",
                hint=_AGAIN.format(table="what it was for, such as [observe],"),
            )

    async def _ensure_screens(self, name: str, revision: Body, template: str) -> None:
        """Raise `StateError` where its gateway would be refused by Model Armor, or would not reach it."""
        why = ""
        if not await self._exists(f"modelarmor.{template.split('/')[3]}.rep", f"v1/{template}"):
            why = f"screens by the template {short(template)}, which is gone"
        elif not await self._may_screen(str(revision.get("serviceAccount", "")), template.split("/")[1]):
            why = f"asks Model Armor as {revision.get('serviceAccount')}, which has no {ROLE} on the project"
        elif lacks := await self._lacks_of_the_way(revision):
            why = f"reaches Model Armor by the {lacks}, which is gone, or leads elsewhere"
        if why:
            raise StateError(f"{name} {why}: it would refuse everything", hint=_AGAIN.format(table="[guard]"))

    async def _may_screen(self, account: str, project: str) -> bool:
        on = IamResource(api="cloudresourcemanager", path=f"v3/projects/{project}")
        binding = Binding(role=ROLE, members=(f"serviceAccount:{account}",))
        return policy.holds(await policy.read(self.google, on), [binding])

    async def _lacks_of_the_way(self, revision: Body) -> str:
        """
        Return what is missing of the way to Model Armor; '' for nothing.

        In a network of the user's it is theirs, and nothing of it is looked at.
        """
        google, names = self.google, self.names
        interfaces = revision.get("vpcAccess", {}).get("networkInterfaces", ())
        if names.name not in {short(str(interface.get("network", ""))) for interface in interfaces}:
            return ""
        own = network(google, names.name, names.name)
        live_network = await own.read()
        if live_network is None:
            return own.summary({})
        if not own.is_managed(live_network):
            return ""
        # Listed, which everybody may who deploys: to read a single one takes what only `access.isolated` takes.
        rules = google.pages("compute", f"compute/v1/projects/{names.project}/global/firewalls", "items")
        isolated = names.firewall_rules[1] in [rule["name"] async for rule in rules]
        parts = ModelArmorParts(google=google, names=names, guard=Guard())
        way = parts.way(names.zone(DOMAINS[0]), isolated=isolated)
        outputs: dict[str, Json] = {}
        for resource in way:
            live = await resource.read()
            if live is None or any(change.path.startswith(_LEADS) for change in resource.diff(live, outputs)):
                return resource.summary({})
            outputs[resource.id] = live
        return ""

    def _in_project(self, secret: str) -> str:
        return (
            secret if secret.startswith("projects/") else f"projects/{self.google.project}/secrets/{secret}"
        )

    async def _exists(self, api: str, path: str) -> bool:
        try:
            await self.google.get(api, path)
        except (NotFound, ApiDisabled):
            return False
        return True


def _template(gateway: Body) -> str:
    """Return the template that a gateway is told of; '' for another screen, or words of another version."""
    value = next(
        (
            variable.get("value", "")
            for variable in gateway.get("env", ())
            if variable.get("name") == VARIABLE
        ),
        "",
    )
    try:
        return settings_of(value).template if value else ""
    except SpecError:
        return ""
