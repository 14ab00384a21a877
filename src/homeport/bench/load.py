"""
Loads: requests sent in a closed loop (so many users, each waits for its answer) or in an open one (at their times).

In an open loop a request is timed from when it was due: a server that stalls delays also those who would have come
meanwhile, and a client that waits with them would not see it (coordinated omission). What the client itself costs is
measured beside: where it is the bottleneck, what was measured is the client.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from homeport.backoff import UNTIL_STOPPED, Backoff
from homeport.bench.connection import Connections
from homeport.bench.timed_request import RequestFailure, TimedRequest
from homeport.endpoint import Endpoint

LATE_S = 0.01
"""A request that is sent later than this after it was due is counted as late."""
LOOK_S = 0.05
"""How often the client looks at its own delay."""


class Bodies(Protocol):
    """Makes the bodies of requests."""

    def body(self, number: int, *, input: int, output: int) -> bytes:
        """Return the body of a request with a prompt of `input` tokens that asks for `output`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPatience:
    """How long anything may take."""

    stalled_s: float = 60.0
    """No piece for so long, and the request is given up."""
    request_s: float = 600.0
    """A request may take so long in all."""
    drain_s: float = 60.0
    """After the last request was sent, the rest may take so long; what is not done by then is cut off, and counted."""


@dataclass(slots=True, kw_only=True)
class LoadRun:
    """What one load came to."""

    begun: float = 0.0
    stopped: float = 0.0
    """When the last request was sent or, in a closed loop, when no more were."""
    ended: float = 0.0
    requests: list[TimedRequest] = field(default_factory=list)
    unfinished: int = 0
    """Requests that were cut off in the end, since the load had its time."""
    unsent: int = 0
    """Requests of an open loop that were due and never sent, since too many were open."""
    reconnected: int = 0
    cpu_s: float = 0.0
    """Processor time of this process meanwhile."""
    delays: list[float] = field(default_factory=list)
    """How late the client itself was, each time that it looked: seconds."""


class LoadSender:
    """Sends the requests of loads to one endpoint."""

    def __init__(
        self, endpoint: Endpoint, connections: Connections, bodies: Bodies, patience: LoadPatience
    ) -> None:
        self._endpoint, self._connections, self._bodies = endpoint, connections, bodies
        self._patience = patience
        self._active: set[TimedRequest] = set()
        self._number = 0

    async def closed(
        self, users: int, lengths: Iterator[tuple[int, int]], *, seconds: float, least: int = 1
    ) -> LoadRun:
        """
        Return the run of `users` who each send their next request when their last one is answered, for `seconds`.

        Each of them sends `least` requests at least, however long that takes.
        """
        async with self._run() as run:
            until = run.begun + seconds

            async def user() -> None:
                sent = 0
                while sent < least or time.monotonic() < until:
                    sent += 1
                    timed, body = self._next(0.0, next(lengths))
                    timed.due = time.monotonic()
                    await self._send(run, timed, body)
                    await timed.done.wait()
                    self._active.discard(timed)
                    if timed.failure is not None:  # A server that refuses at once is not asked in circles.
                        await asyncio.sleep(0.05)

            tasks = [asyncio.create_task(user()) for _ in range(users)]
            _, waiting = await asyncio.wait(tasks, timeout=seconds + self._patience.drain_s)
            run.stopped = min(until, time.monotonic())
            for task in waiting:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            _ensure_no_mistake(tasks)
        return run

    async def opened(
        self, due: Iterable[float], lengths: Iterator[tuple[int, int]], *, most: int = 4096
    ) -> LoadRun:
        """
        Return the run of requests that are sent at their times, whatever became of those before.

        At most `most` are open at once; what is due beyond that is not sent, and counted.
        """
        async with self._run() as run:
            tasks: set[asyncio.Task[None]] = set()
            for moment in due:
                timed, body = self._next(run.begun + moment, next(lengths))
                wait = timed.due - time.monotonic()
                if wait > 0 or len(tasks) % 64 == 0:
                    await asyncio.sleep(max(0.0, wait))
                if len(self._active) >= most:
                    run.unsent += 1
                    continue
                task = asyncio.create_task(self._whole(run, timed, body))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            run.stopped = time.monotonic()
            if tasks:
                all_tasks = [*tasks]
                _, waiting = await asyncio.wait(all_tasks, timeout=self._patience.drain_s)
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*all_tasks, return_exceptions=True)
                _ensure_no_mistake(all_tasks)
        return run

    async def once(self, input: int, output: int) -> TimedRequest:
        """Return one timed, alone."""
        async with self._run() as run:
            timed, body = self._next(0.0, (input, output))
            timed.due = time.monotonic()
            await self._whole(run, timed, body)
        return timed

    def _next(self, due: float, lengths: tuple[int, int]) -> tuple[TimedRequest, bytes]:
        """Return the next timed with its body, which is made before it is due."""
        self._number += 1
        timed = TimedRequest(due=due, input=lengths[0], output=lengths[1])
        return timed, self._bodies.body(self._number, input=lengths[0], output=lengths[1])

    async def _whole(self, run: LoadRun, timed: TimedRequest, body: bytes) -> None:
        await self._send(run, timed, body)
        await timed.done.wait()
        self._active.discard(timed)

    async def _send(self, run: LoadRun, timed: TimedRequest, body: bytes) -> None:
        run.requests.append(timed)
        keyed = self._endpoint.api_key is not None or self._endpoint.identity is not None
        token = await self._endpoint.token() if keyed else ""
        request = self._connections.destination.request(token, body)
        timed.sent = timed.last_piece = time.monotonic()
        self._active.add(timed)
        try:
            await self._connections.send(request, timed)
        except OSError as error:
            timed.fail(RequestFailure.CONNECT, str(error.strerror or error))
            timed.done.set()

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[LoadRun]:
        """Yield a run, with the client's own cost measured and its patience kept until it is left."""
        run = LoadRun(begun=time.monotonic())
        spent, reconnected = _cpu_s(), self._connections.reconnected
        watch = asyncio.create_task(self._watch(run))
        try:
            yield run
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            for timed in self._active:
                self._connections.cut(timed)
            # What failed while it was open is a failure; what was going well had no time left.
            cut = {id(timed) for timed in self._active if timed.failure is None and not timed.done.is_set()}
            run.unfinished = len(cut)
            run.requests = [timed for timed in run.requests if id(timed) not in cut]
            self._active.clear()
        run.ended = max((timed.last_piece for timed in run.requests), default=time.monotonic())
        run.cpu_s = _cpu_s() - spent
        run.reconnected = self._connections.reconnected - reconnected

    async def _watch(self, run: LoadRun) -> None:
        """Note how late this loop is, again and again, and give up what takes too long."""
        wait = Backoff(what="the load to end", within=UNTIL_STOPPED, first=LOOK_S)
        looks = 0
        while True:
            before = time.monotonic()
            await wait.pause()
            run.delays.append(max(0.0, time.monotonic() - before - LOOK_S))
            looks += 1
            if looks % 5 == 0:
                self._give_up(time.monotonic())

    def _give_up(self, now: float) -> None:
        for timed in [*self._active]:
            stalled = now - timed.last_piece > self._patience.stalled_s
            if stalled or now - timed.sent > self._patience.request_s:
                detail = f"after {len(timed.chunks)} chunks"
                timed.fail(RequestFailure.STALLED if stalled else RequestFailure.TIMEOUT, detail)
                self._connections.cut(timed)
                timed.done.set()


def _ensure_no_mistake(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Raise what ended a task that nobody cancelled: what a server does is noted in its timed."""
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
