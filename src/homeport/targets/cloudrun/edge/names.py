"""What the parts of an endpoint's load balancer are called, and where the file's certificate is read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from homeport.errors import SpecError
from homeport.own_path import expanded
from homeport.targets.cloudrun.names import fitted

_NAME_MOST = 63
_BLOCK = re.compile(
    r"(?P<block>-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?:(?!-----).)*-----END (?P=label)-----)", re.DOTALL
)
"""A block of PEM. None reaches over another's edge: what is cut off takes nothing of the next along."""


def read_pem(reference: str, key: str, base: Path) -> str:
    """
    Return what the key `edge.certificate` or `edge.private_key` wants of the PEM that `file:PATH` or `env:NAME` refers to.

    Certificates and their key are often in one file: a key must never be where the certificate is, which is public. Raises `SpecError` where there is none.
    """
    where, _, name = reference.partition(":")
    path = expanded(name, base)
    try:
        text = os.environ.get(name, "") if where == "env" else path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SpecError(
            f"{key} refers to the file {path}, which cannot be read: {error}", hint="write it there as PEM"
        ) from error
    of_key = key == "edge.private_key"
    label = "PRIVATE KEY" if of_key else "CERTIFICATE"
    blocks = [
        found["block"]
        for found in _BLOCK.finditer(text)
        if found["label"] == label or (of_key and found["label"].endswith(f" {label}"))
    ]
    if not blocks or len(blocks) < text.count(f"-----BEGIN {label}-----"):
        raise SpecError(
            f"{key} refers to {reference}, which holds no whole {label} as PEM",
            hint=f"it goes from a line -----BEGIN {label}----- to one with END",
        )
    if of_key and len(blocks) > 1:
        raise SpecError(
            f"{key} refers to {reference}, which holds {len(blocks)} private keys",
            hint="leave the one that belongs to the certificate",
        )
    return "".join(f"{block}\n" for block in blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeNames:
    """What the parts of an endpoint's load balancer are called."""

    name: str

    @property
    def main(self) -> str:
        """Return the name of most parts."""
        return f"{self.name}-edge"

    @property
    def candidate(self) -> str:
        """Return the name of what leads to a revision that has no traffic yet."""
        return f"{self.name}-edge-candidate"

    def candidate_in(self, region: str) -> str:
        """Return the name of what leads to such a revision in a further region; '' for the first."""
        return fitted(f"{self.candidate}-{region}", _NAME_MOST) if region else self.candidate

    def only_in(self, region: str) -> str:
        """Return the name of what leads to what serves in that region alone, where there are several."""
        return fitted(f"{self.name}-edge-in-{region}", _NAME_MOST)

    def of(self, content: str) -> str:
        """Return the name of what cannot be changed, only replaced by another of its kind: a checksum of `content` is in it."""
        return f"{self.main}-{sha256(content.encode()).hexdigest()[:8]}"

    def to(self, endpoint: str) -> str:
        """Return the name of what leads to another endpoint."""
        return fitted(f"{self.name}-edge-to-{endpoint}", _NAME_MOST)

    @property
    def redirect(self) -> str:
        """Return the name of what sends clients of port 80 to HTTPS."""
        return f"{self.name}-edge-redirect"


__all__ = ["EdgeNames", "read_pem"]
