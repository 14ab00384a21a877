"""The endpoints of a project, by their marks: each with what serves, what it costs and when it was verified."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from homeport.catalog import prices
from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.catalog.prices import Prices
from homeport.errors import HomeportError, NoCredentials, NotFound, SpecError, StateError
from homeport.google import Google
from homeport.json_types import Json, JsonObject
from homeport.listing import ListedEndpoint
from homeport.resources.google.service import role_of
from homeport.resources.google.traffic import (
    Body,
    address_of,
    foremost,
    is_closed,
    latest,
    receipts,
    shares,
)
from homeport.results import EndpointPart, RegionState, Status
from homeport.targets.cloudrun.edge.behind import behind_in_words
from homeport.targets.cloudrun.front_doors import front_doors
from homeport.targets.cloudrun.inventory import (
    SERVICES,
    Inventory,
    Thing,
    Unread,
    refuse_incomplete,
    take_inventory,
)
from homeport.targets.cloudrun.marks import ADAPTED, CACHED, WEIGHTS
from homeport.targets.cloudrun.rollback_preview import Ensure, RollbackPreview
from homeport.targets.cloudrun.service_labels import (
    further_regions_of,
    is_further,
    repeats,
)
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.verification.revision import least_instances

_WITH_FILE = "run `homeport rollback --on cloudrun` with its file, whose edge.regions says in which order"
_PAID = (
    "bucket", "repository", "secret", "private zone", "network", "forwarding rule", "address", "security policy", "regional endpoint",
)  # fmt: skip
"""What is shown of an endpoint beside its service: what costs something, or is easily forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services that carry an endpoint's mark: the model's, and those of other roles as its parts."""

    here: Body
    """In the region that was asked for, or in another where there is none."""
    repeated: tuple[Body, ...]
    """Those that repeat it in further regions, behind the same load balancer."""
    others: tuple[str, ...]
    """Regions of further ones, which have nothing to do with it."""
    parts: tuple[EndpointPart, ...]
    unread: tuple[Unread, ...]


async def find_services(google: Google, name: str, region: str) -> Services:
    """
    Return the services of the endpoint `name`, the model's in `region` first.

    Raises `NotFound` where none serves its model, `Incomplete` where that is not known.
    """
    inventory = await take_inventory(google, regions=(region,), kinds=(SERVICES,))
    served = [thing for thing in inventory.of(name) if thing.is_service_of_model]
    mine = sorted(served, key=lambda thing: (is_further(thing.body), thing.region != region, thing.region))
    if not mine:
        refuse_incomplete(inventory.unread, f"it is not known whether {name} is deployed")
        raise NotFound(
            f"{name} is not deployed in {google.project}: no service there carries the label homeport={name}"
            + (" and serves a model" if inventory.of(name) else ""),
            hint=_hint(inventory, name),
        )
    first, *rest = mine
    repeated = [thing for thing in rest if repeats(thing.body) == first.region]
    return Services(
        here=first.body,
        repeated=tuple(thing.body for thing in repeated),
        others=tuple(thing.region for thing in rest if thing not in repeated),
        parts=_parts(inventory, name, prices.load()),
        unread=inventory.unread,
    )


async def ensure_alone(google: Google, name: str, service: Body) -> None:
    """
    Raise `StateError` where the endpoint of a service serves in several regions, `Incomplete` where that is not known.

    The services are looked for where the labels say that there were several once: these stay after a region left.
    """
    if not further_regions_of(service.get("labels", {})) and not is_further(service):
        return
    services = await find_services(google, name, service["name"].split("/")[3])
    refuse_incomplete(services.unread, f"it is not known in which regions {name} serves")
    if refused := _several(name, services):
        raise StateError(f"{refused}, so nothing was changed", hint=_WITH_FILE)


def _several(name: str, services: Services) -> str:
    """Return why a region does not go back alone; '' where it may."""
    if not services.repeated and not is_further(services.here):
        return ""
    regions = [one["name"].split("/")[3] for one in (services.here, *services.repeated)]
    return f"{name} serves in several regions ({', '.join(regions)}), which must go back together"


def _hidden(name: str, services: Services) -> str:
    """Return why it is not known in which regions it serves, where it had several once; '' where it is known."""
    seen = {one["name"].split("/")[3] for one in services.repeated}
    if not services.unread or seen.issuperset(further_regions_of(services.here.get("labels", {}))):
        return ""
    return (
        f"in which regions {name} serves is not known: {'; '.join(unread.text for unread in services.unread)}"
    )


async def _way_back(
    google: Google, name: str, services: Services, ensure_fit: Ensure | None
) -> RollbackPreview:
    if several := _several(name, services):
        return RollbackPreview(refused=several)
    if hidden := _hidden(name, services):
        return RollbackPreview(unknown=hidden)
    return await RollbackPreview.of(google, services.here, ensure_fit)


def _proofs(service: Body) -> dict[str, JsonObject]:
    """Return the receipts of a service's revisions, as `--json` prints them."""
    return {
        revision: {"at": receipt.at, "passed": receipt.passed, "counts": dict(receipt.counts)}
        for revision, receipt in receipts(service).items()
    }


async def describe(google: Google, name: str, region: str, ensure_fit: Ensure | None = None) -> Status:
    """
    Return what is deployed of the endpoint `name`. Raises what `find_services` raises.

    `ensure_fit` raises for an earlier revision that could not serve again: what `rollback` asks before it does anything.
    """
    services = await find_services(google, name, region)
    service = services.here
    serving = await _serving(google, service)
    marks = _annotations(serving)
    region_there = service["name"].split("/")[3]
    known = _proofs(service)
    context = marks.get(f"{ANNOTATION}context", "")
    back = await _way_back(google, name, services, ensure_fit)
    doors = await front_doors(google, service)
    adapters = (adapter.partition("=") for adapter in marks.get(ADAPTED, "").split())
    return Status(
        name=name,
        target="cloudrun",
        state=state_of(service),
        region=region_there,
        url=f"{address_of(service)}/v1",
        behind=behind_in_words(service) or None,
        gateway=doors.gateway,
        iap=doors.iap,
        behind_iap=doors.behind_iap,
        model=marks.get(f"{ANNOTATION}model"),
        engine=marks.get(f"{ANNOTATION}engine"),
        context=int(context) if context.isdecimal() else None,
        image=marks.get(f"{ANNOTATION}image"),
        startup_cache=marks.get(CACHED),
        weights=_weights(marks),
        adapters={adapter: digest for adapter, _, digest in adapters},
        traffic=shares(service),
        verified=known.get(foremost(service)),
        receipts=known,
        started_at=service.get("createTime"),
        usd_per_hour=_price_of(serving, region_there),
        min_instances=least_instances(service),
        regions=await _regions(google, services),
        also_in=services.others,
        parts=services.parts,
        usage_unknown=_hidden(name, services),
        unread=(*(unread.text for unread in services.unread), *doors.unread),
        rollback_to=back.to or None,
        rollback_unknown=back.unknown,
        rollback_refused=back.refused,
    )


def _weights(marks: Mapping[str, str]) -> Mapping[str, str]:
    source = marks.get(f"{ANNOTATION}weights-source", "")
    return {"source": source, "revision": "", "digest": marks.get(WEIGHTS, "")}


async def _regions(google: Google, services: Services) -> tuple[RegionState, ...]:
    """Return each region of an endpoint that is in several."""
    if not services.repeated:
        return ()
    every = (services.here, *services.repeated)
    return tuple(await asyncio.gather(*(_region(google, service) for service in every)))


async def _region(google: Google, service: Body) -> RegionState:
    region, price = service["name"].split("/")[3], None
    try:
        serving = await _serving(google, service)
        model, price = _annotations(serving).get(f"{ANNOTATION}model"), _price_of(serving, region)
    except NoCredentials:
        raise
    except HomeportError:
        model = None
    receipt = receipts(service).get(foremost(service))
    verified = (
        {"at": receipt.at, "passed": receipt.passed, "counts": dict(receipt.counts)} if receipt else None
    )
    return RegionState(
        region=region,
        usd_per_hour=price,
        min_instances=least_instances(service) or 0,
        state=state_of(service),
        model=model,
        traffic=shares(service),
        verified=verified,
        closed=is_closed(service),
    )


async def serving_annotations(google: Google, service: Body) -> Mapping[str, str]:
    """
    Return the annotations of the revision that serves most traffic; of the newest one while none serves.

    The service's own template is what was last asked for: after a failed change, or a rollback, something else.
    """
    return _annotations(await _serving(google, service))


async def serving_revisions(google: Google, service: Body) -> tuple[Body, ...]:
    """Return every revision that has traffic, that with most first; the service's template alone while none has any."""
    percents = shares(service)
    names = [name for name in sorted(percents, key=percents.__getitem__, reverse=True) if name]
    if not names:
        return (dict(service["template"]),)
    paths = (f"v2/{service['name']}/revisions/{name}" for name in names)
    return tuple(await asyncio.gather(*(google.get("run", path) for path in paths)))


async def model_and_price(google: Google, service: Body) -> tuple[str, float | None]:
    """Return the model that a service serves most, and the list price of an hour of one instance of it; None for none."""
    serving = await _serving(google, service)
    price = _price_of(serving, service["name"].split("/")[3])
    return _annotations(serving).get(f"{ANNOTATION}model", ""), price


def _price_of(serving: Body, region: str) -> float | None:
    try:
        return _hourly(serving, region, prices.load())
    except SpecError:
        return None  # A broken price file of the user's own concerns only those who ask for prices.


async def _serving(google: Google, service: Body) -> Body:
    """Return the revision that serves most traffic; the service's template while none serves."""
    name = foremost(service)
    if not name:
        return dict(service["template"])
    return dict(await google.get("run", f"v2/{service['name']}/revisions/{name}"))


def _annotations(revision: Body) -> Mapping[str, str]:
    return dict(revision.get("annotations", {}))


async def list_endpoints(
    google: Google, inventory: Inventory | None = None
) -> tuple[tuple[ListedEndpoint, ...], tuple[Unread, ...]]:
    """Return every endpoint of the client's project, or of its `inventory`, by its mark, and what could not be read."""
    inventory = inventory or await take_inventory(google)
    known = prices.load()
    services = [thing for thing in inventory.things if thing.is_service_of_model and thing.endpoint]
    rows = await asyncio.gather(*(_served(google, inventory, thing, known) for thing in services))
    served = {thing.endpoint for thing in services}
    without_service = [
        ListedEndpoint(
            name=name,
            on="cloudrun",
            state="no service",
            parts=_parts(inventory, name, known),
            other=_other(inventory, name),
        )
        for name in inventory.endpoints
        if name not in served
    ]
    listed = [row for row, _ in rows] + without_service
    unread = tuple(failure for _, failure in rows if failure is not None)
    return tuple(sorted(listed, key=lambda row: (row.name, row.region))), (*inventory.unread, *unread)


async def _served(
    google: Google, inventory: Inventory, thing: Thing, known: Prices
) -> tuple[ListedEndpoint, Unread | None]:
    """Return one service's line; where its revision cannot be read, it lacks the model, and that is told."""
    service = thing.body
    unread = None
    marks: Mapping[str, str] = {}
    price = None
    try:
        serving = await _serving(google, service)
        marks, price = _annotations(serving), _hourly(serving, thing.region, known)
    except NoCredentials:
        raise
    except HomeportError as error:
        subject = f"what {thing.text} serves"
        unread = Unread(kind="service", region=thing.region, what=subject, error=error)
    revision = foremost(service) or latest(service)
    receipt = receipts(service).get(revision)
    template = service["template"]
    scaling = template.get("scaling", {})
    row = ListedEndpoint(
        name=thing.endpoint,
        on="cloudrun",
        state=state_of(service),
        region=thing.region,
        url=f"{address_of(service)}/v1",
        model=marks.get(f"{ANNOTATION}model", ""),
        engine=marks.get(f"{ANNOTATION}engine", ""),
        revision=revision,
        traffic=shares(service),
        min_instances=least_instances(service),
        max_instances=scaling.get("maxInstanceCount"),
        gpu=template.get("nodeSelector", {}).get("accelerator", ""),
        usd_per_hour=price,
        verified={"at": receipt.at, "passed": receipt.passed} if receipt else None,
        parts=_parts(inventory, thing.endpoint, known),
        other=_other(inventory, thing.endpoint),
    )
    return row, unread


def state_of(service: Body) -> str:
    """Return `ready`, or what is wrong in Google's words."""
    ended = service.get("terminalCondition", {})
    return "ready" if ended.get("state") == "CONDITION_SUCCEEDED" else str(ended.get("message", "not ready"))


def _parts(inventory: Inventory, name: str, known: Prices) -> tuple[EndpointPart, ...]:
    """Return the services of an endpoint beside the model's."""
    return tuple(
        EndpointPart(
            name=thing.name,
            role=role_of(thing.body),
            region=thing.region,
            state=state_of(thing.body),
            url=str(thing.body.get("uri", "")),
            min_instances=least_instances(thing.body),
            max_instances=thing.body["template"].get("scaling", {}).get("maxInstanceCount"),
            usd_per_hour=_hourly(thing.body["template"], thing.region, known),
        )
        for thing in sorted(inventory.of(name), key=lambda thing: (thing.name, thing.region))
        if thing.is_part
    )


def _hourly(template: Mapping[str, Json], region: str, known: Prices) -> float | None:
    """
    Return the list price of an hour of one instance, of all its containers together.

    None for a GPU, size or region that has none, and for a service that is billed by its requests.
    """
    containers, gpu = template.get("containers", ()), template.get("nodeSelector", {}).get("accelerator", "")
    if any(container.get("resources", {}).get("cpuIdle") for container in containers):
        return None
    try:
        size, zonal = CpuAndMemory.of_all(containers), not template.get("gpuZonalRedundancyDisabled")
        return round(known.instance(size, region, gpu=gpu, zonal=zonal).total, 4)
    except (SpecError, ValueError):
        return None


def _other(inventory: Inventory, name: str) -> tuple[str, ...]:
    things: Iterable[Thing] = (thing for thing in inventory.of(name) if thing.kind in _PAID)
    return tuple(sorted(thing.text for thing in things))


def _hint(inventory: Inventory, name: str) -> str:
    others = ", ".join(endpoint for endpoint in inventory.endpoints if endpoint != name)
    deploys = "`homeport up --on cloudrun` deploys it"
    return f"{deploys}; deployed there: {others}" if others else deploys
