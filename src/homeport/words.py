"""Numbers with what they count, in words."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return `1 user`, `2 users` or `1,000 users`: a noun whose plural has an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
