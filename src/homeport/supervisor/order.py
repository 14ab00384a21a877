"""What a supervisor is told, once, as a line of JSON on its standard input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from homeport.json_types import Json

MOST, WITHIN_S = 5, 600.0
"""An engine is started again so many times within so many seconds, and then given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How to start the engine, and when to start it again."""

    folder: str
    """Of the endpoint; the supervisor's working directory and the engine's."""
    command: list[str]
    environment: Mapping[str, str]
    """All of the engine's environment."""
    api_key: str | None
    """Written to the engine's standard input. It is in this process's memory, and nowhere else."""
    url: str
    health_path: str
    pulse_path: str | None
    """What only an engine answers whose work goes on; None where there is no such path."""
    busy: str
    """A regular expression that what it answers there matches while it works on requests."""
    model: str
    ready_within_s: float
    restart: bool
    memory_limit: int | None
    """Bytes of private memory; None for no limit."""
    weights: list[str]
    """Files that the engine reads when it starts."""
    adopt: Mapping[str, int] | None
    """The pid of an engine that runs already, and that lost its supervisor. None to start one."""
    usage: Mapping[str, Json] | None = None
    """
    What the ledger of usage is told beside figures, and where those are: `root`, `days`, `endpoint`, `engine`, `file`,
    `path`, `names`, as `MetricNames` has them, and `request_line`, as `EngineModule` has it.
    """

    def line(self) -> str:
        """Return the order as it is written to standard input."""
        return json.dumps(asdict(self)) + "\n"

    def __repr__(self) -> str:
        return f"Order({self.folder})"  # Never the key.
