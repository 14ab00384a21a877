"""What is known of a deployment when it is judged: what was planned, what was read, and with what one may ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from homeport.json_types import Json, JsonObject
from homeport.resources.google.traffic import OPEN, address_of
from homeport.secret import Secret
from homeport.targets.cloudrun.containers import own_container

INGRESS_ALL = OPEN
"""As run.v2 names it; also what it means to say nothing."""

Body = Mapping[str, Json]


class Sender(Protocol):
    """Sends requests as they are, from outside."""

    async def status(self, url: str, path: str, *, token: Secret | None) -> int:
        """Return the HTTP status of a GET of `path` at `url`. Raises `HomeportError` where nothing answers."""

    async def without_token(self, url: str, path: str) -> tuple[int, bool]:
        """Return the HTTP status of a GET that shows no token, and whether Identity-Aware Proxy gave it. Raises `HomeportError` where nothing answers."""

    def with_headers(self, headers: Mapping[str, str]) -> Sender:
        """Return one that says these headers in each request besides."""

    async def refusal(
        self, url: str, path: str, body: JsonObject, *, token: Secret | None
    ) -> tuple[int, str]:
        """Return the HTTP status of a POST, and why a gateway refused it; '' where none did. Raises `HomeportError`."""

    async def models(self, url: str, path: str, *, token: Secret | None) -> tuple[int, tuple[str, ...]]:
        """Return the HTTP status of a GET of a list of models, and the names in it; () for no list. Raises `HomeportError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEndpoint:
    """An endpoint to which another one's load balancer leads: by a path, by a header, or as one that shares its traffic."""

    way: str
    """How that is told: `/small`, `x-tier: large`, or `10% of the requests`."""
    path: str = ""
    """What is asked before `/v1`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By which it is asked at the address of the load balancer."""
    is_share: bool = False
    """Whether it answers requests that another endpoint answers as well, and so must serve what that serves."""
    name: str
    model: str
    """What it serves; '' where that is not known."""
    why_no_model: str = ""
    """Why it is not known what it serves."""
    public: bool = False
    misfit: str = ""
    """Why it may not be led to, as it was read; '' for nothing that was seen."""
    untold: str = ""
    """What of that could not be told; '' for nothing."""

    @property
    def listed(self) -> str:
        """Return what no other way of the file has: its path, its header, or the endpoint that shares."""
        return self.name if self.is_share else self.way


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeToken:
    """A token that must be refused, or why there is none."""

    token: Secret | None = None
    who: str = ""
    """Whose it is, where that is not the caller."""
    why_none: str = "no such token was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """Somebody whom Identity-Aware Proxy lets in, and how its policy says so."""

    member: str
    role: str
    condition: str = ""
    """The title of the condition under which it does; '' for none."""
    unread: str = ""
    """Why it is not known whether the role lets anybody in; '' where it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDeployment:
    """What a plan promised of a deployment."""

    image_digest: str
    """`sha256:…` of the serving image."""
    gpu: str
    concurrency: int
    max_instances: int
    ingress: str = INGRESS_ALL
    """As run.v2 names it."""
    public: bool = False
    zonal_redundancy: bool = False
    baked: bool = False
    """Whether the weights lie in the image, so that none are read from a bucket."""
    weights_digest: str = ""
    """Of their manifest; '' where neither the source tells it nor whole weights in the bucket."""
    weights_annotation: str = ""
    """The revision's annotation that holds it."""
    entrants: frozenset[str] = frozenset()
    """Members that come in through Identity-Aware Proxy; empty where none stands before it."""
    callers: frozenset[str] = frozenset()
    """Members that may call it, such as `user:YOU@EXAMPLE.COM`, besides those of the project."""
    leaving: frozenset[str] = frozenset()
    """Members in lower case that may call it until what runs as them has gone, which is after the proof of a revision."""
    bucket: str = ""
    """The bucket of the weights, by its name."""
    prefixes: frozenset[str] = frozenset()
    """The only folders of the bucket that are mounted, without slashes at their ends."""
    caches: str = ""
    """The bucket of startup caches, which may be mounted, too; '' for none."""
    adapters: str = ""
    """The digests of the adapters, as the annotation has them; '' where there are none, or one's cannot be told."""
    adapters_annotation: str = ""
    """The revision's annotation that holds them."""
    observed: bool = False
    """Whether its metrics are told within the instance, and so must not be seen from outside."""
    screened: frozenset[str] = frozenset()
    """What `[guard]` looks for in prompts; empty where it does not."""
    road: str = ""
    """The load balancer's address at which one of Google's own roads screens; '' where none does."""
    sought: frozenset[str] = frozenset()
    """What that one looks for in prompts."""
    model: str = ""
    """What it serves, by the name that clients say."""
    embeds: bool = False
    """Whether it gives vectors, and no text."""
    behind: tuple[OtherEndpoint, ...] = ()
    """Other endpoints behind its address, where it is asked through its load balancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBucket:
    """What lies in the bucket of the weights now."""

    digest: str = ""
    """Of the manifest of the model's weights; '' where they are not whole."""
    broken: tuple[str, ...] = ()
    """Where weights or adapters should lie and are not whole: `gs://BUCKET/PREFIX` of each."""
    unread: str = ""
    """Why it could not be looked into; '' where it could."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedDeployment:
    """A deployed service as it was read, with what it was planned to be."""

    service: Body
    """run.v2's Service."""
    revision: Body
    """The Revision that is verified."""
    policy: Body
    """The service's IAM policy."""
    planned: ExpectedDeployment
    sender: Sender
    url: str = ""
    """Where the revision is verified, such as its tag's; '' for the service's own."""
    bucket: StoredBucket = field(default_factory=StoredBucket)
    stranger: ProbeToken = field(default_factory=ProbeToken)
    """Somebody who may not call it, for the right audience."""
    elsewhere: ProbeToken = field(default_factory=ProbeToken)
    """The caller's own token for another audience."""
    own: ProbeToken = field(default_factory=ProbeToken)
    """The caller's own token, for the right audience."""
    entrants: tuple[Entrant, ...] = ()
    """Whom Identity-Aware Proxy lets in; empty where none stands before it."""
    entrants_unread: str = ""
    """Why it is not known whom it lets in; '' where it is."""

    @property
    def refusals(self) -> frozenset[int]:
        """Return the statuses that are a refusal: Identity-Aware Proxy sends whoever shows no token to Google's login."""
        return frozenset({401, 403}) | (frozenset({302}) if self.service.get("iapEnabled") else frozenset())

    @property
    def front(self) -> str:
        """Return the address that is verified."""
        return self.url or address_of(self.service)

    @property
    def serving(self) -> Body:
        """Return the container of the engine."""
        return own_container(self.revision)
