"""How an endpoint is used, and for how many seconds Cloud Run bills its instances for that."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from homeport.catalog.prices import is_amount
from homeport.errors import SpecError

DAY_S = 86_400
MONTH_HOURS = 730
"""A twelfth of a year, as Google counts a month."""
MONTH_DAYS = MONTH_HOURS / 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is known of the traffic and of the service. Tokens are those of prompts and answers together."""

    cold_start_s: tuple[float, float, float]
    """Seconds from zero until the first answer: at best, likely, at worst."""
    idle_s: float
    """Seconds that an instance lives, and costs, after its last request."""
    billed_minimum_s: float
    """Seconds that an instance costs at least."""
    min_instances: int = 0
    """Instances that always run."""
    warm_hours_per_week: float = 0
    """Hours in which one more instance runs, whether it has work or not."""
    instances: int = 1
    """The most that may run at once."""
    tokens_per_day: float | None = None
    tokens_per_second: float | None = None
    """The throughput of one busy instance, as the user gives it."""
    wakes_per_day: float = 12
    """How often a day the service wakes from zero."""
    weights_gib: float = 0
    """In Cloud Storage."""
    image_gib: float = 0
    """In Artifact Registry."""
    builds_per_month: float = 1
    build_minutes: float = 0
    """Minutes that one build takes."""
    build_machine: str = "E2_HIGHCPU_8"

    def __post_init__(self) -> None:
        """Refuse what no bill can be made of."""
        for field in fields(self):
            value = getattr(self, field.name)
            amounts = value if isinstance(value, tuple) else (value,)
            if not isinstance(value, str | None) and not all(is_amount(amount) for amount in amounts):
                raise SpecError(f"{field.name}: should be a number, not negative, but is {value!r}")
        if list(self.cold_start_s) != sorted(self.cold_start_s):
            raise SpecError(
                f"cold_start_s: should rise from the best to the worst, but is {self.cold_start_s}"
            )
        if self.instances < max(1, self.min_instances):
            raise SpecError(
                f"instances: should be at least {max(1, self.min_instances)}, but is {self.instances}"
            )
        if self.wakes_per_day < 1:
            raise SpecError(
                f"wakes_per_day: should be 1 or more, but is {self.wakes_per_day:g}",
                hint="a service that never sleeps is one with a minimum of instances",
            )
        if self.tokens_per_second == 0:
            raise SpecError(
                "tokens_per_second: should be more than 0", hint="leave it out where it is not known"
            )

    @property
    def cold_start(self) -> float:
        """Return the likely seconds of a cold start."""
        return self.cold_start_s[1]

    @property
    def standing(self) -> int:
        """Return the number of instances of a service that is always on."""
        return max(1, self.min_instances)

    @property
    def idle_seconds(self) -> float:
        """Return the seconds a day, of all instances, that are billed without any traffic."""
        return self.min_instances * DAY_S + self.warm_hours_per_week * 3600 / 7

    @property
    def capacity(self) -> float:
        """Return the tokens a day that all instances can do; infinite where the throughput is not known."""
        return self.instances * self._per_instance

    @property
    def _per_instance(self) -> float:
        return math.inf if self.tokens_per_second is None else self.tokens_per_second * DAY_S

    def needed(self, tokens: float) -> int:
        """Return how many instances `tokens` a day keep busy, at least one."""
        return max(1, math.ceil(tokens / self._per_instance * (1 - 1e-9)))  # no instance for a rounding error

    def fits(self, tokens: float) -> bool:
        """Return True if the instances can do `tokens` a day."""
        return self.needed(tokens) <= self.instances

    def work_seconds(self, tokens: float) -> float:
        """Return the seconds a day that instances work for `tokens`, in all; 0 where the throughput is not known."""
        return 0.0 if self.tokens_per_second is None else tokens / self.tokens_per_second

    def wake_seconds(self, cold_start: float, tokens: float = 0) -> float:
        """Return the seconds billed for one wake of the day: its cold start, its part of the work, the idle tail."""
        work = self.work_seconds(min(tokens, self.capacity)) / self.wakes_per_day
        return max(self.billed_minimum_s, cold_start + work + self.idle_s)

    def always_on_seconds(self, tokens: float) -> float:
        """Return the seconds billed a day, of all instances, where those that the traffic needs always run."""
        return max(self.standing, self.needed(tokens)) * DAY_S

    def scaling_seconds(self, tokens: float, cold_start: float) -> float:
        """Return the seconds billed a day where instances come and go with the traffic: the wakes of the day,
        on top of what is kept without traffic; in warm hours work is done by what is kept first. Never more than `always_on_seconds`.
        """
        minimum = self.idle_seconds
        rest = self.work_seconds(tokens) - minimum
        if tokens == 0 or (self.min_instances and rest <= 0):
            return minimum
        woken = max(rest, 0.0) + self.wakes_per_day * (cold_start + self.idle_s)
        billed = minimum + max(woken, self.wakes_per_day * self.billed_minimum_s)
        return min(billed, self.always_on_seconds(tokens))

    def kinks(self, cold_start: float) -> list[float]:
        """Return the tokens a day, rising from 0 to the capacity, between which `scaling_seconds` and
        `always_on_seconds` are straight lines. Just after one of them, one more instance may be needed.
        """
        if self.tokens_per_second is None:
            return [0.0, math.inf]
        overhead = self.wakes_per_day * (cold_start + self.idle_s)
        full = [count * DAY_S for count in range(self.instances + 1)]
        floor = self.idle_seconds + self.wakes_per_day * self.billed_minimum_s
        work = [*full, *(seconds - overhead for seconds in full), floor - overhead, self.idle_seconds]
        return sorted({seconds * self.tokens_per_second for seconds in work if 0 <= seconds <= full[-1]})


def short(number: float) -> str:
    """Return a number of tokens as people say it: 576k, 2M, 1.5B."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (1000, "k")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
