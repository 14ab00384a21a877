"""What of a file does not go together with Identity-Aware Proxy before the service."""

from __future__ import annotations

from typing import Any


def iap_refusal(spec: Any) -> str:  # Any: the spec, whose module imports this one
    """Return why the file's service cannot stand behind Identity-Aware Proxy; '' where it can, or need not."""
    access, observe, edge = spec.access, spec.observe, spec.edge
    if not access.iap:
        return ""
    reasons = {
        "access.iap lets in whom it names, and access.public everybody; remove one of the two": access.public,
        "access.iap takes no ID token, by which access.callers come: Identity-Aware Proxy looks at each request first, and calls the service "
        "as itself. Name them in iap instead of callers": access.callers,
        "access.iap takes no ID token, whatever its audience: remove access.audience": access.audience,
        "access.iap is not built together with access.isolated = true; remove one of the two": access.isolated,
        "access.iap is not built together with an API gateway, which calls by an ID token, and Identity-Aware Proxy takes none; remove iap, or let "
        'the [edge] be of kind = "global" or "regional"': edge and edge.is_api_gateway,
        "access.iap is not built together with a guard.where other than \"gateway\": whether Google's road sees a request before Identity-Aware Proxy "
        'does no page says; set where = "gateway", or remove iap': spec.guard is not None and not spec.guard.in_gateway,
        "access.iap is not built together with [agent], which calls the model by an ID token, and is asked by one: Identity-Aware Proxy takes "
        "none; remove one of the two": spec.agent,
        "observe.uptime asks by an ID token of Google's, and Identity-Aware Proxy takes none; remove uptime, or access.iap": observe
        and observe.uptime,
        "observe.callers goes by the tokens that Cloud Run has looked at, which behind Identity-Aware Proxy are all its own; remove callers, "
        "or access.iap": observe and observe.callers,
    }  # fmt: skip
    return next((reason for reason, so in reasons.items() if so), "")
