"""The way into a service through its load balancer alone: its own address is closed, once the other one answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from homeport.backoff import Backoff
from homeport.errors import ApiDisabled, HomeportError, NotFound, OperationFailed
from homeport.google import Google
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs
from homeport.resources.base import DependentResource
from homeport.resources.google.managed_certificate import AUTHORIZATION, MANAGED
from homeport.resources.google.release import Prove
from homeport.resources.google.traffic import (  # fmt: skip
    BACK_DOOR,
    BEHIND,
    CLOSED,
    EDGE,
    EDGE_KIND,
    OPEN,
    WITHIN,
    Body,
    behind_text,
    edge_address_of,
    foremost,
    is_closed,
    latest,
)

Ask = Callable[[Body], Awaitable[str]]
"""Asks the edge for the models with the caller's token; '' once it answers, else what came instead."""
_DEADLINE_S = 300.0
_FIRST_S, _LONGEST_S = 5.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDoor(DependentResource):
    """
    A service that takes requests from its load balancer and from within its network, and from nowhere else.

    It is closed last, when the load balancer was seen to answer with the model behind it, and verified through it then;
    where that fails it is opened again, or stays as it was closed before. A load balancer takes minutes to answer, and a managed certificate as long as its
    DNS record does: that is waited for.
    """

    google: Google
    name: str
    path: str
    """Of the service, as its API has it."""
    address: str
    """Of the edge, such as `https://llm.example.com`."""
    after: tuple[str, ...]
    ask: Ask
    prove: Prove
    within: float
    """Seconds that the edge may take to answer."""
    is_isolated: bool = False
    """Whether the service takes requests from its network alone, open or closed: an internal load balancer is in there."""
    led: tuple[str, ...] = ()
    """The ids of services that ask at the address: they are led there before the service's own is gone."""
    edge_kind: str = "global"
    from_where: str = ""
    """From where it can be asked, as those are told who ask in vain; '' for everywhere."""
    behind: Mapping[str, str] = field(default_factory=dict)
    """Other endpoints that the edge leads to, by path or header, and by their names the percent of those that share its traffic: each is asked for, too."""
    unfound: Mapping[str, str] = field(default_factory=dict)
    """Of `behind`, that of which no service was found, by the name of the endpoint."""
    kind = "closed door"

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"closed-door/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of the service, its release, all of the load balancer, and what asks there."""
        return (*self.after_parts, *self.led)

    @property
    def after_parts(self) -> tuple[str, ...]:
        """Return the ids of all without which the edge cannot answer."""
        return (f"service/{self.name}", f"release/{self.name}", *self.after)

    async def read(self) -> Json | None:
        """Return the service, once it is closed."""
        try:
            service = await self.google.get("run", self.path)
        except (NotFound, ApiDisabled):
            return None
        return service if is_closed(service) else None

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Tell whether it is closed in another way, or for another address."""
        actual = {
            "address": live.get("annotations", {}).get(EDGE, ""),
            "ingress": live.get("ingress", ""),
            "defaultUriDisabled": bool(live.get("defaultUriDisabled")),
            "behind": live.get("annotations", {}).get(BEHIND, ""),
        }
        expected = {
            "address": self.address,
            "ingress": self.ingress,
            "defaultUriDisabled": True,
            "behind": self._behind,
        }
        return tuple(
            Change(path=key, before=actual[key], after=value)
            for key, value in expected.items()
            if actual[key] != value
        )

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return (
            f"requests only through {self.address}, once it answers; the service's own address is closed then"
        )

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Wait until the edge answers, close the service, and verify it through the edge."""
        service = await self.answered(outputs, progress)
        closed = await self._set(service, self._closing(service))
        try:
            await self.prove(closed, foremost(closed) or latest(closed), self.address)
        except BaseException as error:  # An interrupt leaves it reachable, too.
            await self._put_back(service, error)
            raise
        return closed

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Close it as `create` does."""
        return await self.create(outputs, progress)

    async def answered(self, outputs: Outputs, progress: Progress) -> Json:
        """Wait until the edge answers; return the service as it was then. Raises `OperationFailed` where it never does."""
        service = await self.google.get("run", self.path)
        wait = Backoff(
            what=f"{self.address} to answer",
            within=self.within,
            first=_FIRST_S,
            factor=1.3,
            longest=_LONGEST_S,
        )
        while True:
            why = await self.ask(service)
            if not why:
                return service
            if not wait.told:
                wait.told = True
                records = "".join(f"; {record}" for record in records_of(outputs, self.address))
                progress.note(
                    f"waiting for {wait.what}, {self.within / 60:.0f} min at most: a new load balancer takes some minutes"
                    f"{records}"
                )
            if not await wait.pause():
                raise OperationFailed(
                    f"{self.address} does not answer: {why}; {self._reached(service)}",
                    hint=f"{await self._hint(outputs)}then run the same command again: it goes on from here",
                )

    async def _hint(self, outputs: Outputs) -> str:
        """Return what may be lacking: the records, and what Google says of its certificate."""
        records = records_of(outputs, self.address)
        for id_, live in outputs.items():
            if id_.startswith(f"{_prefix(MANAGED)}/"):
                try:
                    now = (await self.google.get("certificatemanager", f"v1/{live['name']}")).get(
                        "managed", {}
                    )
                except HomeportError:
                    continue
                issue = now.get("provisioningIssue", {}).get("reason", "")
                if now.get("state") != "ACTIVE":
                    records.append(f"Google's certificate is {now.get('state', 'unknown')} {issue}".strip())
        return "".join(f"{hint}; " for hint in (self.from_where, *records) if hint)

    async def _put_back(self, before: Body, error: BaseException) -> None:
        """Let the service be reached as `before`. `error` says so, or that it failed."""
        change = {
            "ingress": before.get("ingress") or OPEN,
            "defaultUriDisabled": bool(before.get("defaultUriDisabled")),
            "annotations": before.get("annotations", {}),
        }
        try:
            await self._set(await self.google.get("run", self.path), change)
        except HomeportError as failed:
            outcome = f"the service may still be closed, and could not be put back: {failed}"
        else:
            outcome = self._reached(before)
        if isinstance(error, HomeportError):
            error.hint = "; ".join(text for text in (outcome, error.hint) if text)
        else:
            error.add_note(outcome)

    def _reached(self, service: Body) -> str:
        """Return in words how a service is reached that this did not close."""
        old = edge_address_of(service)
        if old in {"", self.address}:
            return "the service is reached as before"
        return (
            f"{old} answers no more, since its load balancer is that of {self.address} now, and the service's own address "
            "stays closed"
        )

    def _closing(self, service: Body) -> JsonObject:
        own = str(service.get("uri") or service.get("annotations", {}).get(BACK_DOOR, ""))
        annotations = service.get("annotations", {}).items()
        change = self.closed(own)
        told = {**dict(annotations), **change["annotations"]}
        return {**change, "annotations": {key: value for key, value in told.items() if value is not None}}

    def closed(self, own: str) -> JsonObject:
        """Return what closes a service that had the address `own`; None takes an annotation away."""
        told = {
            EDGE: self.address,
            BACK_DOOR: own,
            BEHIND: self._behind or None,
            EDGE_KIND: self.edge_kind if self.edge_kind != "global" else None,
        }
        return {
            "ingress": self.ingress,
            "defaultUriDisabled": True,
            "annotations": told,
        }

    @property
    def ingress(self) -> str:
        """Return from where a closed service takes requests, as run.v2 names it."""
        return WITHIN if self.is_isolated else CLOSED

    @property
    def told_apart(self) -> list[str]:
        """Return the ways to others that a request itself can take: paths and headers."""
        return sorted(way for way in self.behind if way.startswith("/") or ":" in way)

    @property
    def _behind(self) -> str:
        return behind_text(self.behind)

    async def _set(self, service: Body, change: Mapping[str, Json]) -> Json:
        operation = await self.google.patch(
            "run", self.path, {**change, "etag": service["etag"]}, updateMask=",".join(sorted(change))
        )
        await self.google.finish("run", operation, key=self.id, deadline=_DEADLINE_S)
        return await self.google.get("run", self.path)


def records_of(outputs: Outputs, address: str) -> list[str]:
    """Return what the domain's DNS must say, as far as it is known."""
    domain, records = address.removeprefix("https://"), []
    for id_, live in outputs.items():
        if id_.startswith("address/") and live and live.get("address"):
            records.append(f"DNS: {domain}. A {live['address']}")
        if id_.startswith(f"{_prefix(AUTHORIZATION)}/") and live and live.get("dnsResourceRecord"):
            record = live["dnsResourceRecord"]
            records.append(f"DNS: {record['name']} {record['type']} {record['data']}")
    return records


def _prefix(kind: str) -> str:
    return kind.lower().replace(" ", "-")


__all__ = ["Ask", "ClosedDoor", "records_of"]
