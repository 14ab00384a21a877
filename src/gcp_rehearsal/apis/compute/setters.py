"""Actions of Compute Engine that set one field of a thing, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from gcp_rehearsal import fingerprints, generic
from gcp_rehearsal.apis.compute import certificates
from gcp_rehearsal.apis.compute.references import changed, resolve
from gcp_rehearsal.context import Call, Handler
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.json_types import Json

_LABELLED = ("addresses", "forwardingRules", "globalAddresses", "globalForwardingRules", "regionSecurityPolicies",
             "securityPolicies")  # fmt: skip
_OPTIONAL = frozenset(("certificateMap", "edgeSecurityPolicy", "securityPolicy", "sslPolicy"))
"""Fields that go when nothing is sent for them."""
_FIELDS: Mapping[str, tuple[str, str]] = {
    **{f"{proxies}.setUrlMap": ("urlMap", "urlMap") for proxies in (
        "targetHttpProxies", "targetHttpsProxies", "regionTargetHttpProxies", "regionTargetHttpsProxies")},
    "targetHttpsProxies.setSslPolicy": ("sslPolicy", "sslPolicy"),
    "backendServices.setSecurityPolicy": ("securityPolicy", "securityPolicy"),
    "backendServices.setEdgeSecurityPolicy": ("securityPolicy", "edgeSecurityPolicy"),
    "regionBackendServices.setSecurityPolicy": ("securityPolicy", "securityPolicy"),
    "forwardingRules.setTarget": ("target", "target"),
    "globalForwardingRules.setTarget": ("target", "target"),
}  # fmt: skip
"""What is sent, and the field of the thing that it becomes."""


def set_labels(call: Call) -> Json:
    """Replace a thing's labels, where nobody has done so since."""
    resource = generic.existing(call)
    if call.body.get("labelFingerprint") != fingerprints.of_labels(resource.body.get("labels")):
        raise ApiError(
            412, "Labels fingerprint either invalid or resource labels have changed", reason="conditionNotMet"
        )
    return changed(call, resource, {"labels": call.body.get("labels") or None})


def _set(sent: str, field: str) -> Handler:
    def act(call: Call) -> Json:
        resource = generic.existing(call)
        body = {sent: call.body.get(sent) or None}
        if body[sent] is None and field not in _OPTIONAL:
            raise ApiError(400, f"Required field '{sent}' not specified", reason="required")
        resolve(call, body, (sent,))
        return changed(call, resource, {field: body[sent]})

    return act


def _set_certificates(call: Call) -> Json:
    """Set certificates, or the map of them, of a proxy; the other one stays as it is."""
    resource = generic.existing(call)
    body = {key: resource.body.get(key) for key in ("certificateMap", "sslCertificates")}
    field = "certificateMap" if call.method.action == "setCertificateMap" else "sslCertificates"
    body[field] = call.body.get(field)
    certificates.of_proxy(call, body)
    return changed(call, resource, {key: body.get(key) for key in ("certificateMap", "sslCertificates")})


def _set_quic(call: Call) -> Json:
    return changed(call, generic.existing(call), {"quicOverride": call.body.get("quicOverride") or "NONE"})


HANDLERS: Mapping[str, Handler] = {
    **{f"compute.{last}.setLabels": set_labels for last in _LABELLED},
    **{f"compute.{method}": _set(sent, field) for method, (sent, field) in _FIELDS.items()},
    "compute.targetHttpsProxies.setCertificateMap": _set_certificates,
    "compute.targetHttpsProxies.setQuicOverride": _set_quic,
    "compute.targetHttpsProxies.setSslCertificates": _set_certificates,
    "compute.regionTargetHttpsProxies.setSslCertificates": _set_certificates,
}
