"""Whether an endpoint that may sleep was seen to answer."""

from __future__ import annotations

from dataclasses import dataclass

NOT_YET = frozenset({429, 503})
"""What a service says that is starting from zero, or that has nothing free."""
_OF_THE_FRONT = frozenset({401, 403})
"""What is said in front of an engine that may sleep."""


@dataclass(slots=True)
class Start:
    """An endpoint's start from zero, for all clients that share this: once it has answered, what it says is meant."""

    over: bool = False

    def heard(self, status: int) -> None:
        """Take note of an answer's status."""
        if status < 500 and status not in NOT_YET | _OF_THE_FRONT:
            self.over = True
