"""The gateway of `[guard]` on this machine: a process before the engine, which is its child and listens for it alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from homeport.addresses import LOOPBACK, is_loopback
from homeport.child_environment import PROXIES, PYTHON
from homeport.engines.base import Launch, Pulse
from homeport.errors import SpecError
from homeport.gateway.settings import GatewaySettings
from homeport.reconcile.fact import Fact
from homeport.resources.local.process_tree import MARK
from homeport.spec import Guard, Spec

ENGINE_HOST = LOOPBACK
ENGINE_PORT = 64999
"""Stands for the engine's port in its command; the gateway puts a free one of loopback in its place."""
MEMORY = 256 * 2**20
"""Bytes that the gateway may take beside the engine."""
_PROGRAM = ("-P", "-m", "homeport.gateway.process")
_GOOGLE = (
    *("GOOGLE_*", "GCE_METADATA_*", "NO_GCE_CHECK", "CLOUDSDK_*", "HOMEPORT_GOOGLE_URL"),
    # Named one by one: no pattern takes what may be a secret.
    *("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_ACCESS_TOKEN", "HOMEPORT_IMPERSONATE"),
)
"""What Model Armor's screen asks Google with. The gateway gets it, and the engine behind it does not."""


def settings_of(guard: Guard, *, screen: str, template: str = "") -> GatewaySettings:
    """Return what the gateway is told."""
    return GatewaySettings(
        screen=screen,
        prompts=guard.prompts,
        answers=guard.answers,
        tool_results=guard.tool_results,
        filters=guard.filters,
        window_s=guard.window_s,
        deadline_s=guard.deadline_s,
        template=template,
    )


def screen_here(guard: Guard) -> str:
    """Return which screen judges on this machine. Raises `SpecError` where it lacks something."""
    screen = "local" if guard.screen == "auto" else guard.screen
    if screen != "local" and guard.template is None:
        raise SpecError(
            "on this machine Model Armor screens by a template that is there, and guard.template names none",
            hint='set guard.template = "projects/PROJECT/locations/REGION/templates/NAME", or guard.screen = "local"',
        )
    return screen


def behind_gateway(launch: Launch, guard: Guard, pulse: Pulse | None, *, host: str, port: int) -> Launch:
    """
    Return the start of a gateway on `host` and `port`, which starts the engine of `launch` behind it.

    Raises `SpecError` for an engine that is to be told something once it runs, which the gateway would refuse.
    """
    screen = screen_here(guard)
    if launch.setup:
        raise SpecError(
            f"[guard] cannot stand before {launch.engine} on this machine: it fetches its weights through its own API",
            hint="set engine.kind to another engine, or take [guard] out of the file",
        )
    settings = settings_of(guard, screen=screen, template=guard.template or "")
    from homeport.gateway.app import OWN_PULSE

    command = [sys.executable, *_PROGRAM, "--host", host, "--port", f"{port}"]
    command += ["--model", launch.model, "--engine", launch.engine]
    command += ["--engine-port", f"{ENGINE_PORT}", "--settings", settings.line()]
    command += ["--engine-takes", ",".join((MARK, *launch.inherits, *launch.environment))]
    if launch.keyed:
        command.append("--keyed")
    if pulse is not None:
        command += ["--pulse", pulse.path, "--busy", pulse.busy]
    if guard.metrics_port is not None:
        command += ["--metrics-port", f"{guard.metrics_port}"]
    return replace(
        launch,
        command=(*command, "--", *launch.command),
        host=host,
        port=port,
        sees=False,  # It refuses pictures and sound, whatever the model can do.
        hears=False,
        pulse_path=OWN_PULSE if pulse is not None else "",
        inherits=tuple(
            dict.fromkeys((*launch.inherits, *PYTHON, *PROXIES, *(_GOOGLE if screen != "local" else ())))
        ),
    )


def is_behind_gateway(command: Sequence[str]) -> bool:
    """Tell whether what `command` started, also by a record that an older version left, is a gateway before an engine."""
    return tuple(command[1 : len(_PROGRAM) + 1]) == _PROGRAM


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFact(Fact):
    """What is screened, by whom, and what then cannot be asked for."""

    key: ClassVar[str] = "guard"
    label: ClassVar[str] = "guard"
    screen: str
    prompts: bool
    answers: bool
    tool_results: bool
    filters: tuple[str, ...]

    @classmethod
    def of(cls, guard: Guard, screen: str) -> GuardFact:
        """Return it for the table of the file."""
        return cls(
            screen=screen,
            prompts=guard.prompts,
            answers=guard.answers,
            tool_results=guard.tool_results,
            filters=guard.filters,
        )

    @property
    def text(self) -> str:
        names = (
            ("prompts", self.prompts),
            ("answers", self.answers),
            ("results of tools", self.tool_results),
        )
        screened = [name for name, on in names if on]
        unscreened = [name for name, on in names if not on]
        weak = ", which are a few patterns for development" if self.screen == "local" else ""
        return (
            f"{self.screen} screens {', '.join(screened) or 'nothing'} for {', '.join(self.filters)}{weak}"
            + (f"; NOT screened: {', '.join(unscreened)}" if unscreened else "")
            + "; what could not be screened is refused, and so are pictures, token ids and other APIs"
        )


def warnings(spec: Spec) -> list[str]:
    """Return what is to be known of the gateway on this machine; nothing where the file has none."""
    guard, messages = spec.guard, list[str]()
    if guard is None:
        return messages
    if not guard.in_gateway:
        messages.append(
            f'guard.where = "{guard.where}" is for a load balancer of Google\'s: on this machine the gateway screens, which lets nothing '
            "of that pass"
        )
    if not is_loopback(spec.local.host):
        messages.append(
            "[guard] screens what is said; it does not encrypt, and everybody who can reach the port can listen"
        )
    if not guard.prompts or not guard.answers:
        messages.append("[guard] screens only one direction")
    return messages
