"""Work that is given up where the client for whom it is done hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from homeport.relay.messages import Receive

_T = TypeVar("_T")


class ClientGone(Exception):
    """Raised where the client left before the work for it was done."""


async def unless_gone(
    work: Coroutine[Any, Any, _T], gone: Coroutine[Any, Any, None]
) -> _T:  # Any: of a coroutine's protocol
    """
    Return what `work` comes to. It is cancelled as soon as `gone` ends, and `ClientGone` raised.

    The work goes on in the caller's own task: one task less for each request that passes. `gone`, such as
    `hung_up(receive)`, has ended when this returns. Raises what either raises.
    """
    here = asyncio.current_task()
    assert here is not None
    over = asked = False
    before = here.cancelling()  # Of a task that was cancelled once and went on all the same: not 0.

    def give_up(_: asyncio.Task[None]) -> None:
        nonlocal asked
        if not over:
            asked = here.cancel()

    watching = asyncio.ensure_future(gone)
    watching.add_done_callback(give_up)
    try:
        return await work
    except asyncio.CancelledError:
        # Who cancels from outside has asked, too, and is obeyed.
        if not asked or here.cancelling() > before + 1:
            raise
        watching.result()
        raise ClientGone from None
    finally:
        over = True
        if asked:
            here.uncancel()
        watching.cancel()
        await asyncio.wait({watching})
        if not watching.cancelled():
            watching.exception()  # Else it is told of as one that nobody asked for.


async def hung_up(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
