"""One engine with continuous batching: it jumps from one change of its batch to the next."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from homeport.capacity.request_table import RequestTable
from homeport.capacity.step_time import StepTime

NEVER = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What an engine takes into one batch."""

    sequences: int
    """Requests at once."""
    step_tokens: int
    """Tokens of one step, prompts and answers together; a longer prompt is read in pieces."""
    cache_tokens: int
    """Tokens that the KV cache holds for all requests together."""


class Replica:
    """
    An engine that serves requests of a `RequestTable`, first come, first served.

    `wake` says when something next happens; `arrive` and `proceed` move it on. Between two changes of the batch each
    step takes a little longer than the one before, as the cache grows: how many fit is solved, not counted.
    """

    __slots__ = (
        "_cached", "_chunks", "_decoding", "_finishing", "_fixed", "_limits", "_pairs", "_per_token", "_planned",
        "_prefilling", "_redone", "_step", "_time", "_times", "_traffic", "_waiting", "preemptions", "wake",
    )  # fmt: skip

    def __init__(self, traffic: RequestTable, times: StepTime, limits: BatchLimits) -> None:
        self._traffic, self._times, self._limits = traffic, times, limits
        self._time = 0.0
        """When the last step ended."""
        self._step = 0
        self._decoding = 0
        self._cached = 0
        self._finishing: list[tuple[int, int]] = []
        """Of the decoding requests: the step after which each is done, and its number."""
        self._waiting: deque[int] = deque()
        self._prefilling: list[list[int]] = []
        """Number, tokens of the prompt that are read, tokens that are to be read."""
        self._chunks: list[tuple[list[int], int]] = []
        self._redone: dict[int, int] = {}
        """Tokens that preempted requests had generated."""
        self._planned = 0
        """Steps until `wake`; 0 while a step with prompts is on its way, or nothing is."""
        self._fixed = self._per_token = self._pairs = 0.0
        self.wake = NEVER
        self.preemptions = 0

    def arrive(self, number: int, now: float) -> None:
        """Take a request at `now`, which is no later than `wake`."""
        self._waiting.append(number)
        if self.wake == NEVER:
            self._time = now
            self._begin()
        elif self._planned > 1 and self._decoding < self._limits.sequences:
            self._stop_at(now)

    def proceed(self) -> list[int]:
        """Go on to `wake`, and return the numbers of the requests that are done then."""
        self._time = now = self.wake
        planned = self._planned
        if planned:
            self._step += planned
            self._cached += self._decoding * planned
        else:
            self._end_prefill(now)
        finishing, step, done = self._finishing, self._step, []
        if finishing and finishing[0][0] <= step:
            traffic = self._traffic
            while finishing and finishing[0][0] <= step:
                number = heappop(finishing)[1]
                self._decoding -= 1
                self._cached -= traffic.inputs[number] + traffic.outputs[number] - 1
                traffic.ended[number] = now
                done.append(number)
        self._begin()
        return done

    def _begin(self) -> None:
        """Begin the next step, or the next run of steps that only decode."""
        if self._waiting:
            self._admit()
        while self._prefilling or self._decoding:
            if self._cached + self._decoding <= self._limits.cache_tokens or self._is_alone():
                if self._prefilling:
                    self._begin_prefill()
                else:
                    self._begin_decode()
                return
            self._preempt()
        self.wake, self._planned = NEVER, 0

    def _admit(self) -> None:
        waiting, limits, inputs = self._waiting, self._limits, self._traffic.inputs
        free = limits.sequences - self._decoding - len(self._prefilling)
        while waiting and free > 0:
            number = waiting[0]
            prompt = inputs[number] + self._redone.get(number, 0)
            alone = not self._decoding and not self._prefilling
            if self._cached + prompt + self._decoding > limits.cache_tokens and not alone:
                return
            waiting.popleft()
            free -= 1
            self._cached += prompt
            self._prefilling.append([number, 0, prompt])

    def _is_alone(self) -> bool:
        return self._decoding + len(self._prefilling) == 1

    def _preempt(self) -> None:
        """Put the request that came last back to the front of the queue; what it had is computed once more."""
        self.preemptions += 1
        if self._prefilling:
            number, _, prompt = self._prefilling.pop()
            self._cached -= prompt
            self._waiting.appendleft(number)
            return
        entry = max(self._finishing, key=lambda entry: entry[1])
        self._finishing.remove(entry)
        heapify(self._finishing)
        number = entry[1]
        generated = self._traffic.outputs[number] - (entry[0] - self._step)
        self._cached -= self._traffic.inputs[number] + generated - 1
        self._decoding -= 1
        self._redone[number] = generated
        self._waiting.appendleft(number)

    def _begin_prefill(self) -> None:
        budget = max(1, self._limits.step_tokens - self._decoding)
        tokens, pairs, chunks = 0, 0.0, []
        for prefill in self._prefilling:
            piece = min(budget, prefill[2] - prefill[1])
            chunks.append((prefill, piece))
            pairs += piece * (prefill[1] + piece / 2)
            tokens += piece
            budget -= piece
            if not budget:
                break
        self._chunks, self._planned = chunks, 0
        self.wake = self._time + self._times.prefill(tokens, pairs, self._decoding, self._cached)

    def _end_prefill(self, now: float) -> None:
        self._step += 1
        self._cached += self._decoding
        traffic, step = self._traffic, self._step
        for prefill, piece in self._chunks:
            prefill[1] += piece
            if prefill[1] < prefill[2]:
                break
            number = prefill[0]
            generated = self._redone.pop(number, 0)
            if not generated:
                traffic.first[number] = now
            self._decoding += 1
            heappush(self._finishing, (step + traffic.outputs[number] - generated - 1, number))
            self._prefilling.pop(0)

    def _begin_decode(self) -> None:
        batch, cached = self._decoding, self._cached
        fixed, per_token, holds = self._times.decode(batch, cached)
        steps = self._finishing[0][0] - self._step
        steps = min(steps, holds)
        if batch > 1 and cached + batch * steps > self._limits.cache_tokens:
            steps = max(1, (self._limits.cache_tokens - cached) // batch)
        self._fixed, self._per_token, self._planned = fixed, per_token, steps
        grown = steps * cached + batch * (steps * (steps - 1) / 2)
        self.wake = self._time + steps * fixed + per_token * grown

    def _stop_at(self, now: float) -> None:
        """Let the steps that only decode stop with the first that ends at `now` or later."""
        half = self._per_token * self._decoding / 2
        first = self._fixed + self._per_token * self._cached
        passed = now - self._time
        if half > 0:
            linear = first - half
            steps = math.ceil((math.sqrt(linear * linear + 4 * half * passed) - linear) / (2 * half) - 1e-9)
        else:
            steps = math.ceil(passed / first - 1e-9)
        steps = max(steps, 1)
        if steps < self._planned:
            self._planned = steps
            grown = steps * self._cached + self._decoding * (steps * (steps - 1) / 2)
            self.wake = self._time + steps * self._fixed + self._per_token * grown
