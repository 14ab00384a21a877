"""Whether Identity-Aware Proxy stands before a service by now: turning it on or off takes a while, as far as is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_HISTORY = "iap"


def note_change(cloud: Cloud, service: StoredResource, before: bool) -> None:
    """Remember that the proxy of a service, which was as `before`, is to be as its body says from a while on."""
    enabled = bool(service.body.get("iapEnabled"))
    known = service.hidden.setdefault(_HISTORY, [(float("-inf"), before)])
    if known[-1][1] is not enabled:
        known.append((cloud.clock.now() + cloud.delays.iap, enabled))


def stands_before(cloud: Cloud, service: StoredResource) -> bool:
    """Return True while the proxy answers for a service."""
    now = cloud.clock.now()
    begun = [enabled for since, enabled in service.hidden.get(_HISTORY, ()) if since <= now]
    return begun[-1] if begun else bool(service.body.get("iapEnabled"))
