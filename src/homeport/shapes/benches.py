"""The shape of a list of benches."""

from __future__ import annotations

from homeport.shapes.base import JsonShape


class BenchRowShape(JsonShape):
    """One bench that is kept."""

    file: str
    started_at: str | None
    endpoint: str | None
    on: str | None
    rehearsed: bool | None
    """Whether this machine stood in for the target; null where the file does not tell."""
    model: str | None
    users: int | None
    output_tokens_per_second: float | None
    valid: bool
    why: str
