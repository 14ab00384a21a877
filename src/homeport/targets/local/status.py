"""How an endpoint on this machine is now."""

from __future__ import annotations

from pathlib import Path

from homeport.errors import HomeportError, StateError
from homeport.home import Home
from homeport.json_types import Json
from homeport.resources.local import endpoint_key, endpoint_record
from homeport.resources.local.condition import Condition, condition
from homeport.resources.local.endpoint_record import EndpointRecord, Unreadable
from homeport.resources.local.process_tree import resident
from homeport.resources.local.stopping import running_processes
from homeport.results import Status
from homeport.secret import Secret
from homeport.usage.ledger import Ledger

UNREADABLE = "unreadable"
"""The state of an endpoint whose record cannot be read."""


async def look(name: str, remembered: EndpointRecord | Unreadable, home: Home) -> Status:
    """Return the status of the endpoint `name`, of which `remembered` is what its record says."""
    folder = home.endpoint(name)
    log = str(folder / "engine.log")
    if isinstance(remembered, Unreadable):
        return Status(
            name=name,
            target="local",
            state=UNREADABLE,
            reason=remembered.reason,
            resident_bytes=resident(running_processes(folder)),
            log=log,
        )
    observed = await condition(remembered, folder, _key_if_known(remembered, folder))
    launch = remembered.launch
    return Status(
        name=name,
        target="local",
        state=observed.state,
        reason=observed.why,
        url=f"{remembered.url}/v1",
        model=launch["model"],
        engine=launch["engine"],
        context=launch["context"],
        parallel=launch["parallel"],
        weights=remembered.weights,
        verified=remembered.receipt,
        pid=observed.engine.pid if observed.engine is not None else remembered.pid,
        supervisor_pid=observed.supervisor.pid if observed.supervisor is not None else None,
        restarts=observed.restarts,
        last_restart=_last_restart(observed),
        resident_bytes=resident(running_processes(folder)) if observed.engine else 0,
        started_at=remembered.started_at,
        timeline_s=remembered.timeline,
        rollback_to=_rollback_to(folder, gone=observed.engine is None),
        rollback_unknown=_rollback_unknown(folder),
        spec_file=remembered.spec_file,
        log=log,
        usage=_usage(remembered, home),
    )


def _usage(remembered: EndpointRecord, home: Home) -> dict[str, Json] | None:
    """Return what the ledger has of it since it was started: None where that is nothing, nulls where it cannot be read."""
    try:
        usage = Ledger(home.root).since_start(remembered.name, remembered.create_time)
    except StateError:
        return dict.fromkeys(("requests", "prompt_tokens", "output_tokens", "hours", "usd"))
    if usage is None:
        return None
    return {
        "requests": usage.requests,
        "prompt_tokens": usage.prompt_tokens,
        "output_tokens": usage.output_tokens,
        "hours": round(usage.seconds / 3600, 4),
        "usd": None,  # Nobody has said what this machine costs.
    }


def _rollback_to(folder: Path, *, gone: bool) -> str | None:
    record = endpoint_record.verified_before(folder)
    if record is None and gone:
        # A swap that was killed while it ended this very engine: a rollback starts it again.
        record = endpoint_record.verified(folder)
    return str(record.launch["model"]) if record is not None else None


def _rollback_unknown(folder: Path) -> str:
    reason = endpoint_record.verified_unreadable(folder)
    return f"what was kept as verified is unreadable: {reason}" if reason else ""


def _last_restart(observed: Condition) -> dict[str, str] | None:
    return {"at": observed.last.at, "reason": observed.last.reason} if observed.last is not None else None


def _key_if_known(remembered: EndpointRecord, folder: Path) -> Secret | None:
    try:
        return endpoint_key.of_record(remembered, folder).current()
    except HomeportError:
        return None
