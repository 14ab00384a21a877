"""Which APIs of a project are enabled. They answer some time after they were enabled: see `Cloud.is_enabled`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256

from gcp_rehearsal import generic
from gcp_rehearsal.apis.apigateway.gateways import managed_services
from gcp_rehearsal.apis.compute.auto_mode import default_network
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.discovery import NAMES, described, load
from gcp_rehearsal.errors import ApiError, info, invalid, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject

_SUFFIX = ".googleapis.com"
_AT_ONCE = 20
"""How many are enabled, or told about, in one call."""
_SECONDS = 5.0
_OTHERS = ("cloudapis", "containerregistry", "servicemanagement", "telemetry")
"""APIs that Google has no document of, which can be enabled and do nothing, like all that are not rehearsed."""


_AGENTS = {
    "compute": "compute-system", "containerregistry": "containerregistry", "monitoring": "gcp-sa-monitoring-notification",
    "networkservices": "gcp-sa-dep",
    "run": "serverless-robot-prod", "servicenetworking": "service-networking", "storage": "gs-project-accounts",
}  # fmt: skip
"""Where agents live, if their addresses do not follow the rule `gcp-sa-NAME`."""


@cache
def _titles() -> dict[str, str]:
    """Return the titles of the APIs that there are, by service."""
    titles = {name.partition(".")[0] + _SUFFIX: load(name).title for name in NAMES}
    return {**{name + _SUFFIX: f"{name} API" for name in (*_OTHERS, *described())}, **titles}


def _get(call: Call) -> Json:
    return _service_body(call, _checked(call, call.name.rpartition("/")[2]))


def _list(call: Call) -> Json:
    state = str(call.query.get("filter") or "")
    if state not in {"", "state:ENABLED", "state:DISABLED"}:
        raise invalid(
            f"Invalid filter: {state}", ("filter", "only state:ENABLED and state:DISABLED are known")
        )
    every = [_service_body(call, service) for service in sorted(_titles())]
    return generic.page(
        call, "services", [service for service in every if state in {"", f"state:{service['state']}"}]
    )


def _batch_get(call: Call) -> Json:
    names = call.query.get("names", [])
    if not 0 < len(names) <= _AT_ONCE * 1.5:
        raise invalid("names must hold between 1 and 30 services.", ("names", "1 to 30"))
    return {"services": [_service_body(call, _checked(call, name.rpartition("/")[2])) for name in names]}


def _enable(call: Call) -> Json:
    service = _checked(call, call.name.rpartition("/")[2])
    return _switched_on(
        call, [service], lambda: {"service": _service_body(call, service)}, "EnableServiceResponse"
    )


def _batch_enable(call: Call) -> Json:
    names = call.body.get("serviceIds", [])
    if not 0 < len(names) <= _AT_ONCE:
        raise invalid(
            "Batch size is limited to 20 services.", ("service_ids", f"1 to {_AT_ONCE} services at once")
        )
    services = [_checked(call, service) for service in names]
    return _switched_on(
        call,
        services,
        lambda: {"services": [_service_body(call, service) for service in services]},
        "BatchEnableServicesResponse",
    )


def _disable(call: Call) -> Json:
    service = _checked(call, call.name.rpartition("/")[2])
    on = call.cloud.enabled.pop((call.project, service), None)
    if on is None:
        return _done(call)

    def ended() -> JsonObject:
        return _typed("DisableServiceResponse", {"service": _service_body(call, service)})

    return _operation(call, ended)


def _switched_on(call: Call, services: list[str], response: Callable[[], Json], kind: str) -> Json:
    project = call.project
    if all((project, service) in call.cloud.enabled for service in services):
        return _done(call)

    def ended() -> JsonObject:
        for service in services:
            call.cloud.enabled.setdefault((project, service), call.cloud.clock.now())
        if f"compute{_SUFFIX}" in services:
            default_network(call.cloud, project)
        return _typed(kind, response())

    return _operation(call, ended)


def _operation(call: Call, finish: Callable[[], Json]) -> Json:
    project = call.cloud.project(call.project)
    assert project is not None
    name = f"operations/acat.p2-{project.number}-{call.cloud.uuid()}"
    operation = call.cloud.keep(
        call, name, "operations", {"name": name, "metadata": {"resourceNames": [call.name]}}
    )

    def ended() -> None:
        operation.body |= {"done": True, "response": finish()}

    call.cloud.clock.after(call.cloud.takes(_SECONDS), ended)
    call.cloud.clock.settle()
    return operation.body


def _done(call: Call) -> Json:
    """Return what is answered where there is nothing to do."""
    return {
        "name": "operations/noop.DONE_OPERATION",
        "done": True,
        "response": _typed("EnableServiceResponse", {}),
    }


def _get_operation(call: Call) -> Json:
    return _done(call) if call.name == "operations/noop.DONE_OPERATION" else generic.existing(call).body


def _identity(call: Call) -> Json:
    """Return the account by which a service acts in a project: made at once, where it was not there before."""
    service = _checked(call, call.params["parent"].rpartition("/")[2])
    project = call.cloud.project(call.project)
    assert project is not None
    name = service.removesuffix(_SUFFIX)
    agent = _AGENTS.get(name, f"gcp-sa-{name}")
    email = f"service-{project.number}@{agent}.iam.gserviceaccount.com"
    unique = str(10**20 + int(sha256(email.encode()).hexdigest()[:12], 16))
    identity = {"@type": "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity", "email": email,
                "uniqueId": unique}  # fmt: skip
    return {"name": "operations/finished.DONE_OPERATION", "done": True, "response": identity}


def _typed(kind: str, body: JsonObject) -> JsonObject:
    return {"@type": f"type.googleapis.com/google.api.serviceusage.v1.{kind}", **body}


def _service_body(call: Call, service: str) -> JsonObject:
    project = call.cloud.project(call.project)
    assert project is not None
    on = call.cloud.was_enabled(call.project, service.removesuffix(_SUFFIX)) or (
        (call.project, service) in call.cloud.enabled
    )
    parent = f"projects/{project.number}"
    return {
        "name": f"{parent}/services/{service}",
        "config": {"name": service, "title": {**_titles(), **managed_services(call)}[service]},
        "state": "ENABLED" if on else "DISABLED",
        "parent": parent,
    }


def _checked(call: Call, service: str) -> str:
    if service in _titles() or service in managed_services(call):
        return service
    raise ApiError(
        403,
        f"Service '{service}' not found or permission denied.",
        details=[
            info(
                "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                "serviceusage.googleapis.com",
                services=service,
            )
        ],
    )


def _quotas(call: Call) -> Json:
    raise unimplemented(f"{call.method.id}: quotas are told by cloudquotas.googleapis.com")


_METRICS = "serviceusage.services.consumerQuotaMetrics"
_OVERRIDES = [f"{_METRICS}.limits.{whose}Overrides.{verb}" for whose in ("admin", "consumer")
              for verb in ("create", "delete", "list", "patch")]  # fmt: skip
KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "serviceusage.services.get": _get,
    "serviceusage.services.list": _list,
    "serviceusage.services.batchGet": _batch_get,
    "serviceusage.services.enable": _enable,
    "serviceusage.services.batchEnable": _batch_enable,
    "serviceusage.services.disable": _disable,
    "serviceusage.services.generateServiceIdentity": _identity,
    **dict.fromkeys((f"{_METRICS}.get", f"{_METRICS}.list", f"{_METRICS}.limits.get", *_OVERRIDES), _quotas),
    "serviceusage.operations.get": _get_operation,
}
