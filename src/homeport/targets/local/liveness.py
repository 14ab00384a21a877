"""How an endpoint on this machine is: ready, starting, unresponsive, dead; or its record is unreadable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError
from homeport.home import Home
from homeport.resources.local import endpoint_key
from homeport.resources.local.condition import Condition, condition
from homeport.resources.local.endpoint_record import EndpointRecord, Unreadable
from homeport.resources.local.process import running_processes
from homeport.resources.local.process_tree import resident
from homeport.secret import Secret
from homeport.spec import parse
from homeport.targets.local.target import LocalTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """An endpoint on this machine, as it is now."""

    name: str
    state: str
    """A `State`, or unreadable (its record is)."""
    record: EndpointRecord | None
    """None where it is unreadable."""
    reason: str = ""
    """Why it is not ready, in words."""
    condition: Condition | None = None
    """None where its record is unreadable."""
    resident: int
    """Bytes of memory that its processes hold."""
    log: Path

    def as_json(self) -> dict[str, Any]:
        """The status as `--json` prints it. Of an unreadable record there is its `reason`, and null for what it would tell."""
        remembered = self.record
        if remembered is None:
            told = dict.fromkeys(_TOLD)
            return {"name": self.name, "state": self.state, "reason": self.reason, **told} | self._seen()
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "url": f"{remembered.url}/v1",
            "model": remembered.launch["model"],
            "engine": remembered.launch["engine"],
            "context": remembered.launch["context"],
            "parallel": remembered.launch["parallel"],
            "pid": self.pid,
            "supervisor_pid": self._supervisor_pid,
            "restarts": self.condition.restarts if self.condition else 0,
            "last_restart": self._last_restart,
            "started_at": remembered.started_at,
            "timeline_s": dict(remembered.timeline),
            "weights": dict(remembered.weights),
            "verified": remembered.receipt,
            "spec_file": remembered.spec_file,
        } | self._seen()

    @property
    def pid(self) -> int:
        """Of the engine as it is now; of the last one where none runs."""
        if self.condition is not None and self.condition.engine is not None:
            return self.condition.engine.pid
        return self.record.pid if self.record is not None else 0

    @property
    def _supervisor_pid(self) -> int | None:
        found = self.condition.supervisor if self.condition else None
        return found.pid if found is not None else None

    @property
    def _last_restart(self) -> dict[str, str] | None:
        last = self.condition.last if self.condition else None
        return {"at": last.at, "reason": last.reason} if last is not None else None

    def _seen(self) -> dict[str, Any]:
        """What is seen of it without its record."""
        return {"resident_bytes": self.resident, "log": str(self.log)}


_TOLD = (
    "url", "model", "engine", "context", "parallel", "pid", "supervisor_pid", "restarts", "last_restart", "started_at", "timeline_s", "weights", "verified",
    "spec_file",
)  # fmt: skip


async def look(name: str, told: EndpointRecord | Unreadable, home: Home) -> Status:
    """The endpoint `name`, of which `told` is remembered, as it is now."""
    folder = home.endpoint(name)
    log = folder / "engine.log"
    if isinstance(told, Unreadable):
        held = resident(running_processes(folder))
        return Status(name=name, state="unreadable", record=None, reason=told.reason, resident=held, log=log)
    found = await condition(told, folder, _key_if_known(told, folder))
    held = resident(running_processes(folder)) if found.engine else 0
    return Status(
        name=name, state=found.state, reason=found.why, record=told, condition=found, resident=held, log=log
    )


def target_of(remembered: EndpointRecord, home: Home) -> LocalTarget:
    """The target as it was when the endpoint was last started."""
    spec = parse(remembered.spec, where=f"the record of {remembered.name}")
    return LocalTarget(spec=spec, spec_file=Path(remembered.spec_file), home=home)


def _key_if_known(remembered: EndpointRecord, folder: Path) -> Secret | None:
    try:
        return endpoint_key.of_record(remembered, folder).current()
    except HomeportError:
        return None
