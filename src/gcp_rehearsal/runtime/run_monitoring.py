"""
What the sidecar of Managed Prometheus is told, its RunMonitoring file, in the words of a Prometheus.

The file is read as strictly as the sidecar reads it: an unknown key is refused. By its source, GoogleCloudPlatform/run-gmp-sidecar,
version 1.8.0 of 2026-03-10. Of YAML only what is JSON, too, is understood here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json, JsonObject

IMAGE = "cloud-run-gmp-sidecar"
"""The last part of the sidecar's name, in whichever registry it lies."""
PATH = "/etc/rungmp/config.yaml"
DEFAULTS: JsonObject = {"port": "8080", "path": "/metrics", "interval": "30s"}
"""What it asks where it finds no file."""
_PROTECTED = frozenset(
    ("project_id", "location", "cluster", "namespace", "job", "instance", "instanceId", "__address__")
)
"""Labels that no rule may write."""
_METADATA = {
    "instance": "instanceId",
    "revision": "revision_name",
    "service": "service_name",
    "configuration": "configuration_name",
}
"""What of an instance may become a label of each series, and what that is called."""
_RULE = {
    "sourceLabels": "source_labels",
    "separator": "separator",
    "targetLabel": "target_label",
    "regex": "regex",
    "modulus": "modulus",
    "replacement": "replacement",
    "action": "action",
}
_ENDPOINT = frozenset(
    ("port", "scheme", "path", "params", "proxyUrl", "interval", "timeout", "metricRelabeling")
)
_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class NotUnderstood(Exception):
    """The sidecar ends on this file, with these words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarEndpoint:
    """One address that the sidecar asks within its instance."""

    port: int
    path: str
    interval_s: float
    timeout_s: float
    rules: tuple[JsonObject, ...]
    """As a Prometheus has them in `metric_relabel_configs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMonitoring:
    """The whole file."""

    name: str
    endpoints: tuple[SidecarEndpoint, ...]
    metadata: tuple[str, ...]
    most_samples: int

    def labels(self, known: Mapping[str, str]) -> dict[str, str]:
        """Return the labels that every series carries beside those of its resource; `known` is what the instance is."""
        return {_METADATA[label]: known[label] for label in self.metadata}


def read(content: bytes) -> RunMonitoring:
    """Return what the file says. Raises `NotUnderstood`."""
    try:
        document = read_json(content)
    except ValueError as error:
        raise NotUnderstood(f"this is not JSON, and the rehearsal reads no other YAML: {error}") from error
    _keys(document, ("apiVersion", "kind", "metadata", "spec"), "the file")
    if (
        document.get("apiVersion") != "monitoring.googleapis.com/v1beta"
        or document.get("kind") != "RunMonitoring"
    ):
        raise NotUnderstood("its apiVersion and kind are not those of a RunMonitoring")
    spec = document.get("spec") or {}
    _keys(spec, ("endpoints", "targetLabels", "limits"), "spec")
    metadata = (spec.get("targetLabels") or {}).get("metadata") or sorted(_METADATA)
    for label in metadata:
        if label not in _METADATA:
            raise NotUnderstood(f"spec.targetLabels.metadata has no {label}")
    return RunMonitoring(
        name=str((document.get("metadata") or {}).get("name") or "run-gmp-sidecar"),
        endpoints=tuple(_endpoint(endpoint) for endpoint in spec.get("endpoints") or (DEFAULTS,)),
        metadata=tuple(metadata),
        most_samples=int((spec.get("limits") or {}).get("samples") or 0),
    )


def _endpoint(endpoint: Json) -> SidecarEndpoint:
    _keys(endpoint, _ENDPOINT, "an endpoint")
    interval = _seconds(endpoint.get("interval", DEFAULTS["interval"]))
    timeout = _seconds(endpoint["timeout"]) if "timeout" in endpoint else min(interval, 10.0)
    if timeout > interval:
        raise NotUnderstood("the timeout of an endpoint is longer than its interval")
    try:
        port = int(endpoint["port"])
    except (KeyError, ValueError) as error:
        raise NotUnderstood("an endpoint has no port") from error
    return SidecarEndpoint(
        port=port,
        path=str(endpoint.get("path", DEFAULTS["path"])),
        interval_s=interval,
        timeout_s=timeout,
        rules=tuple(_rule(rule) for rule in endpoint.get("metricRelabeling") or ()),
    )


def _rule(rule: Json) -> JsonObject:
    _keys(rule, _RULE, "a rule")
    if rule.get("targetLabel") in _PROTECTED:
        raise NotUnderstood(f"a rule writes the label {rule['targetLabel']}, which is protected")
    return {_RULE[key]: value for key, value in rule.items()}


def _keys(section: Json, known: Collection[str], where: str) -> None:
    if not isinstance(section, Mapping):
        raise NotUnderstood(f"{where} is no object")
    for key in section:
        if key not in known:
            raise NotUnderstood(f"{where} has an unknown key: {key}")


def _seconds(text: Json) -> float:
    matched = _DURATION.fullmatch(str(text))
    if matched is None:
        raise NotUnderstood(f"{text!r} is no duration")
    return float(matched[1]) * _SECONDS[matched[2]]


__all__ = ["IMAGE", "PATH", "NotUnderstood", "RunMonitoring", "SidecarEndpoint", "read"]
