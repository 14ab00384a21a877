"""Which files of other tools a file with `access.iap` is exported to."""

from __future__ import annotations

from homeport.errors import Unsupported

_KIND = "gcloud"
"""The one whose files the real tool was seen to carry out."""


def ensure_exported(kind: str, *, behind_edge: bool) -> None:
    """Raise `Unsupported` where files of a kind do not make Identity-Aware Proxy before a service."""
    if kind != _KIND:
        raise Unsupported(
            f"access.iap is not exported as {kind}: such files for Identity-Aware Proxy before a service were not tried",
            hint=f"it is exported as {_KIND}; `homeport up --on cloudrun` makes it, too",
        )
    if behind_edge:
        raise Unsupported(
            f"access.iap together with an [edge] is not exported as {kind}: before it closes the service's own address the script asks the load "
            "balancer by an ID token, and Identity-Aware Proxy takes none",
            hint="`homeport up --on cloudrun` makes both; a file with one of the two is exported",
        )


__all__ = ["ensure_exported"]
