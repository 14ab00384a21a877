"""What a plan tells of Identity-Aware Proxy before the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.reconcile.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class IapFact(Fact):
    """Who comes in through Identity-Aware Proxy."""

    key: ClassVar[str] = "iap"
    label: ClassVar[str] = "comes in"
    members: tuple[str, ...]
    """Members that the file names."""
    agent: str
    """The proxy's own account, which calls the service."""
    address: str
    """What programs sign for; empty where it is the service's own, which only Google tells."""

    @property
    def text(self) -> str:
        return (
            f"{', '.join(self.members)}, through Identity-Aware Proxy: people by a browser (of the project's organisation, by Google's own OAuth client), "
            f"service accounts by a JWT that they sign for the address (aud = {self.address or 'ADDRESS'}/*); ID tokens are not taken"
        )
