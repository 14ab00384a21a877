"""One call of a tool: its work, its progress, its errors and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from homeport.errors import HomeportError
from homeport.json_types import JsonObject
from homeport.mcp.output import harmless, words
from homeport.mcp.work import ToolProgress, in_thread
from homeport.printable import printable
from homeport.progress import Progress
from homeport.shapes.base import JsonShape

Call = Context[Any, Any]  # Any: the SDK's lifespan and request, which tools do not use
Work = Callable[[Progress], Awaitable[JsonObject]]
"""Makes the answer."""
_Shape = TypeVar("_Shape", bound=JsonShape)


async def answered(call: Call, shape: type[_Shape], work: Work) -> _Shape:
    """
    Return what `work` comes to, as `shape`, without secrets. Its progress goes to the client as it comes.

    Raises `ToolError` for every error: one of homeport's with its hint, any other without its traceback.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    progress = ToolProgress(lambda line: _put(loop, lines, line))
    pump = asyncio.create_task(_pumped(call, lines))
    try:
        data = await in_thread(lambda: work(progress))
        return shape.model_validate(harmless(data))
    except HomeportError as error:
        raise ToolError(words(error)) from None
    except Exception as error:  # noqa: BLE001 - the last one there is
        # The SDK would write the traceback, with whatever secrets are in it, to the server's log.
        raise ToolError(
            printable(f"this is a mistake of homeport's: {type(error).__name__}: {error}\n")
            + "do: run the same command in a terminal with `homeport --debug`, and report what it prints"
        ) from None
    finally:
        lines.put_nowait(None)
        await asyncio.gather(pump, return_exceptions=True)


def _put(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str | None], line: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(lines.put_nowait, line)


async def _pumped(call: Call, lines: asyncio.Queue[str | None]) -> None:
    """Send each line as a notification of progress, numbered, since progress has to grow."""
    number = 0
    while (line := await lines.get()) is not None:
        number += 1
        await call.report_progress(number, message=line)
