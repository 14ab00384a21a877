"""
Cloud Run with replicas of an engine: who gives requests to which, when instances start and when they go.

What Google documents is done as documented: concurrency as the limit of an instance, averages of one minute against a
target, evaluated every few seconds; a request waits up to 3.5 times the average start, at least 10 seconds, and is
then answered 429; an instance is billed from its start to its end. What Google does not say is decided here, and told
in docs/capacity.md.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from homeport.capacity.minute_average import MinuteAverage, instances_needed
from homeport.capacity.replica import BatchLimits, Replica
from homeport.capacity.request_table import RequestTable
from homeport.capacity.step_time import StepTime

TICK_S = 5.0
"""How often the number of instances is decided: an older text of Google's."""
PENDING_STARTS, PENDING_LEAST_S = 3.5, 10.0
DEFAULT_TARGET = 0.6
_READY, _TICK, _OVERDUE, _WAKE = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """A service of Cloud Run, as far as it scales."""

    concurrency: int
    """Requests that an instance is given at once."""
    least: int = 0
    most: int = 1
    target: float = DEFAULT_TARGET
    """The share of `concurrency` that instances have on average, or another is started."""
    start_s: float = 0.0
    """From a start to a server that answers."""
    idle_s: float = 600.0
    """How long an instance lives, and costs, after its last request."""
    billed_minimum_s: float = 60.0
    scales: bool = True
    """Whether averages are looked at; without, instances come only for requests that find no room."""

    def with_counts(self, least: int, most: int) -> ServiceSettings:
        """Return the settings with other counts of instances."""
        return replace(self, least=least, most=most)


@dataclass(slots=True)
class ServiceRun:
    """What came of it."""

    traffic: RequestTable
    until: float
    """When the last request was answered, or turned away."""
    lives: list[tuple[float, float]] = field(default_factory=list)
    """From when to when each instance was billed."""
    busy_s: float = 0.0
    """Seconds in which instances had at least one request."""
    starts: int = 0
    refused: int = 0
    """Answered 429, since nothing had room in time."""
    preemptions: int = 0
    peak: int = 0
    """The most instances at once."""
    counts: list[tuple[float, int]] = field(default_factory=list)
    """How many instances there were, from when on."""
    in_service_s: float = 0.0
    """Sum of the times that requests spent waiting or being answered."""

    def billed_s(self, since: float = 0.0, until: float = math.inf) -> float:
        """Return the seconds of instances that are billed between two moments."""
        return sum(max(0.0, min(end, until) - max(start, since)) for start, end in self.lives)


@dataclass(slots=True)
class _Instance:
    replica: Replica
    started: float
    version: int = 0
    idle_since: float = 0.0
    busy_since: float = 0.0


class ScaledService:
    """A service that serves `traffic` once: `run` may be called once."""

    def __init__(
        self, traffic: RequestTable, settings: ServiceSettings, times: StepTime, limits: BatchLimits
    ) -> None:
        self._traffic, self._settings, self._times, self._limits = traffic, settings, times, limits
        self._events: list[tuple[float, int, int, int]] = []
        """When, what, of which instance, which version of it."""
        self._all: list[_Instance] = []
        self._serving: list[int] = []
        """Numbers of the instances that are ready, the oldest first."""
        self._active: list[int] = []
        """How many requests each of them has."""
        self._starting = 0
        self._pending: deque[tuple[int, float]] = deque()
        """Number of a request, and until when it waits."""
        self._wanted = settings.least
        self._in_service = 0
        self._area, self._area_at = 0.0, 0.0
        self._average = MinuteAverage()
        self._run = ServiceRun(traffic=traffic, until=0.0)

    def run(self) -> ServiceRun:
        """Serve all requests. The least instances are ready at the start."""
        for _ in range(self._settings.least):
            self._start(0.0, ready=True)
        if self._settings.scales:
            heappush(self._events, (TICK_S, _TICK, 0, 0))
        self._serve()
        return self._ended()

    def _serve(self) -> None:
        arrived, events, count = self._traffic.arrived, self._events, len(self._traffic)
        number = 0
        upcoming = arrived[0] if count else math.inf
        while number < count or self._in_service:
            if not events or upcoming <= events[0][0]:
                self._arrive(number, upcoming)
                number += 1
                upcoming = arrived[number] if number < count else math.inf
                continue
            now, kind, of, version = heappop(events)
            if kind == _WAKE:
                instance = self._all[of]
                if instance.version == version:
                    wake = self._proceed(of, instance, now)
                    while wake < upcoming and (not events or wake < events[0][0]):
                        wake = self._proceed(of, instance, wake)  # It is next: no need to queue for it.
                    if wake < math.inf:
                        heappush(events, (wake, _WAKE, of, instance.version))
            elif kind == _TICK:
                self._tick(now)
                heappush(events, (now + TICK_S, _TICK, 0, 0))
            elif kind == _READY:
                self._came_up(of, now)
            else:
                self._turn_away(now)

    def _arrive(self, number: int, now: float) -> None:
        self._area += self._in_service * (now - self._area_at)
        self._area_at = now
        self._in_service += 1
        if not self._pending:
            place = self._place()
            if place >= 0:
                self._hand(number, place, now)
                return
        patience = max(PENDING_STARTS * self._settings.start_s, PENDING_LEAST_S)
        self._pending.append((number, now + patience))
        heappush(self._events, (now + patience, _OVERDUE, 0, 0))
        living = len(self._serving) + self._starting
        if self._starting * self._settings.concurrency < len(self._pending) and living < self._settings.most:
            self._start(now)

    def _place(self) -> int:
        """Return where among those that serve a request goes: -1 where none has room."""
        active, desired = self._active, self._wanted
        if not active:
            return -1
        first = active if len(active) <= desired or not desired else active[:desired]
        least = min(first)
        if least < self._settings.concurrency:
            return first.index(least)
        if len(first) < len(active):
            least = min(active)
            if least < self._settings.concurrency:
                return active.index(least)
        return -1

    def _hand(self, number: int, place: int, now: float) -> None:
        active = self._active
        of = self._serving[place]
        instance = self._all[of]
        if not active[place]:
            instance.busy_since = now
        active[place] += 1
        replica = instance.replica
        before = replica.wake
        replica.arrive(number, now)
        if replica.wake != before:
            instance.version += 1
            heappush(self._events, (replica.wake, _WAKE, of, instance.version))

    def _proceed(self, of: int, instance: _Instance, now: float) -> float:
        """Let an instance go on to `now`, which is its wake, and return the next."""
        done = instance.replica.proceed()
        instance.version += 1
        if done:
            self._area += self._in_service * (now - self._area_at)
            self._area_at = now
            self._in_service -= len(done)
            serving = self._serving
            place = of if of < len(serving) and serving[of] == of else serving.index(of)
            self._active[place] -= len(done)
            if not self._active[place]:
                self._run.busy_s += now - instance.busy_since
                instance.idle_since = now
            if self._pending:
                version = instance.version
                self._hand_out(now)
                if instance.version != version:
                    return math.inf  # It was given another request, and is queued for.
        return instance.replica.wake

    def _hand_out(self, now: float) -> None:
        while self._pending:
            place = self._place()
            if place < 0:
                return
            number, _ = self._pending.popleft()
            self._hand(number, place, now)

    def _turn_away(self, now: float) -> None:
        while self._pending and self._pending[0][1] <= now:
            self._pending.popleft()
            self._area += self._in_service * (now - self._area_at)
            self._area_at = now
            self._in_service -= 1
            self._run.refused += 1

    def _tick(self, now: float) -> None:
        """Decide how many instances are wanted; start those that lack, and end those that were idle for long."""
        settings = self._settings
        self._area += self._in_service * (now - self._area_at)
        self._area_at = now
        average = self._average.of(now, self._area)
        by_target = instances_needed(average, settings.concurrency * settings.target)
        self._wanted = min(settings.most, max(settings.least, by_target))
        while len(self._serving) + self._starting < self._wanted:
            self._start(now)
        place = len(self._serving) - 1
        while place >= 0 and len(self._serving) + self._starting > self._wanted:
            instance = self._all[self._serving[place]]
            if not self._active[place] and now - instance.idle_since >= settings.idle_s:
                self._end(place, instance.idle_since + settings.idle_s)
            place -= 1

    def _start(self, now: float, *, ready: bool = False) -> None:
        self._run.starts += 1
        of = len(self._all)
        replica = Replica(self._traffic, self._times, self._limits)
        self._all.append(_Instance(replica, started=now))
        self._starting += 1
        self._count(now)
        if ready:
            self._came_up(of, now)
        else:
            heappush(self._events, (now + self._settings.start_s, _READY, of, 0))

    def _came_up(self, of: int, now: float) -> None:
        self._starting -= 1
        self._all[of].idle_since = now
        self._serving.append(of)
        self._active.append(0)
        self._hand_out(now)

    def _end(self, place: int, now: float) -> None:
        instance = self._all[self._serving.pop(place)]
        self._active.pop(place)
        self._run.preemptions += instance.replica.preemptions
        self._live(instance.started, now)
        self._count(now)

    def _count(self, now: float) -> None:
        count = len(self._serving) + self._starting
        self._run.peak = max(self._run.peak, count)
        self._run.counts.append((now, count))

    def _live(self, start: float, end: float) -> None:
        self._run.lives.append((start, max(end, start + self._settings.billed_minimum_s)))

    def _ended(self) -> ServiceRun:
        run, settings = self._run, self._settings
        run.in_service_s = self._area
        run.until = max(self._area_at, self._traffic.seconds)
        while self._serving:
            instance = self._all[self._serving[-1]]
            stays = len(self._serving) <= settings.least
            self._end(len(self._serving) - 1, run.until if stays else instance.idle_since + settings.idle_s)
        for at, kind, of, _ in self._events:
            if kind == _READY:  # It came up after the last request was answered.
                self._live(self._all[of].started, at + settings.idle_s)
        return run
