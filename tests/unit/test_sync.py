"""Work that SIGTERM ends as Ctrl-C does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from homeport import sync


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("of_ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_cancels_work_which_says_how_it_ended(
    of_ctrl_c: Callable[..., Any] | signal.Handlers,
) -> None:
    """Also where Ctrl-C is ignored, as by a command that a script has put into the background."""
    signal.signal(signal.SIGINT, of_ctrl_c)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ended = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("told")

    with pytest.raises(KeyboardInterrupt), sync.ended_as_interrupted():
        sync.run(work())
    assert ended == ["told"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
