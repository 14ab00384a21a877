"""What things are called in Terraform, and the expressions that stand for what they turn out to be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from homeport.export.fields import Fields
from homeport.export.graph import OF_EDGE, ResourceKind, Things
from homeport.export.terraform.hcl import Code, joined
from homeport.export.terraform.variable_names import image_variable, key_of, suffix, word
from homeport.reconcile import Concat, Ref, Resource
from homeport.resources.google.answering_edge import AnsweringEdge
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.dns import RecordSet
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.release import Release
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.secret import SecretVersion
from homeport.resources.google.service import Service
from homeport.resources.google.service_agent import AgentGrant
from homeport.resources.google.startup_cache import StartupCache

WEIGHTS = Code("var.weights_digest")
BILLING = Code("var.billing_account")
PROJECT, REGION, LABELS = Code("var.project"), Code("var.region"), Code("local.labels")
TYPES: Mapping[str, str] = {
    ResourceKind.APIS: "google_project_service",
    ResourceKind.ACCOUNT: "google_service_account",
    ResourceKind.SECRET: "google_secret_manager_secret",
    ResourceKind.SECRET_VERSION: "google_secret_manager_secret_version",
    ResourceKind.REPOSITORY: "google_artifact_registry_repository",
    ResourceKind.BUCKET: "google_storage_bucket",
    ResourceKind.OBJECT: "google_storage_bucket_object",
    ResourceKind.NETWORK: "google_compute_network",
    ResourceKind.SUBNETWORK: "google_compute_subnetwork",
    ResourceKind.FIREWALL: "google_compute_firewall",
    ResourceKind.ZONE: "google_dns_managed_zone",
    ResourceKind.RECORD: "google_dns_record_set",
    ResourceKind.SERVICE: "google_cloud_run_v2_service",
    ResourceKind.ROLE: "google_project_iam_custom_role",
    ResourceKind.SCHEDULE: "google_cloud_scheduler_job",
    ResourceKind.REGISTRY_ENTRY: "google_agent_registry_service",
    ResourceKind.CONFIGURATION: "google_secret_manager_secret",
    ResourceKind.DASHBOARD: "google_monitoring_dashboard",
    ResourceKind.ALERT_POLICY: "google_monitoring_alert_policy",
    ResourceKind.CHANNEL: "google_monitoring_notification_channel",
    ResourceKind.UPTIME_CHECK: "google_monitoring_uptime_check_config",
    ResourceKind.BUDGET: "google_billing_budget",
    ResourceKind.TEMPLATE: "google_model_armor_template",
    ResourceKind.ENDPOINT: "google_network_connectivity_regional_endpoint",
    ResourceKind.TRAFFIC_EXTENSION: "google_network_services_lb_traffic_extension",
    ResourceKind.AUTHZ_EXTENSION: "google_network_services_authz_extension",
    ResourceKind.AUTHZ_POLICY: "google_network_security_authz_policy",
    ResourceKind.GROUP: "google_compute_region_network_endpoint_group",
    ResourceKind.BACKEND: "google_compute_backend_service",
    ResourceKind.URL_MAP: "google_compute_url_map",
    ResourceKind.HTTPS_PROXY: "google_compute_target_https_proxy",
    ResourceKind.HTTP_PROXY: "google_compute_target_http_proxy",
    ResourceKind.RULE: "google_compute_global_forwarding_rule",
    ResourceKind.ADDRESS: "google_compute_global_address",
    ResourceKind.CERTIFICATE: "google_compute_ssl_certificate",
    ResourceKind.POLICY: "google_compute_security_policy",
    ResourceKind.AUTHORIZATION: "google_certificate_manager_dns_authorization",
    ResourceKind.MANAGED: "google_certificate_manager_certificate",
    ResourceKind.CERTIFICATE_MAP: "google_certificate_manager_certificate_map",
    ResourceKind.ENTRY: "google_certificate_manager_certificate_map_entry",
}
_OF_REGIONS: Mapping[str, str] = {
    ResourceKind.BACKEND: "google_compute_region_backend_service",
    ResourceKind.URL_MAP: "google_compute_region_url_map",
    ResourceKind.HTTPS_PROXY: "google_compute_region_target_https_proxy",
    ResourceKind.HTTP_PROXY: "google_compute_region_target_http_proxy",
    ResourceKind.RULE: "google_compute_forwarding_rule",
    ResourceKind.ADDRESS: "google_compute_address",
    ResourceKind.CERTIFICATE: "google_compute_region_ssl_certificate",
    ResourceKind.POLICY: "google_compute_region_security_policy",
}
"""Those of a region that are types of their own."""
_RENAMED = frozenset((ResourceKind.CERTIFICATE, ResourceKind.AUTHORIZATION, ResourceKind.MANAGED))
"""What has another name with each change: its address in Terraform stays, so that one takes the place of the other."""
_EARLY = frozenset(
    {*_RENAMED, ResourceKind.ADDRESS, ResourceKind.CERTIFICATE_MAP, ResourceKind.ENTRY, ResourceKind.DOOR}
)
"""What of a load balancer is made before the service, so that the DNS can be set meanwhile, and certificates come."""
_GRANTED_ON: Mapping[str, str] = {
    "artifactregistry": "google_artifact_registry_repository_iam_member",
    "cloudresourcemanager": "google_project_iam_member",
    "iam": "google_service_account_iam_member",
    "iap": "google_iap_web_cloud_run_service_iam_member",
    "run": "google_cloud_run_v2_service_iam_member",
    "secretmanager": "google_secret_manager_secret_iam_member",
    "storage": "google_storage_bucket_iam_member",
}
_ATTRIBUTES: Mapping[tuple[str, str], str] = {
    (ResourceKind.ACCOUNT, "email"): "email",
    (ResourceKind.ENDPOINT, "address"): "address",
    (ResourceKind.CHANNEL, "name"): "name",
    (ResourceKind.NETWORK, "name"): "name",
    (ResourceKind.NETWORK, "selfLink"): "id",
    (ResourceKind.SUBNETWORK, "name"): "name",
    (ResourceKind.SUBNETWORK, "selfLink"): "id",
    (ResourceKind.BACKEND, "id"): "generated_id",
    (ResourceKind.ADDRESS, "address"): "address",
    **{(kind, "selfLink"): "id" for kind in OF_EDGE},
    **{(kind, "name"): "id" for kind in OF_EDGE},
}
"""What a reference of the graph's reads, and Terraform's attribute for it."""


CALLERS, ENTRANTS = "callers", "entrants"
"""Whom the file lets call a service, and whom it lets in through Identity-Aware Proxy."""
_SHARED: Mapping[str, str] = {ResourceKind.APIS: "apis", ResourceKind.ZONE: "private"}


class Addresses:
    """
    The addresses of one deployment's things, such as `google_storage_bucket.weights`.

    Those of a further region have its name behind them; what it shares with the first one is where that, `first`, has it.
    """

    def __init__(self, things: Things, first: Addresses | None = None) -> None:
        self.things = self._things = things
        self._home = first.things.region if first else things.region
        named = {
            resource.id: address
            for resource in things.own
            if (address := _address(things, resource)) is not None
        }
        self._of = {id_: _placed(address, things) for id_, address in named.items()}
        shared = {*_SHARED, ResourceKind.RECORD}
        own = [named[one.id] for one in things.own if one.id in named and one.kind not in shared]
        # One block makes all whom the file lets call a service, and one all whom it lets in.
        twice = {each for each in own if own.count(each) > 1 and not each.endswith((CALLERS, ENTRANTS))}
        if twice:
            raise TypeError(f"two things would be {', '.join(sorted(twice))} in Terraform")
        if first is not None:
            shared_ids = (one.id for one in things.resources if one.id not in things.whole)
            self._of |= {id_: known for id_ in shared_ids if (known := first.known(id_)) is not None}
        self.further = tuple(Addresses(region, self) for region in things.further)
        # What leads clients to all regions needs what the whole calls otherwise.
        for each in self.further:
            inner_ids = ((outer, each.known(inner)) for inner, outer in each.things.whole.items())
            self._of |= {outer: known for outer, known in inner_ids if known is not None}
        self._literal: dict[str, Code] = {}
        for resource in things.resources:
            if isinstance(resource, RestResource) and resource.kind == ResourceKind.ACCOUNT:
                self._literal[resource.address.path.rpartition("/")[2]] = self.code(resource, "email")
            elif isinstance(resource, RestResource) and resource.kind == ResourceKind.BUCKET:
                self._literal[resource.wanted["name"]] = self.code(resource, "name")
            elif isinstance(resource, RestResource) and resource.kind == ResourceKind.ROLE:
                self._literal[resource.address.path.partition("/")[2]] = self.code(resource, "id")
            elif (
                isinstance(resource, RestResource)
                and resource.kind == ResourceKind.REPOSITORY
                and "kmsKeyName" in resource.wanted
            ):
                self._literal[resource.wanted["kmsKeyName"]] = key_of(things)

    def of(self, one: Resource) -> str:
        """Return the address of a resource. Raises `TypeError` for one that Terraform does not make."""
        if one.id not in self._of:
            raise TypeError(f"Terraform does not make {one.id}")
        return self._of[one.id]

    def known(self, id: str) -> str | None:
        """Return the address of the resource of that id; None where Terraform does not make it."""
        return self._of.get(id)

    def label(self, one: Resource) -> str:
        """Return the last part of an address."""
        return self.of(one).rpartition(".")[2]

    def code(self, one: Resource, attribute: str) -> Code:
        """Return the expression for an attribute of a resource."""
        return Code(f"{self.of(one)}{'[0]' if is_counted(one) else ''}.{attribute}")

    def variable(self, one: Resource) -> str:
        """Return the variable for what the file says of it once, whatever the region."""
        return self.label(one).removesuffix(suffix(self._things))

    def in_region(self, region: str) -> Addresses:
        """Return those of a region."""
        return next((each for each in self.further if each.things.region == region), self)

    def by_id(self, id: str, attribute: str) -> Code:
        """Return the address of the resource of that id. Raises `TypeError` where there is none."""
        resource = self._things.by_id(id)
        if resource is None:
            raise TypeError(f"{id} is referred to, and is not among the resources")
        return self.code(resource, attribute)

    def expressed(self, value: Any) -> Any:  # Any: JSON, with references before and Code after
        """Return JSON with an expression wherever a value is that of another thing."""
        if isinstance(value, Ref):
            return self._reference(value)
        if isinstance(value, Concat):
            return joined(*(part if isinstance(part, str) else self._reference(part) for part in value.parts))
        if isinstance(value, str):
            return self._named(value)
        if isinstance(value, Mapping):
            return {key: self.expressed(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.expressed(inner) for inner in value]
        return value

    def place(self, region: str) -> Code | str:
        """Return a region, by the variable where it is that of all the rest."""
        return REGION if region == self._home else region

    def labels(self, body: Fields) -> Code | Mapping[str, str] | None:
        """Take the labels of a body, and return them."""
        labels: Mapping[str, str] | None = body.take("labels")
        return LABELS if labels == {LABEL: self._things.name} else labels

    def among_callers(self, grant: Grant) -> str:
        """Return where exports of before had a grant on a service: among those whom the file lets call it."""
        called = _callers_of(_short(self._things, grant.on.path.rpartition("/")[2]))
        return f"{type_of(grant)}.{_placed(called, self._things)}[{json.dumps(grant.member)}]"

    def member(self, member: str) -> Code | str:
        """Return who a grant is for; an account of ours by reference."""
        kind, _, who = member.partition(":")
        known = self._literal.get(who)
        return joined(f"{kind}:", known) if known is not None else member

    def _named(self, text: str) -> str | Code:
        """Return a text that names one of our things, or begins with the address of something in our bucket."""
        if text in self._literal:
            return self._literal[text]
        matched = re.fullmatch(r"gs://([^/]+)(/.*)?", text, re.DOTALL)
        if matched and (bucket := self._literal.get(matched[1])) is not None:
            return joined("gs://", bucket, matched[2] or "")
        return text

    def _reference(self, ref: Ref) -> Code | str:
        thing = self._things.by_id(ref.id)
        if isinstance(thing, ContainerImage | MirroredImage) and ref.path in {"reference", "digest"}:
            variable = f"var.{image_variable(self._things, thing)}"
            return Code(variable if ref.path == "reference" else f'split("@", {variable})[1]')
        if isinstance(thing, StoredWeights):
            return self._named(self._things.known(ref)) or WEIGHTS
        if isinstance(thing, StartupCache):
            return self._things.known(ref)
        if thing is None:
            raise TypeError(f"{ref.id} is referred to, and is not among the resources")
        if (thing.kind, ref.path) == (ResourceKind.SERVICE, "uri"):
            return Code(f"one({self.of(thing)}[*].uri)")
        attribute = _ATTRIBUTES.get((thing.kind, ref.path))
        if attribute is None:
            raise TypeError(f"Terraform cannot tell what {ref.id} has at {ref.path!r}")
        return self.code(thing, attribute)


def is_counted(one: Resource) -> bool:
    """Return True for a part of a load balancer, and for an entry of Agent Registry, that is made once its service is."""
    return one.kind in OF_EDGE - _EARLY or one.kind == ResourceKind.REGISTRY_ENTRY


def told_of(things: Things, one: Resource) -> Service:
    """Return the service without which a thing is not made: the one that an entry tells of; for all else the model's."""
    return next(
        (
            served
            for served in things.services
            if one.kind == ResourceKind.REGISTRY_ENTRY and served.id in one.needs
        ),
        things.service,
    )


def is_early(one: Resource) -> bool:
    """Return True for a part of a load balancer that is made before its service."""
    return one.kind in _EARLY


def type_of(grant: Grant) -> str:
    """Return the type of resource that a grant is. Raises `TypeError` for one on something else."""
    if grant.on.api not in _GRANTED_ON:
        raise TypeError(f"no export knows grants on {grant.on.api}")
    return _GRANTED_ON[grant.on.api]


def is_ours(things: Things, member: str) -> bool:
    """Return True if a member of a policy is a service account among the things."""
    who = member.partition(":")[2]
    return any(
        resource.kind == ResourceKind.ACCOUNT and resource.address.path.rpartition("/")[2] == who
        for resource in things.all(RestResource)
    )


def snake(name: str) -> str:
    """Return a name of Google's API, as its Terraform provider has it: `gpuZonalRedundancyDisabled` with underscores."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def _address(things: Things, resource: Resource) -> str | None:
    if isinstance(
        resource,
        ContainerImage | MirroredImage | StoredWeights | StartupCache | Release | AnsweringEdge | ClosedDoor,
    ):
        return None
    if isinstance(resource, Grant):
        return f"{type_of(resource)}.{_granted(things, resource)}"
    is_regional = isinstance(resource, RestResource) and "/regions/" in resource.address.path
    types = {**TYPES, **_OF_REGIONS} if is_regional else TYPES
    return f"{types[resource.kind]}.{_label(things, resource)}"


def _label(things: Things, resource: Resource) -> str:
    """Return what one thing is called among those of its kind. One block makes all APIs, zones and records of a sort."""
    kind = resource.kind
    if kind in _SHARED:
        return _SHARED[kind]
    if kind in _RENAMED:
        return "edge"
    if isinstance(resource, SecretVersion):
        return _short(things, resource.secret_id)
    if isinstance(resource, RecordSet):
        if not of_a_zone(things, resource):
            return word(resource.wanted["name"].partition(".")[0])
        return "wildcard" if resource.wanted["name"].startswith("*.") else "apex"
    name = (
        resource.address.path.rpartition("/")[2]
        if isinstance(resource, RestResource)
        else resource.id.rpartition("/")[2]
    )
    return _in_its_region(things, resource, _short(things, name.partition("@")[0]))


def _in_its_region(things: Things, resource: Resource, label: str) -> str:
    """Return a label with the region behind it where one load balancer leads to groups of one name in several."""
    if resource.kind != ResourceKind.GROUP or not isinstance(resource, RestResource):
        return label
    region = resource.address.path.split("/")[5]
    return _ending(label, f"_{word(region)}") if region != things.region else label


def _placed(address: str, things: Things) -> str:
    return _ending(address, suffix(things))


def _ending(text: str, end: str) -> str:
    return text if text.endswith(end) else f"{text}{end}"


def of_a_zone(things: Things, record: RecordSet) -> bool:
    """Return True if a record is of a zone's own name, or of all names within it, as each zone has them."""
    zones = {zone.wanted["dnsName"] for zone in things.all(RestResource) if zone.kind == ResourceKind.ZONE}
    return record.wanted["name"].removeprefix("*.") in zones


def _granted(things: Things, grant: Grant) -> str:
    """Return a name for a grant: who has it, and what it is."""
    who = grant.member.partition(":")[2].partition("@")[0]
    called = _short(things, grant.on.path.rpartition("/")[2])
    if grant.on.api == "iap":
        return ENTRANTS if called == "main" else f"{called}_{ENTRANTS}"
    if isinstance(grant, AgentGrant) and grant.on.api == "run":
        return word(f"{grant.agent_of}_calls_{called}")
    if grant.on.api == "run" and not is_ours(things, grant.member):
        return _callers_of(called)
    if grant.on.api == "run" and grant.role.startswith("roles/"):
        return word(f"{_short(things, who)}_calls_{called}")
    caches = any(grant.on.path.endswith(f"/{cache.bucket}") for cache in things.all(StartupCache))
    where = "_of_caches" if caches else ""
    return word(f"{_short(things, who)}_{snake(grant.role.rpartition('.')[2])}{where}")


def _callers_of(called: str) -> str:
    return CALLERS if called == "main" else f"{called}_{CALLERS}"


def _short(things: Things, name: str) -> str:
    """Return a name without what all names here begin with; `main` where nothing is left."""
    if name == things.name:
        return "main"
    for start in (f"{things.project}-{things.name}-", f"{things.name}-"):
        if name.startswith(start) and len(name) > len(start):
            return word(name.removeprefix(start))
    return word(name)
