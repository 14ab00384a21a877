"""What single APIs do that is not generic, one module each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.agentregistry import services as registered
from gcp_rehearsal.apis.apigateway import gateways
from gcp_rehearsal.apis.apikeys import keys as api_keys
from gcp_rehearsal.apis.artifactregistry import repositories as registry
from gcp_rehearsal.apis.artifactregistry import upstream
from gcp_rehearsal.apis.billingbudgets import budgets
from gcp_rehearsal.apis.certificatemanager import certificates
from gcp_rehearsal.apis.cloudbuild import builds
from gcp_rehearsal.apis.cloudkms import keys as crypto_keys
from gcp_rehearsal.apis.cloudquotas import quotas
from gcp_rehearsal.apis.cloudscheduler import jobs as scheduled
from gcp_rehearsal.apis.compute import load_balancing as compute
from gcp_rehearsal.apis.compute import networks
from gcp_rehearsal.apis.dns import zones as dns
from gcp_rehearsal.apis.iam import keys, roles, tokens
from gcp_rehearsal.apis.iam import service_accounts as accounts
from gcp_rehearsal.apis.iap import own_clients, web
from gcp_rehearsal.apis.logging import entries as logs
from gcp_rehearsal.apis.modelarmor import templates
from gcp_rehearsal.apis.monitoring import alerting, queries
from gcp_rehearsal.apis.networkconnectivity import endpoints
from gcp_rehearsal.apis.networkservices import extensions
from gcp_rehearsal.apis.resourcemanager import projects
from gcp_rehearsal.apis.run import executions, jobs, revisions, services
from gcp_rehearsal.apis.run.knative import api as knative
from gcp_rehearsal.apis.secretmanager import secrets
from gcp_rehearsal.apis.serviceusage import services as services_usage
from gcp_rehearsal.apis.storage import buckets as storage
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.context import Handler, Kind
from gcp_rehearsal.discovery import api_of
from gcp_rehearsal.faults import REGISTRY

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_MODULES: tuple[ModuleType, ...] = (
    accounts, alerting, api_keys, budgets, builds, certificates, compute, crypto_keys, dns, endpoints, executions, extensions, gateways, jobs, keys, knative, logs, networks, own_clients, projects, quotas, queries, registered, registry,
    revisions, roles, scheduled, secrets, services,
    services_usage, storage, templates, tokens, upstream, web,
)  # fmt: skip

KINDS: Mapping[str, Kind] = {name: kind for module in _MODULES for name, kind in module.KINDS.items()}
"""By collection, such as `run.projects.locations.services`."""
HANDLERS: Mapping[str, Handler] = {
    method: handler for module in _MODULES for method, handler in module.HANDLERS.items()
}
"""By method's id; one of a certain version by `run.v1:` and the id."""
PATHS: Mapping[str, Callable[[Cloud, Request], Reply]] = {
    path: handler for module in _MODULES for path, handler in getattr(module, "PATHS", {}).items()
}
"""Paths that no discovery document has, and that clients ask for all the same."""
_ELSEWHERE: Mapping[str, Callable[[Cloud, Request], Reply]] = {
    api: handler for module in _MODULES for api, handler in getattr(module, "ELSEWHERE", {}).items()
}
"""What answers all other paths of an API's host."""


def registry_method(request: Request) -> str:
    """Return what faults and the log call a request of a registry of images; '' for any other."""
    return f"{REGISTRY}.{request.verb.lower()}" if api_of(request.host) == "docker" else ""


def unlisted(request: Request) -> Callable[[Cloud, Request], Reply] | None:
    """Return what answers a request that no discovery document has."""
    return PATHS.get(request.path) or _ELSEWHERE.get(api_of(request.host))
