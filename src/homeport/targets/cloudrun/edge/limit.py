"""The limit of the file as a security policy of Cloud Armor: so many requests of each key, and the rest."""

from __future__ import annotations

from homeport.json_types import JsonObject
from homeport.spec import Edge

_LAST_RULE = 2**31 - 1


def policy_body(edge: Edge) -> JsonObject:
    """Return what Cloud Armor is asked for, where the file sets a limit."""
    everybody = {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ["*"]}}
    limit = {
        "rateLimitThreshold": {"count": edge.requests_per_minute, "intervalSec": 60},
        "conformAction": "allow",
        "exceedAction": "deny(429)",
        "enforceOnKey": "HTTP_HEADER",
        "enforceOnKeyName": edge.key_header,
    }
    throttle = {
        "priority": 1000,
        "description": f"at most {edge.requests_per_minute} requests a minute of each {edge.key_header}",
        "match": everybody,
        "action": "throttle",
        "rateLimitOptions": limit,
        "preview": edge.preview,
    }
    last = {
        "priority": _LAST_RULE,
        "description": "the rest",
        "match": everybody,
        "action": "allow",
        "preview": False,
    }
    return {"type": "CLOUD_ARMOR", "rules": [throttle, last]}


__all__ = ["policy_body"]
