"""The region of a file that names none: that in which its endpoint stands, before the default."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from homeport.catalog import cloudrun
from homeport.errors import ApiDisabled, HomeportError, NoCredentials, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.google.rest import LABEL
from homeport.resources.google.service import ServiceRole, role_of
from homeport.spec import CloudRun, Spec
from homeport.targets.cloudrun.inventory import SERVICES, Inventory, not_known_where, take_inventory


class SeenServices:
    """The services of all regions, as they were listed when a file was opened, for its first plan: the next one looks itself."""

    def __init__(self, services: Inventory | None = None) -> None:
        self._services = services

    def take(self) -> Inventory | None:
        """Return them, with what could not be read and nobody has told; None where they are not known, or were taken."""
        services, self._services = self._services, None
        return services


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an endpoint stands."""

    spec: Spec
    """The file's, with the region."""
    note: str = ""
    """What the reader of a plan should know of that; '' for nothing."""
    seen: SeenServices = field(default_factory=SeenServices)


async def where_it_stands(google: Google, spec: Spec) -> Standing:
    """
    Return the spec with the region in which its endpoint stands, what the reader should know of that, and what was seen on the way.

    Nothing is asked for a file that names a region. An endpoint of an earlier version, whose default was another, is not
    moved: that would make a second one. Raises `NoCredentials`.
    """
    settings = spec.cloudrun or CloudRun()
    if "region" in settings.model_fields_set or not google.project:
        return Standing(spec=spec)
    here, name = settings.region, spec.endpoint_name
    try:
        if await _stands(google, name, here):
            return Standing(spec=spec)
    except ApiDisabled:
        return Standing(spec=spec)
    except NoCredentials:
        raise
    except HomeportError:
        pass  # Who may not read one may list them, and where not, the list says why.
    services = await take_inventory(google, kinds=(SERVICES,), even_if_nothing=True)
    serving = {thing.region for thing in services.of(name) if thing.is_service_of_model}
    if here in serving:
        return Standing(spec=spec, seen=SeenServices(services))
    offered = cloudrun.gpu(settings.gpu)
    possible = offered.regions if offered else cloudrun.regions()
    elsewhere = [region for region in possible if region in serving]
    unread = [one for one in services.unread if one.region in {here, *possible}]
    if not elsewhere or here in {one.region for one in unread}:
        untold = tuple(one for one in services.unread if one not in unread)
        return Standing(
            spec=spec,
            note=f"region: the file names none, so {here} is taken; {not_known_where(f'{name} stands', unread)}"
            if unread
            else "",
            seen=SeenServices(replace(services, unread=untold)),
        )
    settled = CloudRun.model_validate({**settings.model_dump(exclude_unset=True), "region": elsewhere[0]})
    text = (
        f'region: the file names none, and {name} stands in {elsewhere[0]}: it stays there. Write region = "{elsewhere[0]}" '
        f"into [cloudrun] to keep it, or another region to make a second one (the default is {here})"
    )
    return Standing(
        spec=spec.model_copy(update={"cloudrun": settled}), note=text, seen=SeenServices(services)
    )


async def _stands(google: Google, name: str, region: str) -> bool:
    """Return True where the endpoint's service is there, by its label."""
    try:
        live: Json = await google.get(
            "run", f"v2/projects/{google.project}/locations/{region}/services/{name}"
        )
    except NotFound:
        return False
    return live.get("labels", {}).get(LABEL) == name and role_of(live) == ServiceRole.MODEL
