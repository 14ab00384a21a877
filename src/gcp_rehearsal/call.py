"""One request as it came, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came."""

    verb: str
    host: str
    path: str
    """Percent-encoded, as sent."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in lower case."""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. A `body` that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = None  # Any: JSON, or bytes
    headers: Mapping[str, str] = field(default_factory=dict)
