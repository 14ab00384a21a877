"""Backend services and network endpoint groups: what those of Cloud Run refuse."""

from __future__ import annotations

from collections.abc import Iterator

from gcp_rehearsal.apis.compute.references import at
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import invalid
from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.state import StoredResource

_PLATFORMS = ("cloudRun", "appEngine", "cloudFunction")
_CLOUD_RUN = ("service", "urlMask")
_WITH = "with Serverless network endpoint groups"


def check_group(body: JsonObject) -> None:
    """Raise `ApiError` 400 for a group of serverless endpoints that names no platform, or what only others have."""
    if body["networkEndpointType"] != "SERVERLESS":
        return
    named = [key for key in _PLATFORMS if body.get(key) is not None]
    if len(named) != 1:
        raise invalid(
            "Invalid value for field 'resource.networkEndpointType': 'SERVERLESS'. Exactly one of cloudRun, appEngine "
            "and cloudFunction must be set."
        )
    target = body.get("cloudRun")
    if target is not None and not any(target.get(key) for key in _CLOUD_RUN):
        raise invalid("Invalid value for field 'resource.cloudRun': one of service and urlMask must be set.")
    for key in ("network", "subnetwork", "defaultPort"):
        if body.get(key):
            raise invalid(
                f"Invalid value for field 'resource.{key}': '{body[key]}'. It must not be set for network endpoint "
                "groups of type SERVERLESS."
            )


def check_service(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    """Raise `ApiError` 400 for what a backend service of serverless endpoints cannot have."""
    serverless = [group is not None and group.body.get("networkEndpointType") == "SERVERLESS"
                  for group in _groups(call, body)]  # fmt: skip
    if not any(serverless):
        return
    if not all(serverless):
        raise invalid(
            "Invalid value for field 'resource.backends': serverless network endpoint groups cannot be combined with "
            "other backends."
        )
    if _is_new(call, before, "timeoutSec"):
        raise invalid(f"Timeout sec is not supported for a backend service {_WITH}")
    if body.get("healthChecks"):
        raise invalid(
            f"Invalid value for field 'resource.healthChecks': '{body['healthChecks'][0]}'. A backend service cannot "
            "have a healthcheck with Serverless network endpoint group backends."
        )
    if any(backend.get("maxUtilization") for backend in body.get("backends") or ()):
        raise invalid("Max utilization is not supported for Serverless network endpoint groups")
    if "region" in call.params and body.get("outlierDetection"):
        raise invalid(f"Outlier detection is not supported for a regional backend service {_WITH}")


def _is_new(call: Call, before: StoredResource | None, field: str) -> bool:
    """Tell whether a caller names a field; the default that a thing has got may be sent back with the whole of it."""
    return field in call.body and (before is None or call.body[field] != before.body.get(field))


def _groups(call: Call, body: JsonObject) -> Iterator[StoredResource | None]:
    for backend in body.get("backends") or ():
        yield at(call.cloud, str(backend.get("group") or ""))
