"""What a rehearsed cloud is before anything is made in it: its projects, its pace, its rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from gcp_rehearsal.json_types import JsonObject

OWNER = "you@example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project that exists before anything else does."""

    id: str = "rehearsal"
    number: str = "481516234200"
    owner: str = OWNER
    billing: bool = True
    organization: str = ""
    """The number of the organization that it is directly in; '' for none."""
    default_network: bool = False
    """Whether it comes with the network named `default`, as soon as Compute Engine is enabled: most projects do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long Google takes until a change is seen everywhere, in seconds. `operations` scales how long work takes."""

    grants: float = 60.0
    accounts: float = 8.0
    apis: float = 20.0
    operations: float = 1.0
    iap: float = 60.0
    """How long Identity-Aware Proxy takes to stand before a service, or to leave it. No page of Google's says: UNCONFIRMED."""
    addresses: float = 0.0
    """
    How long Cloud Run keeps addresses in the subnetwork that a service sent through, once it is gone. One to two hours
    at Google; none here unless asked for, so that a network can be taken away in one go.
    """


AT_ONCE = Delays(grants=0, accounts=0, apis=0, operations=0, iap=0)


@dataclass(slots=True, kw_only=True)
class Policies:
    """What the organisation forbids."""

    restricts_members: bool = False
    """Grants only to its own people: no `allUsers`."""
    locations: frozenset[str] = frozenset()
    """Regions in which things may be made; empty for anywhere."""
    ingress: frozenset[str] = frozenset()
    """What Cloud Run's ingress may be; empty for anything."""
    egress: frozenset[str] = frozenset()
    """What Cloud Run's egress may be; empty for anything."""
    told: JsonObject = field(default_factory=dict)
    """Rules of other constraints, by name such as `iam.disableServiceAccountCreation`: told, and not enforced."""
