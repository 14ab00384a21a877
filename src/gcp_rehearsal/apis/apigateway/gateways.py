"""API Gateway's APIs, their configs and the gateways that serve them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from gcp_rehearsal import generic
from gcp_rehearsal.apis.apigateway.openapi import OpenApiDocument, read_document
from gcp_rehearsal.apis.iam.service_accounts import may_act_as
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

BASE = "apigateway.projects.locations"
APIS, CONFIGS, GATEWAYS = f"{BASE}.apis", f"{BASE}.apis.configs", f"{BASE}.gateways"
_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_GATEWAY_ID = 49
"""By Google's page on deploying an API to a gateway."""
_CODES = {
    "asia-northeast1": "an", "australia-southeast1": "ts", "europe-west1": "ew", "europe-west2": "nw",
    "us-central1": "uc", "us-east1": "ue", "us-east4": "uk", "us-west2": "wl", "us-west3": "wm", "us-west4": "wn",
}  # fmt: skip
"""Regions that have API Gateway, as far as is known here, and how the host of a gateway there names them; not from a page of Google's."""
_NEEDED = ("servicemanagement", "servicecontrol")
"""APIs that a project must have on, by Google's guides."""


def managed_services(call: Call) -> dict[str, str]:
    """Return the titles of the services that the project's APIs have made, by their names."""
    return {
        str(api.body["managedService"]): str(api.body.get("displayName") or api.id)
        for api in call.cloud.store.of("apigateway", APIS)
        if api.project == call.project
    }


def config_document(config: StoredResource) -> OpenApiDocument:
    """Return what a config says."""
    return read_document(config.body["openapiDocuments"])


def _prepare_api(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        if body.get("managedService") != before.body["managedService"]:
            raise invalid("managed_service is immutable.", ("api.managed_service", "is immutable"))
        return
    _check_global(call)
    api_id = _checked_id(call, "apiId")
    off = [name for name in _NEEDED if not call.cloud.was_enabled(call.project, name)]
    if off:
        raise precondition(f"{off[0]}.googleapis.com is not enabled for project {call.project}.")
    if body.get("managedService"):
        raise unimplemented("APIs of a managed service that was there before")
    unique = sha256(f"{call.project}/{api_id}/{call.cloud.number()}".encode()).hexdigest()[:13]
    body["managedService"] = f"{api_id}-{unique}.apigateway.{call.project}.cloud.goog"
    body["state"] = "ACTIVE"


def _prepare_config(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        for key in ("openapiDocuments", "gatewayServiceAccount"):
            if body.get(key) != before.body.get(key):
                raise invalid(f"{key} is immutable.", (f"api_config.{key}", "is immutable"))
        return
    _check_global(call)
    _checked_id(call, "apiConfigId")
    generic.existing(call, call.name.removesuffix("/configs"))
    if body.get("grpcServices") or body.get("managedServiceConfigs"):
        raise unimplemented("configs of gRPC services")
    read_document(body.get("openapiDocuments") or [])
    email = str(body.get("gatewayServiceAccount") or "").rpartition("/")[2]
    if not email:
        raise unimplemented("configs without a service account of their own")
    if not may_act_as(call, email):
        raise ApiError(
            403,
            f"Permission 'iam.serviceAccounts.actAs' denied on service account {email} (or it may not exist).",
        )
    body["gatewayServiceAccount"] = f"projects/-/serviceAccounts/{email}"
    body["serviceConfigId"] = f"{call.query.get('apiConfigId')}-{call.cloud.number()[:12]}"
    body["state"] = "ACTIVE"


def _show_config(call: Call, config: StoredResource) -> JsonObject:
    """Return a config; its documents only where all of it is asked for."""
    if call.query.get("view") == "FULL":
        return config.body
    return {key: value for key, value in config.body.items() if key != "openapiDocuments"}


def _prepare_gateway(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    config = call.cloud.by_id(str(body.get("apiConfig") or ""))
    if call.cloud.store.get("apigateway", config) is None or "/configs/" not in config:
        raise not_found(f"Resource '{config}' was not found")
    body["apiConfig"] = config
    if before is not None:
        if body.get("streamingMode") != before.body.get("streamingMode"):
            raise invalid("streaming_mode is immutable.", ("gateway.streaming_mode", "is immutable"))
        return
    region = call.name.split("/")[3]
    if region not in _CODES:
        raise not_found(f"Location {region} is not found or access is unauthorized.")
    gateway_id = _checked_id(call, "gatewayId")
    if len(gateway_id) > _LONGEST_GATEWAY_ID:
        raise invalid("The gateway id has more than 49 characters.", ("gateway_id", "is too long"))
    unique = sha256(f"{call.project}/{region}/{gateway_id}".encode()).hexdigest()[:8]
    body["defaultHostname"] = f"{gateway_id}-{unique}.{_CODES[region]}.gateway.dev"
    streams = body.get("streamingMode") == "STREAMING_MODE_ENABLED"
    body["effectiveStreamingMode"] = f"EFFECTIVE_STREAMING_MODE_{'ENABLED' if streams else 'DISABLED'}"
    body["state"] = "ACTIVE"


def _remove_api(call: Call, api: StoredResource) -> None:
    if any(True for _ in call.cloud.store.under("apigateway", f"{api.name}/configs")):
        raise precondition(f"Resource '{api.name}' has nested resources.")
    call.cloud.enabled.pop((api.project, str(api.body["managedService"])), None)


def _remove_config(call: Call, config: StoredResource) -> None:
    for gateway in call.cloud.store.of("apigateway", GATEWAYS):
        if gateway.body.get("apiConfig") == config.name:
            raise precondition(f"Resource '{config.name}' is in use by '{gateway.name}'.")


def _list_gateways(call: Call) -> Json:
    """Return the gateways of a region, or of all of them."""
    if not call.name.partition("/gateways")[0].endswith("/-"):
        return generic.list_(call)
    parent = call.name.partition("/locations/")[0]
    every = [
        gateway.body
        for gateway in call.cloud.store.of("apigateway", GATEWAYS)
        if gateway.name.startswith(f"{parent}/")
    ]
    return generic.page(call, "gateways", every)


def _locations(call: Call) -> Json:
    parent = call.name.removesuffix("/locations")
    places = [{"name": f"{parent}/locations/{region}", "locationId": region} for region in sorted(_CODES)]
    return generic.page(call, "locations", places)


def _check_global(call: Call) -> None:
    if call.name.split("/")[3] != "global":
        raise invalid("APIs and their configs are in the location global.", ("parent", "must be global"))


def _checked_id(call: Call, key: str) -> str:
    value = str(call.query.get(key) or "")
    if not _ID.fullmatch(value):
        raise invalid(
            f"Invalid {key}: {value!r}.", (key, "lower case letters, digits and hyphens, at most 63")
        )
    return value


__all__ = ["APIS", "CONFIGS", "GATEWAYS", "HANDLERS", "KINDS", "config_document", "managed_services"]
KINDS: Mapping[str, Kind] = {
    APIS: Kind(prepare=_prepare_api, remove=_remove_api, seconds=30.0),
    CONFIGS: Kind(prepare=_prepare_config, remove=_remove_config, show=_show_config, seconds=60.0),
    GATEWAYS: Kind(prepare=_prepare_gateway, seconds=120.0),
}
HANDLERS: Mapping[str, Handler] = {
    f"{BASE}.list": _locations,
    f"{GATEWAYS}.list": _list_gateways,
}
