"""Cloud Monitoring's alert policies, notification channels, dashboards and uptime checks: what it looks at before it takes one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal.apis.run.sizes import seconds
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_POLICIES = "monitoring.projects.alertPolicies"
_CHANNELS = "monitoring.projects.notificationChannels"
UPTIME_CHECKS = "monitoring.projects.uptimeCheckConfigs"
_MOST_CONDITIONS, _INTERVAL_S, _LEAST_CLOSE_S = 6, 30, 1800
_CHANNEL_LABELS = {"email": {"email_address"}}
"""What a channel of a type says of itself; the rehearsal knows no other types, and takes them as they are."""
_MOST_COLUMNS = 48
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def _policy(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if not body.get("displayName"):
        raise invalid(
            "Field alert_policy.display_name must be set.", ("alert_policy.display_name", "is missing")
        )
    if body.get("combiner") in {None, "COMBINE_UNSPECIFIED"}:
        raise invalid(
            "Field alert_policy.combiner had an invalid value: it must be set.",
            ("alert_policy.combiner", "is missing"),
        )
    conditions = body.get("conditions") or []
    if not 1 <= len(conditions) <= _MOST_CONDITIONS:
        raise invalid(
            "Field alert_policy.conditions must have from 1 to 6 elements.",
            ("alert_policy.conditions", "is invalid"),
        )
    for number, condition in enumerate(conditions):
        _condition(call, condition, f"alert_policy.conditions[{number}]")
    close = (body.get("alertStrategy") or {}).get("autoClose")
    if close is not None and seconds(close) < _LEAST_CLOSE_S:
        raise invalid("Field alert_policy.alert_strategy.auto_close must be at least 30 minutes.")
    for name in body.get("notificationChannels") or ():
        if call.cloud.store.get("monitoring", call.cloud.by_id(name)) is None:
            raise ApiError(404, f"The notification channel {name} cannot be found.")
    _labels(body.get("userLabels") or {}, "alert_policy.user_labels")
    body.setdefault("enabled", True)


def _condition(call: Call, condition: JsonObject, field: str) -> None:
    query = condition.get("conditionPrometheusQueryLanguage")
    if query is not None:
        if not query.get("query"):
            raise invalid(f"Field {field}.condition_prometheus_query_language.query must be set.")
        every = seconds(query.get("evaluationInterval"), _INTERVAL_S)
        if every <= 0 or every % _INTERVAL_S:
            raise invalid(
                f"Field {field}.condition_prometheus_query_language.evaluation_interval must be a multiple of 30 seconds."
            )
        if not query.get("disableMetricValidation"):
            raise invalid(
                f"Field {field}.condition_prometheus_query_language.query: unknown metric: nothing has been written that the "
                "query asks for. The rehearsal keeps no metrics; disable_metric_validation lets it be."
            )
    condition.setdefault("name", f"{call.name}/conditions/{call.cloud.number()}")


def _channel(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    kind = body.get("type")
    if not kind:
        raise invalid(
            "Field notification_channel.type must be set.", ("notification_channel.type", "is missing")
        )
    required, labels = _CHANNEL_LABELS.get(str(kind)), set(body.get("labels") or {})
    if required is not None and labels != required:
        raise invalid(
            f"Field notification_channel.labels of type {kind} must be {', '.join(sorted(required))}.",
            ("notification_channel.labels", "is invalid"),
        )
    _labels(body.get("userLabels") or {}, "notification_channel.user_labels")
    body.setdefault("enabled", True)


def _used(call: Call, channel: StoredResource) -> None:
    """Take it out of the policies that have it where `force` is said, as the document has it; else refuse."""
    users = [
        policy
        for policy in call.cloud.store.of("monitoring", _POLICIES)
        if channel.name in [call.cloud.by_id(name) for name in policy.body.get("notificationChannels", ())]
    ]
    if users and call.query.get("force") not in {True, "true"}:
        names = ", ".join(policy.name for policy in users)
        raise ApiError(400, f"Cannot delete {channel.name}: it is used by {names}.")
    for policy in users:
        kept = policy.body["notificationChannels"]
        policy.body["notificationChannels"] = [
            name for name in kept if call.cloud.by_id(name) != channel.name
        ]


def _dashboard(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if not body.get("displayName"):
        raise invalid("Field dashboard.display_name must be set.", ("dashboard.display_name", "is missing"))
    layouts = {"gridLayout", "mosaicLayout", "rowLayout", "columnLayout"} & set(body)
    if len(layouts) != 1:
        raise invalid(
            "Field dashboard.layout must be set, and to one layout.", ("dashboard.layout", "is invalid")
        )
    mosaic = body.get("mosaicLayout")
    if mosaic is not None:
        _mosaic(mosaic)


def _mosaic(mosaic: Mapping[str, Json]) -> None:
    columns = int(mosaic.get("columns") or 0)
    if not 1 <= columns <= _MOST_COLUMNS:
        raise invalid("Field dashboard.mosaic_layout.columns must be from 1 to 48.")
    occupied: set[tuple[int, int]] = set()
    for number, tile in enumerate(mosaic.get("tiles") or ()):
        field = f"dashboard.mosaic_layout.tiles[{number}]"
        x, y = int(tile.get("xPos", 0)), int(tile.get("yPos", 0))
        width, height = int(tile.get("width", 0)), int(tile.get("height", 0))
        if width < 1 or height < 1 or x + width > columns:
            raise invalid(f"Field {field} does not lie within the {columns} columns.")
        place = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        if "collapsibleGroup" in (tile.get("widget") or {}):
            continue  # It lies around the tiles of its group.
        if place & occupied:
            raise invalid(f"Field {field} overlaps another tile.")
        occupied |= place


def _labels(labels: Mapping[str, Json], field: str) -> None:
    for key, value in labels.items():
        if not _LABEL.fullmatch(key) or not re.fullmatch(r"[a-z0-9_-]{0,63}", str(value)):
            raise invalid(f"Field {field} has an invalid label {key}: {value}.", (field, "is invalid"))


_PERIODS_S = (60, 300, 600, 900)
_LONGEST_CHECK_S, _LEAST_LOCATIONS = 60, 3
_LOCATIONS = {"USA": 3}
"""How many checkers a region has; each other one has one."""
_WHERE = {"uptime_url": ("host",), "cloud_run_revision": ("location", "service_name")}
"""Labels without which nobody knows what to ask."""


def _uptime(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    field = "uptime_check_config"
    if not body.get("displayName"):
        raise invalid(f"Field {field}.display_name must be set.", (f"{field}.display_name", "is missing"))
    kinds = [kind for kind in ("httpCheck", "tcpCheck", "syntheticMonitor") if body.get(kind)]
    if len(kinds) != 1:
        raise invalid(f"Field {field}.check_request_type must be set, and to one type.")
    if not 1 <= seconds(body.get("timeout"), 0) <= _LONGEST_CHECK_S:
        raise invalid(
            f"Field {field}.timeout must be between 1 and 60 seconds.", (f"{field}.timeout", "is invalid")
        )
    if seconds(body.setdefault("period", "60s"), 0) not in _PERIODS_S:
        raise invalid(
            f"Field {field}.period must be 60s, 300s, 600s or 900s.", (f"{field}.period", "is invalid")
        )
    regions = body.get("selectedRegions") or ()
    if regions and sum(_LOCATIONS.get(str(region), 1) for region in set(regions)) < _LEAST_LOCATIONS:
        raise invalid(f"Field {field}.selected_regions must include at least 3 locations.")
    if "syntheticMonitor" not in kinds:
        _where(body, field)
    if before is not None and before.body.get("monitoredResource") != body.get("monitoredResource"):
        raise invalid(f"Field {field}.monitored_resource cannot be changed.")
    if "httpCheck" in kinds:
        _ensure_http(body["httpCheck"], f"{field}.http_check")
    _labels(body.get("userLabels") or {}, f"{field}.user_labels")
    body.setdefault("checkerType", "STATIC_IP_CHECKERS")


def _where(body: JsonObject, field: str) -> None:
    """Check what is asked: a monitored resource, or the members of a group."""
    resource, group = body.get("monitoredResource") or {}, body.get("resourceGroup") or {}
    if group and resource:
        raise invalid(f"Fields {field}.monitored_resource and {field}.resource_group must not both be set.")
    if group:
        if not group.get("groupId"):
            raise invalid(f"Field {field}.resource_group.group_id must be set.")
        return
    missing = [
        key
        for key in _WHERE.get(str(resource.get("type")), ())
        if not (resource.get("labels") or {}).get(key)
    ]
    if not resource.get("type") or missing:
        raise invalid(f"Field {field}.monitored_resource has no {', '.join(missing) or 'type'}.")


def _ensure_http(http: JsonObject, field: str) -> None:
    if http.setdefault("requestMethod", "GET") == "GET" and http.get("body"):
        raise invalid(f"Field {field}.body must not be set where request_method is GET.")
    if http.get("authInfo") and http.get("serviceAgentAuthentication"):
        raise invalid(
            f"Fields {field}.auth_info and {field}.service_agent_authentication must not both be set."
        )
    http.setdefault("path", "/")
    http.setdefault("port", 443 if http.get("useSsl") else 80)


KINDS: Mapping[str, Kind] = {
    _POLICIES: Kind(prepare=_policy),
    UPTIME_CHECKS: Kind(prepare=_uptime),
    _CHANNELS: Kind(prepare=_channel, remove=_used),
    "monitoring.projects.dashboards": Kind(prepare=_dashboard, whole=True),
}
HANDLERS: Mapping[str, Handler] = {}
