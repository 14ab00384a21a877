"""Dashboards, alert policies, notification channels and uptime checks: Cloud Monitoring names them itself, so each is known by its labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from homeport.errors import ApiDisabled, GoogleError, NotFound
from homeport.google import ANSWER_LOST, Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.reconcile.diff import Rules
from homeport.reconcile.shared_reads import shared
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address, RestResource
from homeport.resources.google.unnamed import UnnamedResource, one_of

DASHBOARD, POLICY, CHANNEL, UPTIME = "dashboard", "alert policy", "notification channel", "uptime check"
COLLECTIONS: Mapping[str, tuple[str, str]] = {
    DASHBOARD: ("v1", "dashboards"),
    POLICY: ("v3", "alertPolicies"),
    CHANNEL: ("v3", "notificationChannels"),
    UPTIME: ("v3", "uptimeCheckConfigs"),
}
"""The version of the API that has a kind, and its collection there."""
PART = "homeport-part"
"""The label that tells the things of one kind of an endpoint apart."""
_API = "monitoring"
_RULES = Rules(
    immutable=frozenset(("type", "monitoredResource")),
    keys={"conditions": "displayName"},
    references=frozenset(("notificationChannels[]",)),
    unordered=frozenset(("notificationChannels", "selectedRegions")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringPart(UnnamedResource):
    """One such thing. Where its name is not known yet, it is looked for among all of its kind."""

    part: str
    """What its label says; '' for one that was found, whose name is known."""

    async def read(self) -> Json | None:
        """Return what is live. An API that is off has no things."""
        if not self.part:
            return await RestResource.read(self)
        try:
            found = [live for live in await self._every(self.kind) if self._is_it(live)]
            used = await self._used() if self.kind == CHANNEL and len(found) > 1 else Counter[str]()
        except ApiDisabled:
            return None
        return one_of(found, first=lambda live: -used[str(live["name"])])

    def is_managed(self, live: Json) -> bool:
        """Return True if it carries the endpoint's label."""
        return bool(live.get(labels_key(self.kind), {}).get(LABEL) == self.name)

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{self.kind} {self.part or self.address.path.rpartition('/')[2]}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it. It is asked for once alone: each request makes another."""
        google = patient(self.google, outputs, self.needs)
        try:
            return await google.post(_API, self.address.made_at, self._body(outputs), repeatable=False)
        except GoogleError as error:
            live = await self.read() if error.reason == ANSWER_LOST else None
            if live is None:
                raise
            return live

    async def remove(self, name: str) -> None:
        """Unmake the one of that name, if it is still there."""
        await self._removed(name)

    async def remove_duplicate(self, name: str) -> None:
        """Unmake another one. A channel goes from our own policies that have it, too: they take the other; somebody else's keeps it."""
        users = [
            policy for policy in await self._every(POLICY) if name in policy.get("notificationChannels", ())
        ]
        ours = all(policy.get("userLabels", {}).get(LABEL) == self.name for policy in users)
        try:
            await self._removed(name, **({"force": True} if users and ours else {}))
        except GoogleError as error:
            if users and not ours and not error.hint:
                titles = ", ".join(repr(policy.get("displayName") or policy["name"]) for policy in users)
                error.hint = f"take the channel {name} out of {titles}, or give them the other one of {self.name}; then run `homeport up` again"
            raise

    def at(self, live: Json) -> MonitoringPart:
        """Return it under the name that Google gave it."""
        version, _ = COLLECTIONS[self.kind]
        return replace(self, address=replace(self.address, path=f"{version}/{live['name']}"))

    async def _every(self, kind: str) -> list[Json]:
        version, collection = COLLECTIONS[kind]
        path = f"{version}/projects/{self.google.project}/{collection}"

        async def listed() -> list[Json]:
            return [live async for live in self.google.pages(_API, path, collection)]

        return await shared((self.google, path), listed)

    async def _removed(self, name: str, **query: bool) -> None:
        version, _ = COLLECTIONS[self.kind]
        with suppress(NotFound, ApiDisabled):
            await self.google.delete(_API, f"{version}/{name}", **query)

    async def _used(self) -> Counter[str]:
        """Return how many policies have each channel."""
        return Counter(
            name for policy in await self._every(POLICY) for name in policy.get("notificationChannels", ())
        )

    def _is_it(self, live: Json) -> bool:
        labels = live.get(labels_key(self.kind), {})
        return bool(labels.get(LABEL) == self.name and labels.get(PART) == self.part)


def labels_key(kind: str) -> str:
    """Return where a thing of that kind has labels of its users."""
    return "labels" if kind == DASHBOARD else "userLabels"


def monitoring_part(
    google: Google, owner: str, kind: str, part: str, wanted: Mapping[str, Any], *, known_as: str = ""
) -> MonitoringPart:  # Any: JSON, and Refs
    """Return a thing of Cloud Monitoring's; one that was found is `known_as` its name there."""
    version, collection = COLLECTIONS[kind]
    parent = f"{version}/projects/{google.project}/{collection}"
    labels = {labels_key(kind): {LABEL: owner, PART: part}}
    return MonitoringPart(
        google=google,
        name=owner,
        id=f"{kind.replace(' ', '-')}/{known_as or part}",
        kind=kind,
        part="" if known_as else part,
        address=Address(api=_API, path=f"{parent}/{known_as or part}", made_at=parent),
        wanted={**wanted, **labels},
        rules=_RULES,
        change="merge" if kind == DASHBOARD else "mask",
    )


__all__ = [
    "CHANNEL",
    "COLLECTIONS",
    "DASHBOARD",
    "PART",
    "POLICY",
    "UPTIME",
    "MonitoringPart",
    "labels_key",
    "monitoring_part",
]
