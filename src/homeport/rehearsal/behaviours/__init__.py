"""What single APIs do that is not generic, one module each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from homeport.google.discovery import api_of
from homeport.rehearsal.behaviours import (
    accounts,
    builds,
    compute,
    dns,
    executions,
    jobs,
    knative,
    logs,
    networks,
    projects,
    quotas,
    registry,
    revisions,
    roles,
    secrets,
    services,
    services_usage,
    storage,
    tokens,
)
from homeport.rehearsal.call import Reply, Request
from homeport.rehearsal.kind import Handler, Kind

if TYPE_CHECKING:
    from homeport.rehearsal.cloud import Cloud

_MODULES: tuple[ModuleType, ...] = (
    accounts, builds, compute, dns, executions, jobs, knative, logs, networks, projects, quotas, registry,
    revisions, roles, secrets, services,
    services_usage, storage, tokens,
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


def unlisted(request: Request) -> Callable[[Cloud, Request], Reply] | None:
    """What answers a request that no discovery document has."""
    return PATHS.get(request.path) or _ELSEWHERE.get(api_of(request.host))
