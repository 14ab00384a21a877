"""Work that is given up where the client for whom it is done hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from homeport.relay.messages import Receive

PRESENCE = "homeport.presence"
"""In a request's state, where our own server has it: the `Presence` of its client."""
WHOLE = "homeport.whole"
"""In a request's state, where its body has come to its end: one `receive` returns all of it, at once."""

_T = TypeVar("_T")


class ClientGone(Exception):
    """Raised where the client left before the work for it was done."""


class Presence:
    """
    Whether the client of a connection is still there, as the server tells that sees it leave.

        with presence:
            await work

    does what `unless_gone` does, without a task that watches: the work is cancelled as soon as the client is gone, and
    `ClientGone` raised. A connection has one request at a time that is worked on.
    """

    def __init__(self) -> None:
        self._gone = self._asked = False
        self._worker: asyncio.Task[Any] | None = None  # Any: what it comes to is its own business
        self._before = 0

    def end(self) -> None:
        """Tell whoever works for the client that it is gone."""
        self._gone = True
        if self._worker is not None and not self._asked:
            self._asked = self._worker.cancel()

    def __enter__(self) -> None:
        """Raise `ClientGone` where nobody is there any more."""
        if self._gone:
            raise ClientGone
        self._worker = asyncio.current_task()
        assert self._worker is not None
        self._before = self._worker.cancelling()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raise `ClientGone` where that is why the work was cancelled."""
        worker, self._worker = self._worker, None
        if not self._asked:
            return
        assert worker is not None
        # Who cancels from outside has asked, too, and is obeyed.
        if worker.uncancel() == self._before and kind is asyncio.CancelledError:
            raise ClientGone from None


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
