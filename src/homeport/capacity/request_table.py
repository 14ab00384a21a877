"""The requests that come, as columns, since there may be millions; and when each got its first token and its last."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from homeport.errors import SpecError
from homeport.traffic import Arrival

_NOT_YET = -1.0


@dataclass(slots=True)
class RequestTable:
    """Requests by number, in the order in which they come."""

    arrived: array[float] = field(default_factory=lambda: array("d"))
    """Seconds."""
    inputs: array[int] = field(default_factory=lambda: array("l"))
    outputs: array[int] = field(default_factory=lambda: array("l"))
    first: array[float] = field(default_factory=lambda: array("d"))
    """When the first token came; negative for a request that had none."""
    ended: array[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        """Return how many requests there are."""
        return len(self.arrived)

    @property
    def seconds(self) -> float:
        """Return when the last request comes."""
        return self.arrived[-1] if self.arrived else 0.0

    def fresh(self) -> RequestTable:
        """Return the requests as they come, with nothing done yet."""
        blank = array("d", [_NOT_YET]) * len(self)
        return RequestTable(self.arrived, self.inputs, self.outputs, blank, blank[:])


def request_table(arrivals: Iterable[Arrival]) -> RequestTable:
    """Return `arrivals`, which come in order. Raises `SpecError` for what cannot be."""
    table, last = RequestTable(), 0.0
    for arrival in arrivals:
        if arrival.seconds < last or arrival.input < 1 or arrival.output < 1:
            description = (
                f"{arrival.seconds:g} s, {arrival.input} and {arrival.output} tokens, after one at {last:g} s"
            )
            raise SpecError(
                f"request {len(table) + 1} cannot be: {description}",
                hint="requests are in order of time, each with at least one token of prompt and of answer",
            )
        last = arrival.seconds
        table.arrived.append(arrival.seconds)
        table.inputs.append(arrival.input)
        table.outputs.append(arrival.output)
    return table.fresh()
