"""How an endpoint on this machine is: ready, starting, unresponsive, dead; or its record is unreadable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError
from homeport.home import Home
from homeport.resources import endpoint_key
from homeport.resources.process import Live, running, running_processes
from homeport.resources.processes import resident
from homeport.resources.readiness import probe
from homeport.resources.record import Record, Unreadable
from homeport.secret import Secret
from homeport.spec import parse
from homeport.targets.local import LocalTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """An endpoint on this machine, as it is now."""

    name: str
    state: str
    """ready, starting, unresponsive, dead (its process is gone, and nobody stopped it), or unreadable (its record is)."""
    record: Record | None
    """None where it is unreadable."""
    reason: str = ""
    """Why it is unreadable."""
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
            "reason": "",
            "url": f"{remembered.url}/v1",
            "model": remembered.launch["model"],
            "engine": remembered.launch["engine"],
            "context": remembered.launch["context"],
            "parallel": remembered.launch["parallel"],
            "pid": remembered.pid,
            "started_at": remembered.started_at,
            "timeline_s": dict(remembered.timeline),
            "weights": dict(remembered.weights),
            "verified": remembered.receipt,
            "spec_file": remembered.spec_file,
        } | self._seen()

    def _seen(self) -> dict[str, Any]:
        """What is seen of it without its record."""
        return {"resident_bytes": self.resident, "log": str(self.log)}


_TOLD = (
    "url", "model", "engine", "context", "parallel", "pid", "started_at", "timeline_s", "weights", "verified",
    "spec_file",
)  # fmt: skip


async def look(name: str, told: Record | Unreadable, home: Home) -> Status:
    """The endpoint `name`, of which `told` is remembered, as it is now."""
    folder = home.endpoint(name)
    log = folder / "engine.log"
    if isinstance(told, Unreadable):
        held = resident(running_processes(folder))
        return Status(name=name, state="unreadable", record=None, reason=told.reason, resident=held, log=log)
    live = await _read(target_of(told, home), told)
    held = resident(running_processes(folder)) if live else 0
    return Status(name=name, state=_state(live), record=told, resident=held, log=log)


def target_of(remembered: Record, home: Home) -> LocalTarget:
    """The target as it was when the endpoint was last started."""
    spec = parse(remembered.spec, where=f"the record of {remembered.name}")
    return LocalTarget(spec=spec, spec_file=Path(remembered.spec_file), home=home)


async def _read(wanted: LocalTarget, remembered: Record) -> Live | None:
    process = running(remembered, wanted.folder)
    if process is None:
        return None
    answer = await probe(remembered.url, _key_if_known(remembered, wanted.folder))
    # Without the key a refusal is an answer, too.
    answer = replace(answer, answers=answer.answers or answer.key_refused)
    return Live(record=remembered, process=process, probe=answer)


def _key_if_known(remembered: Record, folder: Path) -> Secret | None:
    try:
        return endpoint_key.of_record(remembered, folder).current()
    except HomeportError:
        return None


def _state(live: Live | None) -> str:
    if live is None:
        return "dead"
    if not live.record.was_ready:
        return "starting"
    return "ready" if live.probe.answers else "unresponsive"
