"""What a bench on Cloud Run costs, before it is run."""

from __future__ import annotations

from homeport.catalog import cloudrun
from homeport.listing import ListedEndpoint

BESIDE_S = 60.0
"""Seconds for counting tokens, warming up, and the answers that are under way when the time is up."""


def price(endpoint: ListedEndpoint | None, seconds: float) -> str:
    """Return the price of a bench of so many seconds, in words: from one instance to as many as may start."""
    if endpoint is None or endpoint.usd_per_hour is None:
        return f"a bench of {seconds:g} s on a paid endpoint; what an instance costs an hour is not known"
    idle = cloudrun.limits().idle_s
    billed = seconds + BESIDE_S + idle
    cost = billed / 3600 * endpoint.usd_per_hour
    most = endpoint.max_instances or 1
    up_to = f", up to ${most * cost:.2f} if its load starts all {most}" if most > 1 else ""
    return (
        f"a bench of {seconds:g} s on {endpoint.name}: about ${cost:.2f} for one instance at"
        f" ${endpoint.usd_per_hour:.4f} an hour{up_to}: {billed / 60:.0f} minutes, of which {idle / 60:.0f} are"
        " the idle time after it; a start from zero comes on top"
    )
