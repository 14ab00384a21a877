"""A revision's instances, and the requests that wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gcp_rehearsal.runtime.instance import Instance

_SHORTEST_S, _STARTUPS = 10.0, 3.5
"""A request waits so long at least, or so many times as long as an instance takes to start."""


class NoInstance(Exception):
    """No instance was free in time: 429."""


class NotStarted(Exception):
    """An instance was started for the request, and did not come up: 503."""


class Pool:
    """Gives requests to instances, and starts more of them. All of it happens on one event loop."""

    def __init__(
        self, start: Callable[[], Instance], came_up: Callable[[], None], *, concurrency: int, most: int
    ) -> None:
        self._start, self._tell, self._concurrency, self._most = start, came_up, concurrency, most
        self.instances: list[Instance] = []
        self.idle_since: float | None = None
        """On the cloud's clock; None while something is answered."""
        self.startup_s = 0.0
        self.least = 0
        """So many instances stay, however long they are idle."""
        self.idle_s = 900.0
        """Seconds of the cloud's clock after which idle instances go."""
        self._waiting: deque[asyncio.Future[Instance]] = deque()

    async def acquire(self) -> Instance:
        """
        Wait for an instance with room for one more request, first come, first served.

        Raises `NoInstance` or `NotStarted`.
        """
        waiting: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._hand_out()
        if self._waiting and self._room() < len(self._waiting) and len(self.instances) < self._most:
            self._more()
        patience = max(_STARTUPS * self.startup_s, _SHORTEST_S)
        try:
            # While the first one starts nobody is turned away: its probe says how long that may take.
            while (
                not waiting.done()
                and not any(instance.ready for instance in self._living())
                and self.instances
            ):
                await asyncio.wait([waiting], timeout=patience)
            return await asyncio.wait_for(waiting, patience)
        except TimeoutError as error:
            raise NoInstance from error
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and not waiting.exception():
                self.release(waiting.result())  # It came just when nobody wanted it any more.
            raise
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def release(self, instance: Instance) -> None:
        """Free the room of a request that has been answered, or given up."""
        instance.active -= 1
        self._hand_out()

    def add(self) -> None:
        """Start one more instance, whether or not a request waits. Raises `RuntimeError` where no event loop runs."""
        asyncio.get_running_loop()
        self._more()

    def adopt(self, instance: Instance) -> None:
        """Take an instance that was started elsewhere."""
        self.instances.append(instance)

    @property
    def active(self) -> int:
        """Return the number of requests that are being answered or wait."""
        return sum(instance.active for instance in self.instances) + len(self._waiting)

    def _living(self) -> list[Instance]:
        self.instances = [instance for instance in self.instances if instance.alive]
        return self.instances

    def _room(self) -> int:
        """Return how many more requests there will be room for when what starts is up."""
        return sum(self._concurrency - instance.active for instance in self._living())

    def _more(self) -> None:
        instance = self._start()
        self.instances.append(instance)
        up = asyncio.wrap_future(instance.up)
        up.add_done_callback(lambda _: self._came_up(instance))

    def _came_up(self, instance: Instance) -> None:
        if instance.ready:
            self.startup_s = instance.took
            self._tell()
            self._hand_out()
            return
        if instance in self.instances:
            self.instances.remove(instance)
        if not self._living():
            while self._waiting:
                waiting = self._waiting.popleft()
                if not waiting.done():
                    waiting.set_exception(NotStarted())

    def _hand_out(self) -> None:
        while self._waiting:
            free = [
                instance
                for instance in self._living()
                if instance.ready and instance.active < self._concurrency
            ]
            if not free:
                return
            waiting = self._waiting.popleft()
            if not waiting.done():
                instance = min(free, key=lambda instance: instance.active)
                instance.active += 1
                waiting.set_result(instance)
