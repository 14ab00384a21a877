"""What of a file does not go together with Identity-Aware Proxy before the service."""

from __future__ import annotations

from typing import Any


def iap_refusal(spec: Any) -> str:  # Any: the spec, whose module imports this one
    """Return why the file's service cannot stand behind Identity-Aware Proxy; '' where it can, or need not."""
    access, observe = spec.access, spec.observe
    if not access.iap:
        return ""
    reasons = {
        "access.iap lets in whom it names, and access.public everybody; remove one of the two": access.public,
        "access.iap takes no ID token, by which access.callers come: Identity-Aware Proxy looks at each request first, and calls the service "
        "as itself. Name them in iap instead of callers": access.callers,
        "access.iap takes no ID token, whatever its audience: remove access.audience": access.audience,
        "access.iap is not built together with access.isolated = true; remove one of the two": access.isolated,
        "access.iap is not built together with [edge]: no proof was tried through a load balancer to a service behind Identity-Aware "
        "Proxy, and an API gateway calls by an ID token, which that does not take; remove one of the two": spec.edge,
        "access.iap is not built together with [agent], which calls the model by an ID token, and Identity-Aware Proxy takes none; "
        "remove one of the two": spec.agent,
        "observe.uptime asks by an ID token of Google's, and Identity-Aware Proxy takes none; remove uptime, or access.iap": observe
        and observe.uptime,
        "observe.callers goes by the tokens that Cloud Run has looked at, which behind Identity-Aware Proxy are all its own; remove callers, "
        "or access.iap": observe and observe.callers,
    }  # fmt: skip
    return next((reason for reason, so in reasons.items() if so), "")
