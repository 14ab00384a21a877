"""Taking one thing away, whatever it has become."""

from __future__ import annotations

from homeport.errors import Conflict, NotFound
from homeport.progress import Progress
from homeport.reconcile.plan import not_ours
from homeport.reconcile.resource import Resource

_TRIES = 3


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
        live = await resource.read()
        if live is None:
            return ()
        if not resource.is_managed(live):
            raise not_ours([resource.id])
    raise AssertionError
