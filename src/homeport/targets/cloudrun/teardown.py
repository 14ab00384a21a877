"""Taking away what is there of a deployment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from homeport.errors import ApprovalDeclined, HomeportError, NotRunning
from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import destroy, patient
from homeport.reconcile.teardown import Teardown, teardown
from homeport.targets.cloudrun.inventory import Unread, refuse_incomplete
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.observe.found import NEEDS as OBSERVE_NEEDS

Approve = Callable[[Teardown], bool]


async def take_down(  # noqa: PLR0913 - what is looked for, what goes, and who is asked
    google: Google,
    name: str,
    *,
    regions: Iterable[str] = (),
    tables: Collection[str] = (),
    purge: bool,
    approve: Approve | None,
    progress: Progress,
) -> tuple[str, ...]:
    """
    Take away everything that carries the mark of the endpoint `name`, except for weights and the hub's token, unless `purge`.

    What only some `tables` of a file make is looked for even where no service tells of it. `approve` sees what is there, where anything is; without its yes, `ApprovalDeclined` is raised and nothing was touched.
    Returns what went. Raises the first error, `HomeportError` where anything is left, and `Incomplete` where something
    could not be read: what was found has gone then, and nobody knows that it was all.
    """
    kept_kinds = () if purge else ("bucket", "secret")
    managed = await find_managed(google, name, regions=regions, tables=tables)
    things = [resource for resource in managed.resources if resource.kind not in kept_kinds]
    unknown = f"it is not known whether anything of {name} is left"
    if approve is not None:
        would_go = await teardown(name, "cloudrun", things)
        notes = tuple(f"not known, could not be read: {failure.text}" for failure in managed.unread)
        where = (("region", ", ".join(managed.regions)),) if managed.regions else ()
        complete = replace(would_go, facts=(("project", google.project), *where), notes=notes)
        if would_go.things and not approve(complete):
            raise ApprovalDeclined("nothing was taken away")
    async with patient(progress) as halt:
        loose = {resource.id for resource in things if resource.kind in OBSERVE_NEEDS}
        result = await destroy(things, progress, halt, loose=loose)
    if result.errors:
        raise result.errors[0]
    if result.left:
        raise HomeportError(
            f"still there: {', '.join(result.left)}",
            hint="run the same command again: it goes on from here",
        )
    refuse_incomplete(managed.unread, unknown)
    if not result.gone and managed.others:
        progress.note(
            f"other endpoints in {google.project}: {', '.join(managed.others)}; `homeport list --on cloudrun`"
        )
    return result.gone


async def ensure_known(google: Google, name: str, *, regions: Iterable[str] = ()) -> tuple[Unread, ...]:
    """Return what could not be read. Raises `NotRunning` where all could, and nothing carries the mark of the endpoint `name`."""
    managed = await find_managed(google, name, regions=regions)
    if not managed.resources and not managed.unread:
        others = f"there are {', '.join(managed.others)}" if managed.others else "there is none at all"
        raise NotRunning(
            f"no endpoint called {name} is in {google.project}",
            hint=f"{others}: `homeport list --on cloudrun`",
        )
    return managed.unread
