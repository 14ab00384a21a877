"""What the endpoints of this machine were used for, by the ledger that their engines' counters are kept in."""

from __future__ import annotations

import time

from homeport.errors import NotRunning
from homeport.home import Home
from homeport.usage.ledger import Ledger
from homeport.usage.report import By, UsageReport, grouped

_SHARED = (
    "who called is not known: all callers of an endpoint on this machine share its key. On Cloud Run they are told apart where "
    "[observe] has callers = true"
)


def usage(home: Home, *, by: By, days: int, name: str | None) -> UsageReport:
    """Return what is kept of the last `days`. Raises `NotRunning` for a name of which nothing is known."""
    rows = grouped(Ledger(home.root).rows(since=time.time() - days * 86_400, endpoint=name), by)
    if name is not None and not rows and not home.endpoint(name).exists():
        raise NotRunning(
            f"nothing is known of an endpoint called {name}",
            hint=f"`homeport usage` tells of all of the last {days} days",
        )
    return UsageReport(rows=tuple(rows), notes=(_SHARED,) if by == "caller" else ())
