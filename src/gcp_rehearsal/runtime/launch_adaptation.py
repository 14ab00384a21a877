"""
What is changed of a container's command and environment so that this machine can run it: one table.

All else is as it would be in the cloud. What single programs need besides is up to `programs`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gcp_rehearsal.runtime.container_paths import Paths

HOST = "127.0.0.1"
SHARED_PORTS = "several instances share this machine's ports"
_ADDRESS = re.compile(r"((?<![\w.-])(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])?:)(\d{2,5})(?![\w.:])")
"""An address within an instance: a host that is the instance itself, or none, and a port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchChange:
    """One row: what was changed, its value in the cloud and here, and why."""

    what: str
    cloud: str
    here: str
    why: str


@dataclass(slots=True, kw_only=True)
class ContainerLaunch:
    """What is started: begun as the cloud would, and changed row by row."""

    command: list[str]
    env: dict[str, str]
    hidden: frozenset[str] = frozenset()
    """Variables that come from secrets: no row tells their values, and nothing in them is changed."""
    changes: list[LaunchChange] = field(default_factory=list)
    stand_in: str = ""
    """Where another program runs than the cloud would run: which."""
    note: str = ""
    """First lines of its log, about what this machine lacks."""
    probed: str = ""
    """The path that probes of the port of requests ask for, where it is not the revision's own."""

    def adapt(self, paths: Paths) -> None:
        """Change what every container needs changed."""
        for place, text in enumerate(self.command):
            here = paths.translated(text)
            if here != text:
                self.note_change("path", text, here, "where it lies on this machine")
                self.command[place] = here
        for name in [name for name in self.env if name != "PATH" and name not in self.hidden]:
            self.set_variable(name, paths.translated(self.env[name]), "where it lies on this machine")
        if "PATH" in self.env:
            self.set_variable("PATH", os.environ.get("PATH", os.defpath), "programs are this machine's own")

    def serve_at(self, port: int, wanted: int) -> None:
        """Let it listen for requests at `port` of this machine in place of `wanted`, the cloud's."""
        self.set_variable("PORT", str(port), SHARED_PORTS, missing=True)
        self._replace_value("--port", str(port), SHARED_PORTS, only=str(wanted))
        self._replace_value("--host", HOST, "only this machine may reach it", only="0.0.0.0")  # noqa: S104 - it is replaced

    def move_addresses(self, ports: Mapping[int, int]) -> None:
        """Put the ports here in place of the cloud's, where command and environment name addresses of the instance."""

        def here(match: re.Match[str]) -> str:
            return f"{match[1]}{ports.get(int(match[2]), match[2])}"

        for place, text in enumerate(self.command):
            moved = _ADDRESS.sub(here, text)
            if moved != text:
                self.note_change("address", text, moved, SHARED_PORTS)
                self.command[place] = moved
        for name in [name for name in self.env if name not in self.hidden]:
            self.set_variable(name, _ADDRESS.sub(here, self.env[name]), SHARED_PORTS)

    def move_port(self, port: int, here: int) -> int:
        """Put the port `here` in place of a `port` of the cloud's that is not that of requests; return `here`."""
        self._replace_value("--port", str(here), SHARED_PORTS, only=str(port))
        self._replace_value("--host", HOST, "only this machine may reach it", only="0.0.0.0")  # noqa: S104 - it is replaced
        for name in [
            name for name, value in self.env.items() if value == str(port) and name not in self.hidden
        ]:
            self.set_variable(name, str(here), SHARED_PORTS)
        return here

    def note_change(self, what: str, cloud: str, here: str, why: str) -> None:
        """Add a row."""
        self.changes.append(LaunchChange(what=what, cloud=cloud, here=here, why=why))

    def set_variable(self, name: str, value: str, why: str, *, missing: bool = False) -> None:
        """Give a variable another value; one that is not there only where it may be `missing`."""
        before = self.env.get(name)
        if before != value and (missing or before is not None):
            self.env[name] = value
            self.note_change(name, before or "", value, why)

    def add_option(self, option: str, value: str, why: str) -> None:
        """Add an option with its value to the command."""
        self.command += [option, value]
        self.note_change(option, "", value, why)

    def drop_option(self, option: str, why: str) -> None:
        """Leave out an option of the command, with its value; without a reason no row tells of it."""
        for place, text in enumerate(self.command):
            if text == option or text.startswith(f"{option}="):
                end = place + (2 if text == option else 1)
                if why:
                    self.note_change(option, " ".join(self.command[place:end]), "left out", why)
                del self.command[place:end]
                return

    def _replace_value(self, option: str, value: str, why: str, *, only: str) -> None:
        for place, text in enumerate(self.command):
            if text == option and self.command[place + 1 : place + 2] == [only]:
                self.command[place + 1] = value
            elif text == f"{option}={only}":
                self.command[place] = f"{option}={value}"
            else:
                continue
            self.note_change(option, only, value, why)
