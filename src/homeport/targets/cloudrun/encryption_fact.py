"""What a plan tells of keys of one's own: which encrypts what lies in each region, and who must be let use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from homeport.reconcile.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionFact(Fact):
    """The keys of Cloud KMS, one in each region, which encrypt weights, images and the service there."""

    key: ClassVar[str] = "encryption_key"
    label: ClassVar[str] = "encryption key"
    keys: Mapping[str, str]
    """By region."""

    @classmethod
    def of(cls, keys: Mapping[str, str | None]) -> tuple[EncryptionFact, ...]:
        """Return it, for what each region has; nothing without any key of one's own."""
        own = {region: key for region, key in keys.items() if key}
        return (cls(keys=own),) if own else ()

    @property
    def text(self) -> str:
        return "; ".join(text for _, text in self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for each region, and one for what must be granted before."""
        granted = (
            "Google's own accounts for repositories, buckets and services must be let use "
            f"{'each' if len(self.keys) > 1 else 'it'} before: nothing is granted on a key here"
        )
        return tuple(
            (self.label, text)
            for text in (*(f"{region}: {key}" for region, key in self.keys.items()), granted)
        )


__all__ = ["EncryptionFact"]
