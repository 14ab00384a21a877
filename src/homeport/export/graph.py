"""What is exported: the resources, each with its kind, and the values that stand for references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from homeport.errors import HomeportError
from homeport.export.regions import of_the_first, of_the_further
from homeport.google.call import self_link
from homeport.reconcile import KNOWN_AFTER_APPLY, Concat, Outputs, Ref, Resource, resolve
from homeport.reconcile.graph import in_order, in_order_among_themselves
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.object import Object
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion
from homeport.resources.google.service import Service, ServiceRole
from homeport.resources.google.startup_cache import NONE, StartupCache
from homeport.weights.manifest import digest

_Of = TypeVar("_Of")


class ResourceKind(StrEnum):
    """
    The kinds of `Resource.kind` that the exporters here know, if only to say that a format has no words for one.

    A resource of another kind can be made all the same; `export` refuses it by name.
    """

    APIS = "APIs"
    ACCOUNT = "service account"
    GRANT = "grant"
    SECRET = "secret"  # noqa: S105 - a word
    SECRET_VERSION = "secret version"  # noqa: S105 - a word
    REPOSITORY = "repository"
    BUCKET = "bucket"
    OBJECT = "object"
    NETWORK = "network"
    SUBNETWORK = "subnetwork"
    FIREWALL = "firewall rule"
    ZONE = "private zone"
    RECORD = "DNS record"
    IMAGE = "image"
    WEIGHTS = "weights"
    SERVICE = "service"
    RELEASE = "release"
    ROLE = "custom role"
    SCHEDULE = "scheduled job"
    REGISTRY_ENTRY = "registry entry"
    STARTUP_CACHE = "startup cache"
    TEMPLATE = "Model Armor template"
    ENDPOINT = "regional endpoint"
    TRAFFIC_EXTENSION = "traffic extension"
    AUTHZ_EXTENSION = "authorization extension"
    AUTHZ_POLICY = "authorization policy"
    CONFIGURATION = "configuration"
    DASHBOARD = "dashboard"
    ALERT_POLICY = "alert policy"
    CHANNEL = "notification channel"
    UPTIME_CHECK = "uptime check"
    BUDGET = "budget"
    GROUP = "endpoint group"
    BACKEND = "backend service"
    URL_MAP = "URL map"
    HTTPS_PROXY = "HTTPS proxy"
    HTTP_PROXY = "HTTP proxy"
    RULE = "forwarding rule"
    ADDRESS = "address"
    CERTIFICATE = "TLS certificate"
    POLICY = "security policy"
    AUTHORIZATION = "DNS authorization"
    MANAGED = "managed certificate"
    CERTIFICATE_MAP = "certificate map"
    ENTRY = "certificate map entry"
    ANSWERING = "answering edge"
    DOOR = "closed door"


OF_EDGE: frozenset[ResourceKind] = frozenset(
    (
        ResourceKind.GROUP,
        ResourceKind.BACKEND,
        ResourceKind.URL_MAP,
        ResourceKind.HTTPS_PROXY,
        ResourceKind.HTTP_PROXY,
        ResourceKind.RULE,
        ResourceKind.ADDRESS,
        ResourceKind.CERTIFICATE,
        ResourceKind.POLICY,
        ResourceKind.AUTHORIZATION,
        ResourceKind.MANAGED,
        ResourceKind.CERTIFICATE_MAP,
        ResourceKind.ENTRY,
        ResourceKind.ANSWERING,
        ResourceKind.DOOR,
        ResourceKind.TRAFFIC_EXTENSION,
        ResourceKind.AUTHZ_EXTENSION,
        ResourceKind.AUTHZ_POLICY,
    )
)
"""What makes an `[edge]` beside networks, and what of Google's screens there."""


_AT_BALANCERS = frozenset({ResourceKind.TRAFFIC_EXTENSION, ResourceKind.AUTHZ_POLICY})
"""What screens at a load balancer, and nowhere else."""
_WITHIN = 16 * 1024
"""As many bytes of an object stand within a script or a module."""
_TOLD_LATER = frozenset(
    {
        (ResourceKind.SERVICE, "uri"),
        (ResourceKind.ENDPOINT, "address"),
        (ResourceKind.CHANNEL, "name"),
        (ResourceKind.BACKEND, "id"),
        (ResourceKind.ADDRESS, "address"),
    }
)
"""What Google alone chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """All that is exported, each after what it needs."""

    resources: tuple[Resource, ...]
    outputs: Outputs = field(default_factory=dict)
    """What is live, by id, as far as it was read: what is known only after apply is taken from it."""
    further: tuple[Things, ...] = ()
    """The same in further regions, in the order in which they change, each with what all share."""
    whole: Mapping[str, str] = field(default_factory=dict)
    """What all regions together call what a further one has alone, by the ids in it; nothing in the first."""

    @classmethod
    def of(cls, resources: Iterable[Resource], outputs: Outputs | None = None) -> Things:
        """Return the things of a deployment. Raises `HomeportError` where no service among them serves its model."""
        ordered = tuple(in_order(resources))
        if not any(
            isinstance(resource, Service) and resource.role == ServiceRole.MODEL for resource in ordered
        ):
            raise HomeportError("there is no service to export", hint="add [cloudrun] to homeport.toml")
        live = outputs or {}
        further = tuple(
            cls(
                resources=tuple(in_order_among_themselves(part.resources)),
                outputs={**live, **{id_: live[outer] for id_, outer in part.whole.items() if outer in live}},
                whole=part.whole,
            )
            for part in of_the_further(ordered)
        )
        things = cls(resources=tuple(of_the_first(ordered)), outputs=live, further=further)
        things._ensure_found()
        return things

    @property
    def regions(self) -> tuple[Things, ...]:
        """Return what there is in each region, this one being the first, in the order in which they change."""
        return (self, *self.further)

    @property
    def is_further(self) -> bool:
        """Tell whether these are the things of a further region."""
        return bool(self.whole)

    @property
    def own(self) -> list[Resource]:
        """Return what a further region has alone; in the first one all that there is."""
        return [resource for resource in self.resources if not self.is_further or resource.id in self.whole]

    @property
    def everywhere(self) -> Things:
        """Return what there is in all regions as one, for what counts and lists: two things of it may have the same id."""
        more = [resource for region in self.further for resource in region.own]
        return replace(self, resources=(*self.resources, *more), further=())

    def _ensure_found(self) -> None:
        """Raise `HomeportError` for endpoints behind the load balancer that were not found: their ways would lead nowhere."""
        unfound = self.door.unfound if self.door else {}
        if unfound:
            ways = [way if way == endpoint else f"{way} to {endpoint}" for way, endpoint in unfound.items()]
            names = list(dict.fromkeys(unfound.values()))
            raise HomeportError(
                f"[edge] gives {', '.join(ways)}, of which no service was found"
                if list(unfound) != names
                else f"edge.shares names {', '.join(names)}, of which no service was found",
                hint=f"say `homeport up --on cloudrun` with the file of {' and of '.join(names)} first, or take {' and '.join(names)} out of [edge]",
            )

    def ensure_screened(self) -> None:
        """Raise `HomeportError` for a service that everybody may call past what screens at its load balancer, until its door is closed."""
        if self.service.wanted.get("invokerIamDisabled") and self.screens_at_edge:
            raise HomeportError(
                "access.public lets everybody in at the service's own address, where guard.where does not screen, until the load balancer "
                "answers; what an export makes is open from its first step on",
                hint='take public out of [access], or set where = "gateway" in [guard]; `homeport up --on cloudrun` takes public once '
                "the address is closed",
            )

    @property
    def screens_at_edge(self) -> bool:
        """Tell whether what screens stands at the load balancer, and not before the engine."""
        return bool(_AT_BALANCERS.intersection(self.kinds()))

    @property
    def service(self) -> Service:
        """Return the service that serves the model."""
        return next(service for service in self.services if service.role == ServiceRole.MODEL)

    @property
    def services(self) -> list[Service]:
        """Return all services, each after what it needs."""
        return self.all(Service)

    @property
    def door(self) -> ClosedDoor | None:
        """Return what closes the service's own address; None without a load balancer."""
        return next(iter(self.all(ClosedDoor)), None)

    def waits_for_door(self, resource: Resource) -> bool:
        """Tell whether something is made only once the service's own address is closed."""
        return self.door is not None and self.door.id in resource.needs

    def waits_for_edge(self, resource: Resource) -> bool:
        """Tell whether something is made only once the load balancer answers: what asks there, and all that needs that."""
        waiting = {one.id for one in self.resources if one.kind == ResourceKind.ANSWERING}
        for one in self.resources if waiting else ():
            if one.kind != ResourceKind.DOOR and not waiting.isdisjoint(one.needs):
                waiting.add(one.id)
        return resource.id in waiting

    def callers_of(self, service: Service) -> list[Grant]:
        """Return the grants on a service."""
        return [
            grant
            for grant in self.all(Grant)
            if grant.on.api == "run" and grant.on.path == service.address.path
        ]

    def entrants_of(self, service: Service) -> list[Grant]:
        """Return the grants by which somebody comes in to a service through Identity-Aware Proxy."""
        end = f"/cloud_run-{service.region}/services/{service.own_name}"
        return [grant for grant in self.all(Grant) if grant.on.api == "iap" and grant.on.path.endswith(end)]

    @property
    def images(self) -> list[ContainerImage | MirroredImage]:
        """Return all images, those that are built and those that are taken as they are."""
        return [
            resource for resource in self.resources if isinstance(resource, ContainerImage | MirroredImage)
        ]

    @property
    def name(self) -> str:
        """Return the endpoint's name."""
        return self.service.name

    @property
    def project(self) -> str:
        """Return the project."""
        return self.service.google.project

    @property
    def region(self) -> str:
        """Return its region."""
        return self.service.region

    def all(self, kind: type[_Of]) -> list[_Of]:
        """Return the resources of one class."""
        return [resource for resource in self.resources if isinstance(resource, kind)]

    @property
    def secrets(self) -> list[SecretVersion]:
        """Return the versions of secrets whose value is one: it is asked for, and in no file."""
        return [secret for secret in self.all(SecretVersion) if not self.is_open(secret)]

    def is_open(self, version: SecretVersion) -> bool:
        """Return True if nothing of what a secret holds is secret, such as a sidecar's settings."""
        place = self.by_id(f"secret/{version.secret_id}")
        return place is not None and place.kind == ResourceKind.CONFIGURATION

    @property
    def beside(self) -> dict[str, str]:
        """Return the contents of objects of more than a line, or of a long one, by the name of a file for each."""
        texts = (
            stored for stored in self.all(Object) if stored.content.isascii() and b"\0" not in stored.content
        )
        return {
            beside(stored): stored.content.decode()
            for stored in texts
            if len(stored.content) > _WITHIN or b"\n" in stored.content
        }

    def kinds(self) -> list[str]:
        """Return the kinds that there are, each once, in order."""
        return list(dict.fromkeys(resource.kind for resource in self.resources))

    def by_id(self, id: str) -> Resource | None:
        """Return the resource of that id."""
        return next((resource for resource in self.resources if resource.id == id), None)

    def filled(self, value: Any, unknown: Callable[[Ref], str]) -> Any:  # Any: JSON, with references
        """Return JSON with a text for each reference; `unknown` gives it where nobody knows before."""
        if isinstance(value, Ref):
            return self.known(value) or unknown(value)
        if isinstance(value, Concat):
            return "".join(
                part if isinstance(part, str) else self.filled(part, unknown) for part in value.parts
            )
        if isinstance(value, Mapping):
            return {key: self.filled(inner, unknown) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.filled(inner, unknown) for inner in value]
        return value

    def known(self, ref: Ref) -> str:
        """Return what a reference stands for, from what is live or by the rules of names; '' where only apply can tell."""
        live = resolve(ref, self.outputs)
        if live != KNOWN_AFTER_APPLY:
            return str(live)
        thing = self.by_id(ref.id)
        if thing is None:
            raise TypeError(f"{ref.id} is referred to, and is not among the resources")
        return _computed(thing, ref.path)


def beside(one: Object) -> str:
    """Return what the file is called that holds an object's content."""
    return one.name.replace("/", "-")


def _computed(thing: Resource, path: str) -> str:
    if isinstance(thing, SecretVersion) and path == "name":
        return f"projects/{thing.google.project}/secrets/{thing.secret_id}/versions/latest"
    built = isinstance(thing, ContainerImage | MirroredImage) and path in {"reference", "digest"}
    if built or (thing.kind, path) in _TOLD_LATER:
        return ""
    if isinstance(thing, StoredWeights):
        fixed = {
            "uri": thing.uri,
            "bucket": thing.bucket,
            "prefix": thing.prefix,
            "revision": thing.pin.revision,
        }
        if path == "digest":
            return digest(thing.pin.files) if all(file.checksum for file in thing.pin.files) else ""
        if path in fixed:
            return fixed[path]
    if isinstance(thing, StartupCache) and path in {"fingerprint", "manifest"}:
        return NONE  # Only `up` makes it: until then a start finds none, says so, and goes on.
    known = _of_rest(thing, path) if isinstance(thing, RestResource) else ""
    if known:
        return known
    raise TypeError(f"no export knows what {thing.id} has at {path!r}")


def _of_rest(thing: RestResource, path: str) -> str:
    """Return what a thing is called, or its address, by the rules of names; '' for all else."""
    if path == "selfLink" and thing.address.api == "compute":
        return self_link(thing.address.path)
    if path == "name" and thing.address.api == "certificatemanager":
        return thing.address.path.removeprefix("v1/")
    if (thing.kind, path) == (ResourceKind.ACCOUNT, "email") or path == "name":
        return thing.address.path.rpartition("/")[2]
    return ""
