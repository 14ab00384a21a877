"""Certificate Manager: a certificate that Google makes once a DNS record proves the domain, and the map that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import Ref, joined
from homeport.reconcile.diff import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource

AUTHORIZATION, MANAGED, MAP, ENTRY = (
    "DNS authorization",
    "managed certificate",
    "certificate map",
    "certificate map entry",
)
_API = "certificatemanager"
COLLECTIONS: Mapping[str, str] = {
    AUTHORIZATION: "dnsAuthorizations",
    MANAGED: "certificates",
    MAP: "certificateMaps",
    ENTRY: "certificateMapEntries",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateMap(RestResource):
    """A map of certificates. Google deletes none that still has entries."""

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it with all its entries."""
        path = f"{self.address.path}/certificateMapEntries"
        try:
            entries = [entry async for entry in self.google.pages(_API, path, "certificateMapEntries")]
        except (NotFound, ApiDisabled):
            return ()
        for entry in entries:
            try:
                operation = await self.google.delete(_API, f"v1/{entry['name']}")
            except NotFound:
                continue
            await self._finished(operation, progress)
        return await RestResource.delete(self, progress)


def managed(  # noqa: PLR0913 - of what, whose, where
    google: Google,
    owner: str,
    kind: str,
    name: str,
    wanted: Mapping[str, Any],  # Any: JSON, and Refs
    *,
    within: str = "",
    region: str = "",
) -> RestResource:
    """Return a thing of Certificate Manager's that holds in a region, or worldwide; an entry is `within` a map."""
    place = f"v1/projects/{google.project}/locations/{region or 'global'}"
    parent = (
        f"{place}/certificateMaps/{within}/certificateMapEntries"
        if within
        else f"{place}/{COLLECTIONS[kind]}"
    )
    id_key = {
        AUTHORIZATION: "dnsAuthorizationId",
        MANAGED: "certificateId",
        MAP: "certificateMapId",
        ENTRY: "certificateMapEntryId",
    }[kind]
    resource_class = CertificateMap if kind == MAP else RestResource
    return resource_class(
        google=google,
        name=owner,
        id=f"{kind.lower().replace(' ', '-')}/{name}",
        kind=kind,
        address=Address(api=_API, path=f"{parent}/{name}", made_at=parent, query={id_key: name}),
        wanted={"labels": {LABEL: owner}, **wanted},
        rules=Rules(
            immutable=frozenset(("domain", "managed", "hostname")),
            references=frozenset(("managed.dnsAuthorizations[]", "certificates[]")),
        ),
    )


def for_domain(google: Google, owner: str, name: str, domain: str, *, region: str = "") -> list[RestResource]:
    """
    Return what it takes to have a certificate of `domain` from Google: its map and the entry of that are the last. A proxy of a
    `region` names the certificate itself, which is the last then.
    """
    authorization = managed(google, owner, AUTHORIZATION, name, {"domain": domain}, region=region)
    certificate = managed(
        google,
        owner,
        MANAGED,
        name,
        {"managed": {"domains": [domain], "dnsAuthorizations": [Ref(authorization.id, "name")]}},
        region=region,
    )
    if region:
        return [authorization, certificate]
    certificate_map = managed(google, owner, MAP, name, {"description": f"what {domain} shows"})
    entry = managed(
        google,
        owner,
        ENTRY,
        name,
        {"hostname": domain, "certificates": [Ref(certificate.id, "name")]},
        within=name,
    )
    return [authorization, certificate, certificate_map, replace(entry, after=(certificate_map.id,))]


def link_of(one: RestResource) -> Any:  # Any: text with a Ref in it
    """Return how a target proxy names a map, or a certificate of its region."""
    return joined("//certificatemanager.googleapis.com/", Ref(one.id, "name"))


__all__ = [
    "AUTHORIZATION",
    "COLLECTIONS",
    "ENTRY",
    "MANAGED",
    "MAP",
    "CertificateMap",
    "for_domain",
    "link_of",
    "managed",
]
