"""What is looked at and who is told: the dashboard, the alert policies and their channels, of the same queries as the files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from homeport.google import Google
from homeport.json_types import JsonObject
from homeport.observe.chart import REGION, Alert, Panel
from homeport.observe.panels import Watched
from homeport.observe.uptime import EVERY_S, PLACES, TIMEOUT_S
from homeport.reconcile import Ref
from homeport.resources.google.monitoring import (
    CHANNEL,
    DASHBOARD,
    POLICY,
    UPTIME,
    MonitoringPart,
    monitoring_part,
)

_COLUMNS, _WIDTH, _HEIGHT = 48, 24, 16
_UNITS = {"s": "s", "percentunit": "10^2.%", "reqps": "1/s", "ops": "1/s"}
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_EVERY = "60s"
"""How often a policy is looked at: a multiple of 30 s."""
_CLOSED_AFTER = "1800s"
"""Without data, such as at zero instances, an incident ends by itself: half an hour is the least that there is."""
_SEVERITIES = {"critical": "CRITICAL", "warning": "WARNING"}


def observe_parts(
    google: Google, watched: Watched, told: tuple[str, ...], after: str
) -> list[MonitoringPart]:
    """Return the dashboard, a policy for each alert, and a channel for each address; all go before what `after` names."""
    channels = [_channel(google, watched.name, address) for address in told]
    policies = [_policy(google, watched, alert, channels) for alert in watched.alerts()]
    dashboard = monitoring_part(google, watched.name, DASHBOARD, "dashboard", _dashboard(watched))
    return [replace(part, after=(after,)) for part in (dashboard, *channels, *policies)]


def uptime_check(
    google: Google, name: str, region: str, path: str, *, public: bool, after: str
) -> MonitoringPart:
    """Return what asks a service from outside; one that is not public is asked with a token of Cloud Monitoring's own account."""
    http: dict[str, Any] = {  # Any: JSON
        "requestMethod": "GET",
        "path": path,
        "port": 443,
        "useSsl": True,
        "acceptedResponseStatusCodes": [{"statusClass": "STATUS_CLASS_2XX"}],
    }
    if not public:
        http["serviceAgentAuthentication"] = {"type": "OIDC_TOKEN"}
    body = {
        "displayName": f"homeport {name}: does it answer",
        # Of a revision, such as the one that serves now, nothing is said: it is the service that is asked.
        "monitoredResource": {
            "type": "cloud_run_revision",
            "labels": {"project_id": google.project, "location": region, "service_name": name},
        },
        "httpCheck": http,
        "disabled": False,
        "period": f"{EVERY_S}s",
        "timeout": f"{TIMEOUT_S}s",
        "selectedRegions": list(PLACES),
    }
    return replace(monitoring_part(google, name, UPTIME, "uptime", body), after=(after,))


def _channel(google: Google, name: str, address: str) -> MonitoringPart:
    email = address.removeprefix("mailto:")
    # A label takes no @; the address itself stands in the channel.
    word = f"mail-{hashlib.sha256(email.encode()).hexdigest()[:8]}"
    body = {
        "type": "email",
        "displayName": f"homeport {name}: {email}",
        "labels": {"email_address": email},
        "enabled": True,
    }
    return monitoring_part(google, name, CHANNEL, word, body)


def _policy(google: Google, watched: Watched, alert: Alert, channels: list[MonitoringPart]) -> MonitoringPart:
    condition = {
        "query": alert.query,
        "duration": f"{_seconds(alert.lasts)}s",
        "evaluationInterval": _EVERY,
        "alertRule": alert.name,
        "ruleGroup": f"homeport-{watched.name}-alerts",
        # A new service has written nothing yet, and Google would not take the policy.
        "disableMetricValidation": True,
    }
    body: dict[str, Any] = {  # Any: JSON, and Refs
        "displayName": f"homeport {watched.name}: {alert.name}",
        "combiner": "OR",
        "enabled": True,
        "severity": _SEVERITIES[alert.severity],
        "conditions": [{"displayName": alert.summary, "conditionPrometheusQueryLanguage": condition}],
        "alertStrategy": {"autoClose": _CLOSED_AFTER},
        "documentation": {
            "content": f"{alert.summary}.\n\nDo: {alert.todo}.",
            "mimeType": "text/markdown",
        },
        "notificationChannels": [Ref(channel.id, "name") for channel in channels],
    }
    return monitoring_part(google, watched.name, POLICY, _word(alert.name), body)


def _dashboard(watched: Watched) -> JsonObject:
    tiles = list(_tiles(watched.panels(), f" ${{{REGION}}}" if watched.apart else ""))
    return {"displayName": f"homeport: {watched.name}", "mosaicLayout": {"columns": _COLUMNS, "tiles": tiles}}


def _tiles(panels: tuple[Panel, ...], where_from: str) -> Iterator[JsonObject]:
    for place, panel in enumerate(panels):
        row, column = divmod(place, _COLUMNS // _WIDTH)
        # What is 0 is left out, as Google leaves it out of what it reads back.
        where = {key: value for key, value in (("xPos", column * _WIDTH), ("yPos", row * _HEIGHT)) if value}
        yield {
            **where,
            "width": _WIDTH,
            "height": _HEIGHT,
            "widget": {"title": panel.title, "xyChart": {"dataSets": list(_lines(panel, where_from))}},
        }


def _lines(panel: Panel, where_from: str) -> Iterator[JsonObject]:
    unit = {"unitOverride": _UNITS[panel.unit]} if panel.unit in _UNITS else {}
    for curve in panel.curves:
        yield {
            "plotType": "LINE",
            "legendTemplate": f"{curve.name}{where_from}",
            "targetAxis": "Y1",
            "timeSeriesQuery": {"prometheusQuery": curve.query, **unit},
        }


def _seconds(lasts: str) -> int:
    """Return the seconds of a duration as Prometheus writes it."""
    number, unit = int(lasts[:-1]), lasts[-1]
    return number * _SECONDS[unit]


def _word(name: str) -> str:
    """Return an alert's name as a label takes it: `HomeportKvCacheFull` is `kv-cache-full`."""
    return "-".join(re.findall(r"[A-Z][a-z0-9]*", name.removeprefix("Homeport"))).lower()


__all__ = ["observe_parts"]
