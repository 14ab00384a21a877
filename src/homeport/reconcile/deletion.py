"""Taking one thing away, whatever it has become."""

from __future__ import annotations

from typing import Any

from homeport.errors import Conflict, NotFound
from homeport.progress import Progress
from homeport.reconcile.plan import not_ours
from homeport.reconcile.resource import Resource

_TRIES = 3


async def read_at_once(resource: Resource) -> Any | None:  # Any: each resource's own
    """Return what is live, also while it changes still: what is to be deleted need not come to rest first."""
    look = getattr(resource, "read_at_once", None)
    return await (look() if look is not None else resource.read())


async def remove(resource: Resource, progress: Progress) -> tuple[str, ...]:
    """
    Delete it; says what went. Where another change came first it is read again, and tried again.

    Raises `NotManaged` where another's thing has come to stand there meanwhile.
    """
    for left in reversed(range(_TRIES)):
        try:
            return await resource.delete(progress)
        except NotFound:
            return ()
        except Conflict:
            if not left:
                raise
        live = await read_at_once(resource)
        if live is None:
            return ()
        if not resource.is_managed(live):
            raise not_ours([resource.id])
    raise AssertionError
