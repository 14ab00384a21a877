"""Faults on demand: the n-th call of a method fails, is late, or loses its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from gcp_rehearsal.errors import FaultError

REQUESTS = "run.requests"
"""What requests to services count as, followed by region and service: `run.requests.us-central1.home`."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """
    What goes wrong, and when.

    Before the commit nothing has been done when it strikes; `after` it, all has been done, and only the answer
    is lost.
    """

    method: str = "*"
    """The method's id, or a pattern such as `run.*.create`; `run.requests.REGION.*` is every request to a service of a region."""
    nth: int = 1
    """At which of its calls, counted from one."""
    times: int = 1
    """At how many calls in a row."""
    status: int = 0
    """An HTTP status to answer with."""
    drop: bool = False
    """Whether the connection is dropped instead."""
    delay: float = 0.0
    """Seconds by which the answer is late."""
    jump: float = 0.0
    """Seconds by which the clock jumps."""
    twin: bool = False
    """Whether another caller's very same request is done just before, so that this one comes second."""
    after: bool = False
    """Whether it strikes after the commit."""
    seen: int = field(default=0, compare=False)

    def strikes(self, method: str) -> bool:
        """Return True if it strikes this call, which is counted."""
        if not fnmatchcase(method, self.method):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def parse(text: str) -> Fault:
    """
    Return the fault of a text such as `storage.buckets.insert:500:after` or
    `run.*.create:delay=30:nth=2:times=3`.

    Raises `FaultError` for anything else.
    """
    method, *parts = text.split(":")
    fault = Fault(method=method)
    try:
        for part in parts:
            _apply(fault, part)
    except ValueError:
        fault.status = -1
    if (
        not method
        or fault.status < 0
        or not (fault.status or fault.drop or fault.delay or fault.jump or fault.twin)
    ):
        raise FaultError(
            f"{text!r} is no fault",
            hint="METHOD:WHAT[:after][:nth=N][:times=N], WHAT being 429, 500, 503, drop, twin, delay=SECONDS or "
            "jump=SECONDS, such as 'storage.buckets.insert:500:after'",
        )
    return fault


def _apply(fault: Fault, part: str) -> None:
    key, _, value = part.partition("=")
    if key in {"after", "drop", "twin"} and not value:
        setattr(fault, key, True)
    elif key in {"nth", "times"}:
        setattr(fault, key, _positive(int(value)))
    elif key in {"delay", "jump"}:
        setattr(fault, key, float(_positive(float(value))))
    else:
        fault.status = int(part) if 400 <= int(part) < 600 else -1


def _positive(number: float) -> float:
    if number <= 0:
        raise ValueError(number)
    return number
