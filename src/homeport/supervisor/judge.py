"""Whether an engine has to be ended: it holds more memory than was planned, or it is deaf and not merely busy."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from homeport.supervisor.engine import SupervisedEngine
from homeport.supervisor.memory import COUNTS_MEMORY
from homeport.supervisor.order import Order
from homeport.supervisor.pulse import PulseThread

OVER_S = 5.0
"""As long may it hold more memory than its limit."""
IDLE_S = 20.0
"""As long may it neither answer nor do anything."""
STUCK_S = 60.0
"""As long may it say that it works on requests and not do anything."""
_NOTHING = 0.01
"""CPU time per second that is none."""
_ASLEEP_S = 5.0
"""Where so much time passed between two looks, this process did not run, and knows nothing of that time."""


class Judge:
    """Looks at one engine's process, about once a second."""

    def __init__(
        self,
        order: Order,
        engine: SupervisedEngine,
        pulse: PulseThread,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order, self._engine, self._pulse, self._clock = order, engine, pulse, clock
        self._begun = self._looked = clock()
        self._over_since: float | None = None
        self._cpu: deque[tuple[float, float]] = deque()

    def verdict(self) -> str | None:
        """Return why the engine has to be ended, in words; None where it has not."""
        now = self._clock()
        if now - self._looked > _ASLEEP_S:
            self._pulse.heard = now
            self._pulse.works_since = None
            self._cpu.clear()
            self._over_since = None
        self._looked = now
        self._cpu.append((now, self._engine.cpu_seconds()))
        while now - self._cpu[0][0] > STUCK_S + 1:
            self._cpu.popleft()
        return self._memory(now) or self._hearing(now)

    def silent_since(self) -> float | None:
        """Return since when it has missed an answer, on the monotonic clock; None where it has missed none."""
        longest = 15.0  # A look, its patience, and some.
        return self._pulse.heard if self._clock() - self._pulse.heard > longest else None

    def _memory(self, now: float) -> str | None:
        limit = self._order.memory_limit
        if limit is None or not COUNTS_MEMORY:
            return None
        held = self._engine.own_bytes()
        if held <= limit:
            self._over_since = None
            return None
        self._over_since = self._over_since or now
        if now - self._over_since < OVER_S:
            return None
        return f"it held {held / 2**30:.1f} GiB of memory of its own for {OVER_S:.0f} s, and {limit / 2**30:.1f} are its limit"

    def _hearing(self, now: float) -> str | None:
        order = self._order
        if not (self._pulse.healthy and self._pulse.ready):
            late = now - self._begun > order.ready_within_s
            return f"it was not ready within {order.ready_within_s:.0f} s" if late else None
        silent = now - self._pulse.heard
        if silent > IDLE_S and self._idle_for(now, IDLE_S):
            return f"it has not answered for {silent:.0f} s, and does nothing"
        if silent > order.ready_within_s:
            return f"it has not answered for {silent:.0f} s"
        # A request that has just begun after a quiet minute has used no CPU time to speak of either.
        since = self._pulse.works_since
        if since is not None and now - since >= STUCK_S and self._idle_for(now, STUCK_S):
            return f"it says that it works on requests, and has done nothing for {STUCK_S:.0f} s"
        return None

    def _idle_for(self, now: float, seconds: float) -> bool:
        """Return True if it was watched for so long and used no CPU time to speak of."""
        before = [used for at, used in self._cpu if now - at >= seconds]
        if not before:
            return False
        return self._cpu[-1][1] - before[-1] < _NOTHING * seconds
