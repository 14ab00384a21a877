"""Who serves: traffic among a service's revisions, and the receipts of those that were verified."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from homeport.json_types import Json, JsonObject

RECEIPTS = "homeport/receipts"
"""
The service's annotation that holds the receipts. A revision cannot be changed once it is made, so what was found out
about it is kept with its service, by its name.
"""
CANDIDATE = "candidate"
"""The tag under which a new revision is reached before it has traffic."""
EDGE, BACK_DOOR = "homeport/edge", "homeport/back-door"
"""
The service's annotations while it is closed: the address of its load balancer, and the own one that it had before.
"""
BEHIND = "homeport/behind"
"""
That which says what else its load balancer leads to, with blanks between: `PATH=ENDPOINT`, `HEADER:VALUE=ENDPOINT`, and of one that shares
its traffic `ENDPOINT=PERCENT%`.
"""
EDGE_KIND = "homeport/edge-kind"
"""That which says of which kind its load balancer is, where it is no global one."""
OPEN, CLOSED = "INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
"""Its ingress without and with a load balancer, as run.v2 names it."""
WITHIN = "INGRESS_TRAFFIC_INTERNAL_ONLY"
"""That of a service that its network alone reaches. It admits internal load balancers, by Google's page on ingress settings."""
_LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
_MOST_RECEIPTS = 20

Body = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That a revision was verified, when and with which result."""

    at: str
    """ISO 8601, UTC."""
    passed: bool
    counts: Mapping[str, int]
    """How many checks passed, failed, were skipped."""


def short(revision: str) -> str:
    """Return the last part of a revision's name."""
    return revision.rpartition("/")[2]


def latest(service: Body) -> str:
    """Return the newest revision that is ready, by its short name; '' for none."""
    return short(service.get("latestReadyRevision", ""))


def shares(service: Body) -> dict[str, int]:
    """Return the percent of traffic by revision, as it is now."""
    percents: dict[str, int] = {}
    for target in service.get("trafficStatuses") or service.get("traffic") or ():
        if target.get("percent"):
            name = short(target.get("revision", "")) or latest(service)
            percents[name] = percents.get(name, 0) + int(target["percent"])
    return percents


def foremost(service: Body) -> str:
    """Return the revision with the largest share of the traffic; '' while none has any."""
    percents = shares(service)
    return max(percents, key=percents.__getitem__, default="")


def receipts(service: Body) -> dict[str, Receipt]:
    """Return the receipts by revision, oldest first; {} where there are none, or none that can be read."""
    try:
        known_receipts = json.loads(service.get("annotations", {}).get(RECEIPTS, "{}"))
        return {name: Receipt(**receipt) for name, receipt in known_receipts.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def with_receipt(service: Body, revision: str, receipt: Receipt) -> dict[str, str]:
    """Return the service's annotations with one receipt more; the oldest go when there are many."""
    return _annotated(service, {**_others(service, revision), revision: receipt})


def without_receipt(service: Body, revision: str) -> dict[str, str]:
    """Return the service's annotations without the receipt of a revision."""
    return _annotated(service, _others(service, revision))


def _others(service: Body, revision: str) -> dict[str, Receipt]:
    return {name: receipt for name, receipt in receipts(service).items() if name != revision}


def _annotated(service: Body, known: Mapping[str, Receipt]) -> dict[str, str]:
    newest = dict(list(known.items())[-_MOST_RECEIPTS:])
    entries = {
        name: {"at": receipt.at, "passed": receipt.passed, "counts": dict(receipt.counts)}
        for name, receipt in newest.items()
    }
    return {**service.get("annotations", {}), RECEIPTS: json.dumps(entries, separators=(",", ":"))}


def tag_url(service: Body, revision: str = "") -> str:
    """Return the address of the candidate, where that is `revision` if one is named; '' where there is none."""
    for target in service.get("trafficStatuses", ()):
        if target.get("tag") == CANDIDATE and "uri" in target:
            tagged = short(target.get("revision", "")) or latest(service)
            return str(target["uri"]) if revision in {"", tagged} else ""
    return ""


def is_tagged(service: Body, revision: str = "") -> bool:
    """Return True if a revision is the candidate, `revision` if one is named; it has an address only while the door is open."""
    for target in service.get("trafficStatuses", ()):
        if target.get("tag") == CANDIDATE:
            return revision in {"", short(target.get("revision", "")) or latest(service)}
    return False


def is_closed(service: Body) -> bool:
    """Return True if a service takes requests from its load balancer alone, and from within its network."""
    if not service.get("annotations", {}).get(EDGE):
        return False
    # What takes requests from its network alone is closed once it has no address of its own there.
    isolated = service.get("ingress") == WITHIN and bool(service.get("defaultUriDisabled"))
    return isolated or service.get("ingress") == CLOSED


def address_of(service: Body) -> str:
    """Return where clients reach a service: at its load balancer where it is closed, else at its own address."""
    return edge_address_of(service) or str(service.get("uri", ""))


def edge_address_of(service: Body) -> str:
    """Return the address of the load balancer that a service is closed for; '' where it is open."""
    return str(service["annotations"][EDGE]) if is_closed(service) else ""


def edge_kind_of(service: Body) -> str:
    """Return the kind of the load balancer that a service is closed for; '' where it is open."""
    return str(service.get("annotations", {}).get(EDGE_KIND, "global")) if is_closed(service) else ""


def behind_of(service: Body) -> dict[str, str]:
    """Return what else a service's load balancer leads to, as `edge.backends` and `edge.shares` of its file have it."""
    pairs = str(service.get("annotations", {}).get(BEHIND, "")).split()
    told = dict(pair.split("=", 1) for pair in pairs if "=" in pair) if is_closed(service) else {}
    return {key if key.startswith("/") else key.replace(":", ": ", 1): other for key, other in told.items()}


def behind_text(behind: Mapping[str, str]) -> str:
    """Return that as the annotation has it."""
    return " ".join(f"{key.replace(': ', ':', 1)}={value}" for key, value in sorted(behind.items()))


def addresses_of(service: Body) -> Iterator[str]:
    """Yield every address that Cloud Run answers at for a service, or did before it was closed."""
    known = [service.get("uri"), *service.get("urls", ()), service.get("annotations", {}).get(BACK_DOOR)]
    known += [target.get("uri") for target in service.get("trafficStatuses", ())]
    yield from dict.fromkeys(url for url in known if url)


def targets(percents: Mapping[str, int], *, candidate: str = "") -> list[JsonObject]:
    """Return traffic as the API takes it: shares by revision, and a tag for `candidate`, which may be one without a share."""
    traffic: list[JsonObject] = []
    for name, percent in percents.items():
        target: JsonObject = {"type": _REVISION, "revision": name, "percent": percent}
        traffic.append({**target, "tag": CANDIDATE} if name == candidate else target)
    if candidate and candidate not in percents:
        traffic.append({"type": _REVISION, "revision": candidate, "tag": CANDIDATE})
    return traffic


def to_latest() -> list[JsonObject]:
    """Return all traffic on the newest revision that is ready, whichever that is."""
    return [{"type": _LATEST, "percent": 100}]


def pinned(service: Body) -> list[JsonObject]:
    """Return the traffic as it is, held there while a new revision comes up under the tag."""
    held = {name: percent for name, percent in shares(service).items() if name}
    if not held:
        return [{"type": _LATEST, "percent": 100, "tag": CANDIDATE}]
    return [*targets(held), {"type": _LATEST, "tag": CANDIDATE}]


def went_before(service: Body, there: Iterable[str]) -> str:
    """
    Return the revision that a rollback goes to, among those that are `there`; '' for none.

    It is the newest verified one other than the one that is left: that which has all traffic or, while it is split, the
    newest, whose release was broken off.
    """
    parts = shares(service)
    return newest_verified(service, there, but=parts if len(parts) == 1 else (latest(service),))


def newest_verified(service: Body, there: Iterable[str], *, but: Iterable[str] = ()) -> str:
    """Return the revision whose receipt is the newest that says passed, among those that are `there`; '' for none."""
    passed = [
        (receipt.at, name)
        for name, receipt in receipts(service).items()
        if receipt.passed and name in set(there) and name not in set(but)
    ]
    return max(passed, default=("", ""))[1]
