"""What a gateway is told, as one line of JSON: the same for its process on this machine and for its container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from homeport.errors import SpecError

VARIABLE = "HOMEPORT_GATEWAY"
"""The variable of a container that holds it."""
METRICS_VARIABLE = "HOMEPORT_METRICS_PORT"
"""The variable of a container that holds the port at which, within the instance, it tells what it counts."""
OWN_CALLER = "/gateway/caller"
"""Where a gateway that counts by caller tells whoever asks whom it takes him for, and nobody else."""
OWN_HEALTH = "/gateway/health"
"""What the gateway answers itself, whether or not its engine is up: for probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What is screened, by whom, and how patiently."""

    screen: str
    """One of `screens.registry.NAMES`."""
    prompts: bool = True
    answers: bool = True
    tool_results: bool = True
    filters: tuple[str, ...] = ("injection", "harm", "secrets", "urls")
    """Which kinds of things are looked for: see `screens.base.FILTERS`."""
    window_s: float = 1.0
    """Seconds that text of a streamed answer waits for more before it is screened."""
    deadline_s: float = 8.0
    """Seconds that one screening may take, all tries included."""
    template: str = ""
    """The path of Model Armor's template, where that is the screen."""

    def line(self) -> str:
        """Return it as JSON; holds no secret."""
        return json.dumps(asdict(self), sort_keys=True)


def read(text: str) -> GatewaySettings:
    """Return the settings of a line of JSON. Raises `SpecError` where it is none."""
    try:
        table: Mapping[str, Any] = json.loads(text)  # Any: JSON
        more = {"filters": tuple(table["filters"])} if "filters" in table else {}
        return GatewaySettings(**{**table, **more})
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"the gateway's settings are not what they should be: {error}", hint="`homeport up` writes them"
        ) from error
