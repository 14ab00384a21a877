"""What the console shows and does, as JSON: by the same verbs as the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from homeport import deployment, naming
from homeport.deployment import Deployment
from homeport.errors import ApprovalDeclined, SpecError
from homeport.json_types import Json, JsonObject
from homeport.live_places import look
from homeport.metrics.live import Looks
from homeport.progress import Silent
from homeport.targets import registry
from homeport.targets.base import OpenOptions

LOOK_S = 2.0
_CLOUD_S = 15.0
MOST_LINES = 10_000
"""Of a log, from its end."""
_SOON_S = 0.1
_TOGETHER = 500
"""Lines that are sent at once."""
_OPTIONS: Mapping[str, tuple[type, ...]] = {
    "max_tokens": (int,),
    "temperature": (float, int),
    "tools": (list,),
    "chat_template_kwargs": (dict,),
}
"""What the playground may ask for, with its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What can be looked at, from where the console was opened."""

    file: Path
    places: Sequence[str]
    """The targets whose endpoints are listed."""
    options: OpenOptions

    async def live(self) -> AsyncIterator[JsonObject]:
        """Yield the endpoints of every place, again and again; a place that cannot be read says why."""
        updates: asyncio.Queue[JsonObject] = asyncio.Queue()
        following = [asyncio.create_task(self._follow(on, updates)) for on in self.places]
        try:
            while True:
                yield await updates.get()
        finally:
            for follower in following:
                follower.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _follow(self, on: str, updates: asyncio.Queue[JsonObject]) -> None:
        looks = Looks()
        while True:
            place = await look(on, self.file, self.options)
            updates.put_nowait(
                {
                    "on": on,
                    "title": registry.TITLES[on],
                    "endpoints": [endpoint.as_json() for endpoint in looks.looked(place.endpoints)],
                    "unread": list(place.unread),
                    "error": place.error.as_json() if place.error else None,
                }
            )
            await asyncio.sleep(_CLOUD_S if on in registry.CLOUDS else LOOK_S)

    async def status(self, on: str, name: str) -> JsonObject:
        """Return how one endpoint is; it is asked for a token. Raises `NotRunning` or `NotFound`."""
        async with self._one(on, name) as selected:
            return (await selected.status()).as_json()

    async def logs(self, on: str, name: str) -> AsyncIterator[Mapping[str, Json]]:
        """Yield the last lines of the engine's log, some hundred at once, and what comes."""
        async with self._one(on, name) as selected:
            async for some in together(selected.logs(lines=MOST_LINES, follow=True)):
                yield {"lines": some}

    async def chat(self, on: str, name: str, asked: Mapping[str, Json]) -> AsyncIterator[Mapping[str, Json]]:
        """Yield the chunks of an answer as the engine streams them. Raises what `Endpoint.stream` raises."""
        messages = asked.get("messages")
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise SpecError("a chat has messages", hint="send a list of messages, as OpenAI's clients do")
        options = {key: asked[key] for key, kinds in _OPTIONS.items() if type(asked.get(key)) in kinds}
        async with self._one(on, name) as selected:
            endpoint = await selected.connect()
            async for chunk in endpoint.stream(messages, **options, stream_options={"include_usage": True}):
                yield chunk

    async def verify(self, on: str, name: str) -> AsyncIterator[Mapping[str, Json]]:
        """Yield the result of each check as it ends, and the whole report at last."""
        results: asyncio.Queue[Mapping[str, Json] | None] = asyncio.Queue()
        async with self._one(on, name) as selected:
            work = asyncio.create_task(
                selected.verify(on_result=lambda result: results.put_nowait(result.as_json()))
            )
            work.add_done_callback(lambda _: results.put_nowait(None))
            try:
                while (result := await results.get()) is not None:
                    yield {"result": result}
                yield {"report": (await work).as_json()}
            finally:
                work.cancel()

    async def rollback(self, on: str, name: str, to: str) -> JsonObject:
        """
        Let `to`, which the page showed and a person approved, serve again. Raises `ApprovalDeclined` where it would be
        something else by now.
        """
        async with self._one(on, name) as selected:
            now = (await selected.status(usage=False)).rollback_to
            if now != to:
                raise ApprovalDeclined(
                    f"by now {now or 'nothing'} would serve again, and not {to}",
                    hint="look again, and say yes to that",
                )
            return (await selected.rollback(progress=Silent())).as_json()

    async def plan(self, on: str) -> JsonObject:
        """Return what `up` would do with the file, with what each resource needs. Raises what `Deployment.plan` raises."""
        async with deployment.opened(self.file, on=_ensure_target(on), options=self.options) as opened:
            plan = await opened.plan()
        needs = {action.resource.id: list(action.resource.needs) for action in plan.actions}
        return {**plan.as_json(), "needs": needs, "file": str(self.file)}

    async def fit(self, model: str | None, context: int | None, parallel: int | None) -> JsonObject:
        """Return where a model fits and what it costs; by default that of the file. Raises what `homeport fit` raises."""
        from homeport.console.reckoned import reckoned

        return await asyncio.to_thread(
            reckoned, model, context, parallel, file=self.file, home=self.options.home
        )

    async def benches(self) -> list[JsonObject]:
        """Return the benches that were kept, the newest first."""
        from homeport.bench import stored

        reports = await asyncio.to_thread(
            lambda: [bench.as_json() for bench in stored.stored_benches(self.options.home)]
        )
        return sorted(reports, key=lambda bench: str(bench["started_at"]), reverse=True)

    def _one(self, on: str, name: str) -> AbstractAsyncContextManager[Deployment]:
        naming.ensure_possible(name)
        return deployment.selected(name, self.file, on=_ensure_target(on), options=self.options, by_name=True)


async def together(pieces: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """Yield the lines that come, many at once, and each so soon that no reader sees a delay; what `pieces` raises comes after them."""
    lines: list[str] = []
    coming = asyncio.ensure_future(anext(pieces, None))
    try:
        while True:
            await asyncio.wait({coming}, timeout=_SOON_S if lines else None)
            ended = coming.done() and (coming.exception() is not None or coming.result() is None)
            if lines and (not coming.done() or ended or len(lines) >= _TOGETHER):
                yield lines
                lines = []
            if not coming.done():  # Asked again: it may have come while the reader had the lines.
                continue
            piece = coming.result()
            if piece is None:
                return
            lines += piece.splitlines()
            coming = asyncio.ensure_future(anext(pieces, None))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _ensure_target(on: str) -> str:
    registry.module(on)  # Raises where there is no such target.
    return on
