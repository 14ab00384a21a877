"""
What homeport has made in a project, found by its mark and not by its name: names and regions may have changed since.

The mark is the label `homeport=NAME`, or these words in the description of what has no labels. All of a list is read
and looked through here: no server's filter stands between a thing that costs money and the user who wants it gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from homeport.catalog import cloudrun
from homeport.errors import ApiDisabled, HomeportError, Incomplete, NoCredentials, NotFound
from homeport.google import Google
from homeport.google.listing import not_reached, pages
from homeport.json_types import Json
from homeport.resources.google.rest import LABEL
from homeport.resources.google.service import ServiceRole, role_of
from homeport.targets.cloudrun.agent.entry_kinds import ENTRY_KINDS
from homeport.targets.cloudrun.edge.kinds import EDGE_KINDS, REGIONAL_EDGE_KINDS
from homeport.targets.cloudrun.guard.kinds import GUARD_KINDS
from homeport.targets.cloudrun.guard.road_kinds import ROAD_KINDS
from homeport.targets.cloudrun.listed_kind import ListedKind
from homeport.targets.cloudrun.observe.kinds import OBSERVE_KINDS
from homeport.targets.cloudrun.service_labels import (  # fmt: skip
    CACHE_LABEL,
    EDGE_LABEL,
    GUARD_LABEL,
    OBSERVE_LABEL,
    REGIONAL_EDGE_LABEL,
    REGISTRY_LABEL,
    ROAD_LABEL,
)
from homeport.targets.cloudrun.startup_cache.kinds import CACHE_KINDS

_EACH_S = 60.0
"""For one page of a list, with its tries."""


KINDS = (
    # Cloud Run's v2 takes one region at a time: its location "cannot be the - wildcard", says the discovery document.
    ListedKind(
        kind="service", plural="services", api="run",
        path="v2/projects/{project}/locations/{region}/services", items="services",
    ),
    ListedKind(
        kind="repository", plural="repositories", api="artifactregistry",
        path="v1/projects/{project}/locations/{region}/repositories", items="repositories",
    ),
    ListedKind(
        kind="subnetwork", plural="subnetworks", api="compute",
        path="compute/v1/projects/{project}/regions/{region}/subnetworks", items="items",
    ),
    ListedKind(
        kind="network", plural="networks", api="compute",
        path="compute/v1/projects/{project}/global/networks", items="items",
    ),
    ListedKind(
        kind="firewall rule", plural="firewall rules", api="compute",
        path="compute/v1/projects/{project}/global/firewalls", items="items",
    ),
    ListedKind(
        kind="private zone", plural="private zones", api="dns",
        path="dns/v1/projects/{project}/managedZones", items="managedZones",
    ),
    ListedKind(
        kind="bucket", plural="buckets", api="storage",
        path="storage/v1/b", items="items", query={"project": "{project}"},
    ),
    ListedKind(
        kind="secret", plural="secrets", api="secretmanager",
        path="v1/projects/{project}/secrets", items="secrets",
    ),
    ListedKind(
        kind="service account", plural="service accounts", api="iam",
        path="v1/projects/{project}/serviceAccounts", items="accounts", query={"pageSize": 100},
    ),
)  # fmt: skip
SERVICES = KINDS[0]
NETWORKS = tuple(kind for kind in KINDS if kind.kind in {"network", "subnetwork"})
REGIONAL_EDGE = "edge-regional"
"""What a file's `[edge]` of a region is called beside its tables."""
GUARD_ROAD = "guard-road"
"""What its `[guard]` is called there, where one of Google's roads screens."""
REGISTRY = "agent-registry"
"""What `registry` of its `[agent]` is called there."""
OPTIONAL: Mapping[str, tuple[str, Sequence[ListedKind]]] = {
    "edge": (EDGE_LABEL, EDGE_KINDS),
    REGIONAL_EDGE: (REGIONAL_EDGE_LABEL, REGIONAL_EDGE_KINDS),
    "guard": (GUARD_LABEL, GUARD_KINDS),
    GUARD_ROAD: (ROAD_LABEL, ROAD_KINDS),
    "observe": (OBSERVE_LABEL, OBSERVE_KINDS),
    "startup_cache": (CACHE_LABEL, CACHE_KINDS),
    REGISTRY: (REGISTRY_LABEL, ENTRY_KINDS),
}
"""What some tables of the file make, or a key, and the label of a thing for which it was made once: a service, a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing of a list."""

    kind: str
    name: str
    """The last part of its name, which is all of it in its project and region; an account's id."""
    region: str
    """'' for what has none, and for what is listed for all regions together."""
    body: Mapping[str, Json]

    @property
    def endpoint(self) -> str:
        """Return the endpoint whose mark it carries; '' for none."""
        label = next(
            (
                labels[LABEL]
                for key in ("labels", "userLabels")
                if LABEL in (labels := self.body.get(key, {}))
            ),
            "",
        )
        words = str(self.body.get("description", "")).split()
        names = (word.partition("=")[2] for word in words if word.startswith(f"{LABEL}="))
        return str(label) or next(names, "")

    @property
    def is_service_of_model(self) -> bool:
        """Return True if it is a service that serves a model, and so an endpoint; those of other roles are parts of one."""
        return self.kind == SERVICES.kind and role_of(self.body) == ServiceRole.MODEL

    @property
    def is_part(self) -> bool:
        """Return True if it is a service beside the model's, such as an agent's."""
        return self.kind == SERVICES.kind and not self.is_service_of_model

    @property
    def text(self) -> str:
        """Describe it, such as `service home in europe-west4`."""
        return f"{self.kind} {self.name}{f' in {self.region}' if self.region else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A list that could not be read, or not all of it."""

    kind: str
    """As `ListedKind.kind` says it, or `grant`."""
    region: str
    what: str
    """Such as `services in us-east4`."""
    error: HomeportError

    @property
    def subject(self) -> str:
        """Return what could not be read without the region, such as `services`."""
        return self.what.removesuffix(f" in {self.region}")

    @property
    def text(self) -> str:
        """Describe what could not be read, and why."""
        return f"{self.what}: {self.error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All things of a project that could be homeport's; what could not be read counts as much as what was."""

    project: str
    things: tuple[Thing, ...]
    """Others' things, too."""
    unread: tuple[Unread, ...]
    off: tuple[Unread, ...] = ()
    """Lists that nobody was asked for, since their API is off."""
    unasked: tuple[ListedKind, ...] = ()
    """Kinds that nobody was asked for, since no table and no service tells of them."""

    def of(self, name: str) -> tuple[Thing, ...]:
        """Return what carries the mark of the endpoint `name`."""
        return tuple(thing for thing in self.things if thing.endpoint == name)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Return the names of all endpoints that something carries the mark of, sorted."""
        return tuple(sorted({thing.endpoint for thing in self.things} - {""}))


async def take_inventory(
    google: Google,
    *,
    regions: Iterable[str] = (),
    kinds: Sequence[ListedKind] = KINDS,
    tables: Collection[str] = (),
    everywhere: bool = True,
    even_if_nothing: bool = False,
) -> Inventory:
    """
    Return what there is in the client's project: in each region of the catalog, unless not `everywhere`, and in `regions`.

    What only some `tables` of a file make is looked for with these, and where a service says that it had them: otherwise nobody needs a
    permission on it. An API that is off has no things. Raises `NoCredentials`, and, unless `even_if_nothing`, the first error where nothing
    at all could be read.
    """
    catalog = cloudrun.regions() if everywhere else ()
    named = {region for region in regions if region}
    every = sorted({*catalog, *named})
    things, unread, off = await _all(google, kinds, every, even_if_nothing=even_if_nothing)
    asked, unasked = {kind.path for kind in kinds}, list[ListedKind]()
    for table, (label, further) in OPTIONAL.items() if kinds is KINDS else ():
        told = {thing.region for thing in things if label in thing.body.get("labels", {})}
        if table in tables or told:
            near = sorted({*told, *(named if table in tables else ())}) or every
            where = near if all(kind.somewhere for kind in further) else every
            more, also_unread, also_off = await _all(google, further, where)
            things, unread, off = (*things, *more), (*unread, *also_unread), (*off, *also_off)
            asked |= {kind.path for kind in further}
        else:
            unasked += further
    never = tuple(kind for kind in unasked if kind.path not in asked)
    return Inventory(project=google.project, things=things, unread=unread, off=off, unasked=never)


async def _all(
    google: Google, kinds: Sequence[ListedKind], regions: Sequence[str], *, even_if_nothing: bool = False
) -> tuple[tuple[Thing, ...], tuple[Unread, ...], tuple[Unread, ...]]:
    """Return all things of some kinds, what could not be read, and of which the API is off. Raises the first error where nothing could."""
    requests = [(kind, region) for kind in kinds for region in (regions if kind.regional else ("",))]
    patient = google.within(_EACH_S)
    answers = await asyncio.gather(*(_listed(patient, kind, region) for kind, region in requests))
    failures = [failure for _, failure in answers if failure is not None]
    off = tuple(failure for failure in failures if isinstance(failure.error, ApiDisabled))
    unread = tuple(failure for failure in failures if not isinstance(failure.error, ApiDisabled))
    # Of what stands in one region alone, that one's list is no measure of what can be read.
    if len(unread) == len(requests) and not (even_if_nothing or all(kind.somewhere for kind in kinds)):
        raise unread[0].error
    return tuple(thing for things, _ in answers for thing in things), unread, off


def not_known_where(what: str, unread: Sequence[Unread]) -> str:
    """Return in one sentence in which regions `what`, such as `home stands`, is not known, and why."""
    regions = ", ".join(dict.fromkeys(one.region for one in unread))
    return f"whether {what} in {regions} is not known: {'; '.join(texts_of(unread))}"


def texts_of(unread: Sequence[Unread]) -> list[str]:
    """Return what could not be read, and why, in words: once for all regions of a kind that were refused alike."""
    return [
        f"{', '.join([first.what, *(one.region for one in more)])}: {first.error}"
        for first, *more in alike(unread)
    ]


def alike(unread: Sequence[Unread]) -> list[list[Unread]]:
    """Return what could not be read, those together of which a region alone differs."""
    groups: dict[tuple[str, str], list[Unread]] = {}
    for one in unread:
        said = str(one.error).replace(one.region, "REGION") if one.region else str(one.error)
        groups.setdefault((one.subject, said), []).append(one)
    return list(groups.values())


def refuse_incomplete(unread: Sequence[Unread], what: str) -> None:
    """Raise `Incomplete` where something could not be read; `what` is what is not known then."""
    if not unread:
        return
    hints = dict.fromkeys(failure.error.hint for failure in unread if failure.error.hint)
    raise Incomplete(
        f"{what}: {'; '.join(dict.fromkeys(failure.text for failure in unread))}",
        hint="; ".join(
            [*hints, "then run the same command again"] if hints else ["run the same command again"]
        ),
    )


async def _listed(google: Google, kind: ListedKind, region: str) -> tuple[list[Thing], Unread | None]:
    """List all things of a kind in a region; return them, and what could not be read of them."""
    things: list[Thing] = []
    path = kind.path.format(project=google.project, region=region)
    query = {
        key: value.format(project=google.project) if isinstance(value, str) else value
        for key, value in kind.query.items()
    }
    api, missing = kind.api.format(region=region), list[str]()
    try:
        async for page, lacks in pages(lambda token: google.get(api, path, **query, pageToken=token)):
            things += [_thing(kind, region, body) for body in page.get(kind.items) or ()]
            missing += lacks
    except NoCredentials:
        raise
    except HomeportError as error:
        if kind.somewhere and isinstance(error, NotFound):
            return [], None
        return things, _unread(kind, region, error)
    if missing:
        return things, _unread(kind, region, not_reached(missing))
    return things, None


def _unread(kind: ListedKind, region: str, error: HomeportError) -> Unread:
    where = f" in {region}" if region else ""
    return Unread(kind=kind.kind, region=region, what=f"{kind.plural}{where}", error=error)


def _thing(kind: ListedKind, region: str, body: Mapping[str, Json]) -> Thing:
    name = str(body.get("email") or body["name"])
    short = name.partition("@")[0] if kind.kind == "service account" else name.rpartition("/")[2]
    return Thing(kind=kind.kind, name=short, region=region, body=body)


__all__ = [
    "KINDS",
    "SERVICES",
    "Inventory",
    "ListedKind",
    "Thing",
    "Unread",
    "alike",
    "not_known_where",
    "refuse_incomplete",
    "take_inventory",
    "texts_of",
]
