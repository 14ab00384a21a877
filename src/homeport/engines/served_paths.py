"""Which paths an engine answers, and which of them it may answer to anybody: each engine says it, `homeport verify` asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedPaths:
    """
    What one engine is known to answer to.

    Each path of each engine is asked of whatever serves, so that an engine that nobody expected behind an address is found, too.
    """

    asked: tuple[str, ...]
    """Asked with GET and with POST."""
    only_got: tuple[str, ...] = ()
    """Asked with GET alone, for a POST that is not refused would do what they say."""
    open: tuple[str, ...] = ()
    """Those of `asked` that may answer anybody, if all they say is that the server lives."""
