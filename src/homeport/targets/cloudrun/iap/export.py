"""Which files of other tools a file with `access.iap` is exported to."""

from __future__ import annotations

from homeport.errors import Unsupported

_KINDS = ("gcloud", "terraform")
"""Those whose files the real tool was seen to carry out, or to plan as `up` does."""


def ensure_exported(kind: str) -> None:
    """Raise `Unsupported` where files of a kind do not make Identity-Aware Proxy before a service."""
    if kind not in _KINDS:
        raise Unsupported(
            f"access.iap is not exported as {kind}: such files for Identity-Aware Proxy before a service were not tried",
            hint=f"it is exported as {' and '.join(_KINDS)}; `homeport up --on cloudrun` makes it, too",
        )


__all__ = ["ensure_exported"]
