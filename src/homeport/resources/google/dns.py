"""Private DNS: names of Google's that lead to addresses which Private Google Access serves."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs, Ref
from homeport.reconcile.diff import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource

_KEPT_BY_GOOGLE = frozenset(("SOA", "NS"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone(RestResource):
    """A zone. Deleting it deletes its records."""

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it with all its records, without which it would not go."""
        path = f"{self.address.path}/rrsets"
        try:
            records = [record async for record in self.google.pages("dns", path, "rrsets")]
        except (NotFound, ApiDisabled):
            return ()
        for record in records:
            if record["type"] not in _KEPT_BY_GOOGLE:
                await self._remove(f"{path}/{record['name']}/{record['type']}")
        return await RestResource.delete(self, progress)

    async def _remove(self, path: str) -> None:
        try:
            await self.google.delete("dns", path)
        except NotFound:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSet(RestResource):
    """A set of records, which belongs to the owner of its zone."""

    def is_managed(self, live: Json) -> bool:
        """Return True: records have no labels; their zone has."""
        return True

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{self.wanted['type']} record of {self.wanted['name']}"


def zone(google: Google, name: str, zone_name: str, dns_name: str, network_name: str) -> Zone:
    """Return the private zone `zone_name` for `dns_name` (with its last dot), seen from one network."""
    parent = f"dns/v1/projects/{google.project}/managedZones"
    return Zone(
        google=google,
        name=name,
        id=f"zone/{zone_name}",
        kind="private zone",
        address=Address(api="dns", path=f"{parent}/{zone_name}", made_at=parent),
        wanted={
            "name": zone_name,
            "dnsName": dns_name,
            "description": f"{LABEL}={name}",
            "visibility": "private",
            "labels": {LABEL: name},
            "privateVisibilityConfig": {
                "networks": [{"networkUrl": Ref(f"network/{network_name}", "selfLink")}]
            },
        },
        rules=Rules(
            immutable=frozenset(("name", "dnsName", "visibility")),
            references=frozenset(("privateVisibilityConfig.networks[].networkUrl",)),
        ),
        change="merge",
    )


def record(
    google: Google, name: str, zone_name: str, host: str, kind: str, values: tuple[str | Ref, ...]
) -> RecordSet:
    """Return the records of type `kind` for `host` (with its last dot) in a zone."""
    parent = f"dns/v1/projects/{google.project}/managedZones/{zone_name}/rrsets"
    return RecordSet(
        google=google,
        name=name,
        id=f"record/{zone_name}/{host}{kind}",
        kind="DNS record",
        address=Address(api="dns", path=f"{parent}/{host}/{kind}", made_at=parent),
        wanted={"name": host, "type": kind, "ttl": 300, "rrdatas": list(values)},
        after=(f"zone/{zone_name}",),
        # The order in which a name's addresses are read back means nothing.
        rules=Rules(unordered=frozenset(("rrdatas",))),
        change="merge",
    )
