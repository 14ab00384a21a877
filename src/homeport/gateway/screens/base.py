"""What a screen offers to the gateway."""

from __future__ import annotations

from typing import Protocol

from homeport.gateway.verdict import Side

FILTERS = ("injection", "harm", "secrets", "urls")
"""Kinds of things that are looked for: `[guard] filters`."""


class Screen(Protocol):
    """Judges one text at a time."""

    async def judge(self, text: str, side: Side) -> tuple[str, ...]:
        """Return the filters that found something; () where all ran and none did. Raises `Refused` for anything else."""

    async def aclose(self) -> None:
        """Let the connections go."""
