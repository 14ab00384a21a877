"""A rehearsed cloud for tests: in the test's own process, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import httpx2
import looptime

from gcp_rehearsal.cloud import OWNER, Cloud
from gcp_rehearsal.state import StoredResource
from gcp_rehearsal.testing import Rehearsed

_P = ParamSpec("_P")
_T = TypeVar("_T")


def act(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of `work`, run on an event loop that jumps over every wait."""
    with asyncio.Runner(loop_factory=jumping_loop) as runner:
        loop = runner.get_loop()
        loop.set_default_executor(AtOnce())
        # Newer Pythons give a thread five minutes to end the executor's: on a clock that jumps, none.
        loop.shutdown_default_executor = _nothing_to_shut_down  # type: ignore[method-assign]
        # Not by the runner: its handler of interrupts has Python write the result out, and throw it away.
        return loop.run_until_complete(work)


def jumping_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose clock jumps as soon as nothing is left to do: no other process and no thread is waited for."""
    return looptime.new_event_loop(start=0.0, noop_cycles=1)


async def _nothing_to_shut_down(*_: object) -> None: ...


class AtOnce(ThreadPoolExecutor):
    """Does at once what should be done in a thread: on a clock that jumps nobody is kept waiting, and forks have no threads."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Its result, or what it raised."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on to the awaiting code
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Answer:
    """One answer of the cloud's."""

    status: int
    body: Any  # Any: JSON
    headers: httpx2.Headers
    content: bytes

    @property
    def error(self) -> str:
        """The message of a refusal."""
        return str(self.body["error"]["message"])


class Raw:
    """Sends requests as they stand, without the door: no retries, no waiting."""

    def __init__(self, cloud: Cloud, caller: str = OWNER) -> None:
        self._cloud, self._caller = cloud, caller

    async def send(
        self,
        verb: str,
        url: str,
        body: Any = None,  # Any: JSON
        *,
        content: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """`send("GET", "run.googleapis.com/v2/…")`; underscores in names of headers become hyphens."""
        sent = {"authorization": f"Bearer {self._cloud.token(self._caller)}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx2.AsyncClient(transport=Rehearsed(self._cloud), headers=sent) as client:
            came = await client.request(verb, f"https://{url}", json=body, content=content)
        is_json = came.headers.get("content-type", "").startswith("application/json")
        return Answer(came.status_code, came.json() if is_json else None, came.headers, came.content)


def things(cloud: Cloud) -> Iterator[StoredResource]:
    """Everything that exists, without what is only remembered: each attempt leaves some of that."""
    for kept in cloud.store.everything():
        if kept.api != "logging" and not {"operations", "builds", "revisions"} & set(
            kept.collection.split(".")
        ):
            yield kept


def enable(cloud: Cloud, *apis: str) -> None:
    """Let these APIs of the first project (`run`, `compute` …) have been enabled long ago."""
    for api in apis:
        cloud.enabled[cloud.projects[0].id, f"{api}.googleapis.com"] = float("-inf")
