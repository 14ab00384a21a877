"""The gateway of `[guard]` on Cloud Run."""

from __future__ import annotations

from homeport.errors import Unsupported
from homeport.spec import Spec


def ensure_without_guard(spec: Spec) -> None:
    """Raise `Unsupported` for a file with `[guard]`: what it promises must not be missing unnoticed."""
    if spec.guard is not None:
        raise Unsupported(
            "[guard] screens on this machine; this version makes no gateway on Cloud Run",
            hint="take [guard] out of the file for Cloud Run, and read docs/guard.md for what Google offers there",
        )
