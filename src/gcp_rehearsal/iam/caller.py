"""Who sends requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request."""

    email: str

    @property
    def member(self) -> str:
        """Return the caller as a policy names them."""
        if self.email.startswith(("principal:", "principalSet:")):
            return self.email
        return f"{'serviceAccount' if self.email.endswith('gserviceaccount.com') else 'user'}:{self.email}"

    @property
    def sets(self) -> tuple[str, ...]:
        """Return the sets of principals that somebody of a workload identity pool belongs to."""
        pool = self.member.removeprefix("principal:").partition("/subject/")[0]
        return (f"principalSet:{pool}/*",) if self.member.startswith("principal:") else ()
