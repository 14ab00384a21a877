"""Ending an endpoint on this machine, with all its processes, and with its weights where that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from homeport.errors import ApprovalDeclined, PlanStale
from homeport.home import Home, find_home
from homeport.progress import Progress, Silent
from homeport.reconcile import destroy
from homeport.reconcile.teardown import Teardown, teardown
from homeport.resources.local import candidate, endpoint_key, endpoint_record
from homeport.resources.local.candidate import Candidate
from homeport.resources.local.endpoint_record import EndpointRecord, Unreadable
from homeport.resources.local.stopping import running_processes, stop
from homeport.resources.local.weights import Weights
from homeport.targets.local.target import remembered_target


async def take_down(
    name: str,
    *,
    purge: bool = False,
    home: Home | None = None,
    progress: Progress | None = None,
    approve: Callable[[Teardown], bool] = lambda _: True,
) -> tuple[str, ...]:
    """
    End all processes of the endpoint `name`; with `purge`, remove its weights, too.

    `approve` sees what would go, where anything would; without its yes, `ApprovalDeclined` is raised and nothing was touched.
    Returns what went, in a few words each. Raises `PlanStale` where another file took the endpoint over while it was
    asked, `HomeportError` if anything is left at the end.
    """
    home, progress = home or find_home(), progress or Silent()
    folder = home.endpoint(name)
    if not folder.exists():
        return ()
    before = endpoint_record.read(folder)
    would_go = await _teardown(name, home, purge=purge)
    if not would_go.things:
        return ()
    if not approve(would_go):
        raise ApprovalDeclined("nothing was ended")
    async with home.lock(name, progress):
        if _owner(endpoint_record.read(folder)) != _owner(before):
            raise PlanStale(
                f"another file has taken {name} over since you were asked",
                hint="run the same command again: it shows what is there now",
            )
        # Looked up before the record, which says what the weights are, is forgotten.
        weights, notes = _to_purge(name, home) if purge else ((), ())
        for note in notes:
            progress.note(note)
        gone = candidate.remove(name, folder) + stop(name, folder)
        endpoint_record.forget_verified(folder)
        destroyed = await destroy(weights, progress)
        if destroyed.errors:
            raise destroyed.errors[0]
        forgotten = (f"key of {name}",) if endpoint_key.forget(folder) else ()
        return gone + forgotten + destroyed.gone


async def _teardown(name: str, home: Home, *, purge: bool) -> Teardown:
    """Return what there is of the endpoint `name`."""
    folder = home.endpoint(name)
    record = endpoint_record.read(folder)
    pids = " ".join(str(process.pid) for process in running_processes(folder))
    things = [(f"process/{name}", f"pid {pids}")] if pids else []
    if record is not None and not pids:
        things.append((f"record/{name}", "its process is gone"))
    spare = Candidate(name=name, endpoint=folder)
    if await spare.read() is not None:
        things.append((spare.id, spare.summary({})))
    if endpoint_key.is_stored(folder):
        things.append((f"key/{name}", "made by homeport"))
    weights, notes = _to_purge(name, home) if purge else ((), ())
    would_go = await teardown(name, "local", weights)
    facts: tuple[tuple[str, str], ...] = ()
    if isinstance(record, Unreadable):
        facts = (("record", f"unreadable: {record.reason}"),)
    elif record is not None:
        facts = (
            ("model", str(record.launch["model"])),
            ("endpoint", f"{record.url}/v1"),
            ("file", record.spec_file),
        )
    return replace(would_go, things=(*things, *would_go.things), facts=facts, notes=notes)


def _to_purge(name: str, home: Home) -> tuple[tuple[Weights, ...], tuple[str, ...]]:
    """
    Return the weights of the endpoint `name` that no other serves, and why the rest stays.

    None go while a record cannot be read: nobody knows then which weights it is about.
    """
    used: dict[str, str] = {}
    mine: tuple[Weights, ...] = ()
    for other in home.endpoints():
        record = endpoint_record.read(home.endpoint(other))
        if isinstance(record, Unreadable):
            return (), (f"all weights stay: {record.error()}",)
        if record is not None and other == name:
            mine = remembered_target(record, other, home).all_weights
        elif record is not None:
            used |= {weights.source: other for weights in remembered_target(record, other, home).all_weights}
    notes = [
        f"{weights.source} stays: {used[weights.source]} serves it"
        for weights in mine
        if weights.source in used
    ]
    return tuple(weights for weights in mine if weights.source not in used), tuple(notes)


def _owner(record: EndpointRecord | Unreadable | None) -> str:
    return record.spec_file if isinstance(record, EndpointRecord) else ""
