"""What stands before anything is served: APIs, accounts, secret, repository, bucket, network, and who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from zlib import crc32

from homeport.google import Google, IamResource
from homeport.reconcile import Resource
from homeport.resources.google.apis import Apis
from homeport.resources.google.bucket import bucket
from homeport.resources.google.dns import record, zone
from homeport.resources.google.firewall import egress
from homeport.resources.google.iam_binding import Grant, ServingGrant
from homeport.resources.google.network import network, subnetwork
from homeport.resources.google.repository import DOCKER_HUB, remote_repository, repository
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion, secret
from homeport.resources.google.service_account import account
from homeport.secret import Secret
from homeport.spec import Access, CloudRun, Guard
from homeport.targets.cloudrun.docker_login import login_of
from homeport.targets.cloudrun.guard.screen import ROLE, ModelArmorParts
from homeport.targets.cloudrun.names import Names

APIS = (
    "artifactregistry",
    "cloudbuild",
    "cloudresourcemanager",
    "compute",
    "dns",
    "iam",
    "iamcredentials",
    "logging",
    "run",
    "secretmanager",
    "storage",
    # Nothing is made with these: preflight reads billing, quotas and policies through them.
    "cloudbilling",
    "cloudquotas",
    "orgpolicy",
)
RANGE = "10.8.0.0/23"
"""Of our subnetwork: twice as many addresses as instances are used, and as many again while a revision follows another;
a file may ask for 100 instances. Cloud Run wants a /26 at least for Direct VPC egress."""
_FIRST_OCTET, _BLOCKS = 16, 2048
"""Those of further regions lie in 10.16.0.0/12, by a checksum of the region: a test holds that no two of the catalog's meet."""
PRIVATE = ("199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11")
"""private.googleapis.com: all of Google's APIs, from within a network."""
RESTRICTED = ("199.36.153.4", "199.36.153.5", "199.36.153.6", "199.36.153.7")
"""restricted.googleapis.com: those alone that VPC Service Controls can guard."""
DOMAINS = ("googleapis.com.", "pkg.dev.", "run.app.")
_RESTRICTED_RANGE = "199.36.153.4/30"


def subnet_range(names: Names) -> str:
    """Return the addresses of our subnetwork: those of a further region are its own in the network that all regions share."""
    if not names.further:
        return RANGE
    block = crc32(names.region.encode()) % _BLOCKS
    return f"10.{_FIRST_OCTET + (block >> 7)}.{(block & 127) << 1}.0/23"


@dataclass(frozen=True, kw_only=True)
class Foundations:
    """Everything but images, weights and the service."""

    google: Google
    names: Names
    cloudrun: CloudRun
    access: Access
    token: Secret | None
    """The hub's, where one is wanted."""
    baked: bool
    """Whether weights lie in the image; if not, they are read from the bucket at run time."""
    streamed: bool = False
    """Whether a streamer reads them, and no mount."""
    registries: tuple[str, ...] = (DOCKER_HUB,)
    """Whose images are fetched once and kept."""
    guard: Guard | None = None
    """What Model Armor looks for; None where it does not screen."""
    more_apis: tuple[str, ...] = ()
    """What some tables of the file need besides."""

    def resources(self) -> list[Resource]:
        """Return all foundations, with the needs that they have of each other."""
        return [self.apis, *(self._after_apis(resource) for resource in self._things()), *self.grants()]

    @property
    def apis(self) -> Apis:
        """Return the APIs, which come first."""
        return Apis(
            google=self.google, services=tuple(f"{api}.googleapis.com" for api in (*APIS, *self.more_apis))
        )

    def grants(self) -> list[Resource]:
        """Return the least that each account must be allowed, on the thing itself wherever that can be said."""
        return list(self._grants.values())

    def grants_of(self, account_id: str) -> tuple[str, ...]:
        """Return the ids of an account's grants."""
        return tuple(id_ for id_ in self._grants if f"/{account_id}/" in id_)

    @cached_property
    def _grants(self) -> dict[str, Grant]:
        """Return them by their ids, found once: nearly everything comes after some of them."""
        return {grant.id: grant for grant in (self._grant(*wanted) for wanted in self._wanted())}

    @property
    def key(self) -> str | None:
        """Return the key that what lies in the region is encrypted with; None for Google's own."""
        return self.access.key_in(self.names.region)

    @property
    def guards(self) -> tuple[str, ...]:
        """Return the ids of what keeps our own network closed and shows it the way to Google, and of what screens."""
        own = [] if self.cloudrun.network is not None else self._own_network()
        return tuple(resource.id for resource in (*own, *self.screen))

    @property
    def screen(self) -> tuple[Resource, ...]:
        """Return what Model Armor takes: without it nothing is to be served."""
        if self.guard is None:
            return ()
        parts = ModelArmorParts(google=self.google, names=self.names, guard=self.guard)
        own = (parts.template,) if parts.template is not None else ()
        if self.cloudrun.network is not None or not self.guard.in_gateway:
            return own
        return (*own, *parts.way(self.names.zone(DOMAINS[0]), isolated=self.access.isolated))

    @property
    def zones(self) -> int:
        """Return how many private zones there are, each of which costs."""
        return len(DOMAINS) if self.cloudrun.network is None else 0

    @property
    def isolation(self) -> str:
        """Describe what `access.isolated` comes to, and what it does not prove."""
        out, unknown = "none out but to Google's restricted addresses", "who else may use that network"
        if self.cloudrun.network is not None:
            out = f"the way out is up to the routes, the firewall and the DNS of {self.cloudrun.network}, which is yours"
            unknown = "what these let out"
        return (
            f"no way in but from its network, and {out}; that proves nothing of {unknown}, nor of VPC Service Controls. "
            f"`up` and `verify` must run on a machine within {self.network[0]}: from outside nothing is proven"
        )

    @property
    def network(self) -> tuple[str, str]:
        """Return the network and subnetwork that the service sends through: those named in the file, or our own."""
        if self.cloudrun.network and self.cloudrun.subnetwork:
            return self.cloudrun.network, self.cloudrun.subnetwork
        return self.names.name, self.names.name

    def _things(self) -> Iterator[Resource]:
        google, names = self.google, self.names
        titles = {names.builder: "builds images", names.carrier: "carries weights", names.runner: "serves"}
        for account_id, does in titles.items():
            yield account(google, names.name, account_id, f"homeport {names.name}: {does}")
        key = self.key
        registries = [repository(google, names.name, names.name, names.region)]
        registries += [
            remote_repository(
                google, names.name, names.registry(host), names.region, host, login_of(self.cloudrun, host)
            )
            for host in self.registries
        ]
        storage = bucket(google, names.name, names.bucket, names.region)
        if key:
            registries = [
                replace(registry, wanted={**registry.wanted, "kmsKeyName": key}) for registry in registries
            ]
            storage = replace(storage, wanted={**storage.wanted, "encryption": {"defaultKmsKeyName": key}})
        yield from registries
        yield storage
        if self.token is not None:
            yield secret(google, names.name, names.secret, names.region)
            yield SecretVersion(google=google, secret_id=names.secret, value=self.token)
        if self.cloudrun.network is None:
            yield from self._own_network()
        yield from self.screen

    def _own_network(self) -> Iterator[Resource]:
        google, names = self.google, self.names
        yield network(google, names.name, names.name)
        yield subnetwork(google, names.name, names.name, names.region, subnet_range(names))
        addresses = RESTRICTED if self.access.isolated else PRIVATE
        for dns_name in DOMAINS:
            zone_name = names.zone(dns_name)
            yield zone(google, names.name, zone_name, dns_name, names.name)
            yield record(google, names.name, zone_name, dns_name, "A", addresses)
            yield record(google, names.name, zone_name, f"*.{dns_name}", "CNAME", (dns_name,))
        if self.access.isolated:
            to_google, nowhere = names.firewall_rules
            yield egress(google, names.name, names.name, to_google, ranges=(_RESTRICTED_RANGE,), allow=True)
            yield egress(google, names.name, names.name, nowhere, ranges=("0.0.0.0/0",), allow=False)

    def _wanted(self) -> Iterator[tuple[str, str, str]]:
        """Yield (account, role, on what) for each grant that is wanted."""
        names = self.names
        yield names.builder, "roles/artifactregistry.writer", "repository"
        yield names.builder, "roles/logging.logWriter", "project"
        yield names.carrier, "roles/storage.objectUser", "bucket"
        for host in self.registries:
            for account_id in (names.builder, names.carrier):
                yield account_id, "roles/artifactregistry.reader", f"repository {names.registry(host)}"
        yield names.carrier, "roles/logging.logWriter", "project"
        if self.token is not None:
            yield names.carrier, "roles/secretmanager.secretAccessor", "secret"
        if self.baked:
            # A GGUF of one's own goes through the bucket into the image.
            yield names.builder, "roles/storage.objectViewer", "bucket"
        else:
            yield names.runner, "roles/storage.objectViewer", "bucket"
        if self.guard is not None and self.guard.in_gateway:
            # Model Armor has nothing finer to grant this on.
            yield names.runner, ROLE, "project"
        if self.streamed:
            # The streamer asks for the bucket itself first: storage.buckets.get, which no viewer of objects has.
            yield names.runner, "roles/storage.legacyBucketReader", "bucket"

    def _grant(self, account_id: str, role: str, where: str) -> Grant:
        names, project = self.names, self.names.project
        kind, _, own = where.partition(" ")
        registry = own or names.name
        thing, known_as, on = {
            "repository": (
                f"repository/{registry}",
                f"repository/{registry}",
                IamResource(
                    api="artifactregistry",
                    path=f"v1/projects/{project}/locations/{names.region}/repositories/{registry}",
                ),
            ),
            "bucket": (
                f"bucket/{names.bucket}",
                f"bucket/{names.bucket}",
                IamResource(api="storage", path=f"storage/v1/b/{names.bucket}"),
            ),
            "secret": (
                f"secret/{names.secret}",
                f"secret/{names.secret}",
                IamResource(api="secretmanager", path=f"v1/projects/{project}/secrets/{names.secret}"),
            ),
            # Cloud Logging has no finer thing to grant the writing of logs on.
            "project": (
                "apis",
                f"project/{project}",
                IamResource(api="cloudresourcemanager", path=f"v3/projects/{project}"),
            ),
        }[kind]
        make = ServingGrant if account_id == names.runner else Grant
        return make(
            google=self.google,
            role=role,
            member=f"serviceAccount:{names.email(account_id)}",
            on=on,
            known_as=known_as,
            needs=(thing, f"service-account/{account_id}"),
        )

    def _after_apis(self, resource: Resource) -> Resource:
        return (
            replace(resource, after=(self.apis.id, *resource.after))
            if isinstance(resource, RestResource)
            else resource
        )
