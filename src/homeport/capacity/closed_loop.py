"""A closed loop, simulated: so many users, each waits for an answer before the next request, as `homeport bench` does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, median

from homeport.capacity.replica import BatchLimits, Replica
from homeport.capacity.request_table import RequestTable, request_table
from homeport.capacity.step_time import StepTime
from homeport.traffic import Arrival

_EACH = 4
"""Requests of each user: the first is left out, since it met an engine that not all users had come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFigures:
    """What users see, in seconds."""

    ttft_s: float
    """The median."""
    e2e_s: float
    """The mean: with so many users always there, users ÷ this is what the engine answers a second."""


def closed_loop(users: int, lengths: tuple[int, int], times: StepTime, limits: BatchLimits) -> LoopFigures:
    """Return what `users` see of one engine, with prompts and answers of these lengths; they do not begin at once."""
    table = request_table([Arrival(0.0, *lengths)] * (users * _EACH))
    loop = _ClosedLoop(table, Replica(table, times, limits), users)
    stay = times.prefill(lengths[0], lengths[0] ** 2 / 2, 0, 0) + lengths[1] * times.decode(1, lengths[0])[0]
    for user in range(users):
        loop.go_on(stay * user / users)
        loop.send(user, stay * user / users)
    loop.go_on(math.inf)
    counted = range(users, len(table))
    return LoopFigures(
        ttft_s=median(table.first[number] - table.arrived[number] for number in counted),
        e2e_s=fmean(table.ended[number] - table.arrived[number] for number in counted),
    )


class _ClosedLoop:
    def __init__(self, table: RequestTable, replica: Replica, users: int) -> None:
        self._table, self._replica, self._next = table, replica, users

    def send(self, number: int, now: float) -> None:
        self._table.arrived[number] = now
        self._replica.arrive(number, now)

    def go_on(self, until: float) -> None:
        """Let the engine work until then; who has an answer sends the next request."""
        replica = self._replica
        while (now := replica.wake) < until:
            for _ in replica.proceed():
                if self._next < len(self._table):
                    self.send(self._next, now)
                    self._next += 1
