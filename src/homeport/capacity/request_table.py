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
    made, last = RequestTable(), 0.0
    for one in arrivals:
        if one.seconds < last or one.input < 1 or one.output < 1:
            what = f"{one.seconds:g} s, {one.input} and {one.output} tokens, after one at {last:g} s"
            raise SpecError(
                f"request {len(made) + 1} cannot be: {what}",
                hint="requests are in order of time, each with at least one token of prompt and of answer",
            )
        last = one.seconds
        made.arrived.append(one.seconds)
        made.inputs.append(one.input)
        made.outputs.append(one.output)
    return made.fresh()
