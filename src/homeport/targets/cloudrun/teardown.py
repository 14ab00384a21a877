"""Taking away what is there of a deployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from homeport.errors import ApprovalDeclined, HomeportError
from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import destroy, patient
from homeport.reconcile.teardown import Teardown, teardown
from homeport.spec import Spec
from homeport.targets.cloudrun.managed import managed
from homeport.targets.cloudrun.names import Names

Approve = Callable[[Teardown], bool]


async def take_down(
    google: Google, spec: Spec, names: Names, *, purge: bool, approve: Approve | None, progress: Progress
) -> tuple[str, ...]:
    """
    Take away everything of the endpoint, but for weights and the hub's token, unless `purge`.

    `approve` sees what is there, where anything is; without its yes, `ApprovalDeclined` is raised and nothing was touched.
    Returns what went. Raises the first error, and `HomeportError` where anything is left.
    """
    kept = () if purge else ("bucket/", "secret/", "secret-version/")
    every = managed(google, spec, names)
    things = [one for one in every if one.id != "apis" and not one.id.startswith(kept or ("\0",))]
    if approve is not None:
        would_go = await teardown(names.name, "cloudrun", things)
        facts = (("project", names.project), ("region", names.region))
        if would_go.things and not approve(replace(would_go, facts=facts)):
            raise ApprovalDeclined("nothing was taken away")
    async with patient(progress) as halt:
        result = await destroy(things, progress, halt)
    if result.errors:
        raise result.errors[0]
    if result.left:
        raise HomeportError(
            f"still there: {', '.join(result.left)}",
            hint="run the same command again: it goes on from here",
        )
    return result.gone
