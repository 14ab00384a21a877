"""One request to an API with texts: screened, sent on, and its answer screened on its way back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from homeport.gateway import strict_json, texts
from homeport.gateway.apis import (
    StreamState,
    TextApi,
    error_body,
    error_events,
    filtered_events,
    filtered_whole,
)
from homeport.gateway.fields import leave_out
from homeport.gateway.framing import Event, JsonLines, Parser, ServerSentEvents
from homeport.gateway.holding import Holding
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.room import TakenRoom
from homeport.gateway.screener import Screener
from homeport.gateway.usage import TokenUsage, has_text, tells_error
from homeport.gateway.verdict import Reason, Refused, Side
from homeport.json_types import Json
from homeport.relay.direct_answer import DirectAnswer
from homeport.relay.messages import Send
from homeport.relay.onward import Onward
from homeport.relay.upstream import UNANSWERED, Upstream

_FIRST_S = 0.25
"""The first text of a stream is screened after this time at the latest: a reader waits for it."""
_MOST_WAITING = 4_000
"""Characters that are screened at once, however little time has passed."""
_MOST_BYTES = 32 * 2**20
"""Of an answer that comes as a whole."""
PARSERS: dict[str, type[Parser]] = {"text/event-stream": ServerSentEvents, "application/x-ndjson": JsonLines}
"""By the kind of an answer that comes in pieces."""
REFUSED_HEADER = b"x-homeport-refused"
"""Says why an answer was refused, in one word."""
LEFT_OUT_HEADER = b"x-homeport-left-out"
"""Names the fields of a request that did not go on, since nobody here knows what they are."""
_PLAIN, _NAMED = re.compile(r"[A-Za-z0-9_.-]{1,64}"), 20
_PASSED_ON = frozenset({b"x-request-id", b"openai-processing-ms", b"retry-after"})
"""Headers of an engine's answer that go on."""


@dataclass(slots=True, kw_only=True)
class ScreenedExchange:
    """One request and its answer."""

    api: TextApi
    screener: Screener
    upstream: Upstream
    room: TakenRoom
    """What the request takes until it has gone on, and then what is held of its answer."""
    send: Send
    metrics: GatewayMetrics | None = None
    begun: float = 0.0
    first_s: float | None = None
    """The time to the first text of an answer that comes as a stream; of a whole one it would be all its time."""
    usage: TokenUsage = field(default_factory=TokenUsage)
    error: str = ""
    """Why it was not answered as asked, in one word."""
    _head: tuple[int, list[tuple[bytes, bytes]]] | None = None
    """What the answer's head will say; None once it is sent."""
    _started: bool = False
    _left_out: tuple[str, ...] = ()
    """Names of fields that did not go on, as they are told."""
    _ending: str = ""
    """Of the request, as it was screened."""

    async def run(self, body: dict[str, Json], headers: Sequence[tuple[str, str]]) -> None:
        """Screen, send on, answer. An answer that breaks off has no end here either: the server closes its connection."""
        self.begun = asyncio.get_running_loop().time()
        try:
            await self._screen_request(body)
        except Refused as refused:
            await self._refuse(refused, Side.PROMPT)
            return
        onward = Onward(
            method="POST",
            target=self.api.path,
            headers=[*headers, ("content-type", "application/json"), ("accept-encoding", "identity")],
            body=strict_json.dumps(body),
            chunked=False,
        )
        body.clear()
        try:
            response = await self.upstream.send(onward)
        except UNANSWERED as error:
            await self.whole(
                502, _plain_error(f"the engine did not answer: {str(error) or type(error).__name__}")
            )
            self.error = "engine"
            return
        del onward  # It holds the whole body, and the answer may stream for minutes.
        self.room.give_back()
        try:
            await self._answer(response)
        except UNANSWERED:
            if self._started:
                self.error = self.error or "engine"
            else:
                self.error = "engine"
                await self.whole(502, _plain_error("the engine broke off in the middle of its answer"))
        finally:
            response.close()

    async def _screen_request(self, body: dict[str, Json]) -> None:
        left_out = leave_out(self.api.dialect, body)[:_NAMED]
        self._left_out = tuple(key if _PLAIN.fullmatch(key) else "?" for key in left_out)
        pieces = (
            await asyncio.to_thread(texts.of_request, body) if _is_large(body) else texts.of_request(body)
        )
        before = self._now
        screened = await self.screener.request(pieces)
        self._ending = screened.ending
        if screened.calls and self.metrics:
            self.metrics.screened(Side.PROMPT.value, self._now - before)

    async def _answer(self, response: DirectAnswer) -> None:
        if response.status >= 400:
            self.error = str(response.status)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        headers = [
            (name.lower(), value) for name, value in response.raw_headers if name.lower() in _PASSED_ON
        ]
        headers += self._left_out_header()
        if packed not in {"", "identity"} or (kind not in PARSERS and kind != "application/json"):
            await self._refuse(Refused(Reason.UNREADABLE, f"the engine's answer is of the kind {kind or 'unknown'!r}, which is not "
                                       "screened"), Side.ANSWER)  # fmt: skip
            return
        if kind == "application/json":
            await self._whole_answer(response, headers)
            return
        self._head = (
            response.status,
            [(b"content-type", kind.encode()), (b"cache-control", b"no-cache"), *headers],
        )
        await self._streamed(response, PARSERS[kind]())

    async def _whole_answer(self, response: DirectAnswer, headers: list[tuple[bytes, bytes]]) -> None:
        try:
            data = await self._data(response)
        except Refused as refused:
            await self._refuse(refused, Side.ANSWER)
            return
        try:
            body = strict_json.table(json.loads(data.decode("utf-8")))
        except (ValueError, RecursionError):
            await self._refuse(
                Refused(Reason.UNREADABLE, "the engine's answer is no JSON that can be screened"), Side.ANSWER
            )
            return
        self.usage.note(body)
        self._judge(body)
        try:
            pieces = texts.of_answer(body)
            await self._screen_answer([piece.text for piece in pieces])
        except Refused as refused:
            if refused.reason is not Reason.MATCH or response.status >= 400:
                await self._refuse(refused, Side.ANSWER)
                return
            self._count(refused, Side.ANSWER)
            await self.whole(
                200, filtered_whole(self.api.dialect, body), [*headers, (REFUSED_HEADER, b"match")]
            )
            return
        for piece in pieces:
            self.screener.remember(piece.text, self._ending)
        await self.whole(response.status, body, headers)

    def _left_out_header(self) -> list[tuple[bytes, bytes]]:
        return [(LEFT_OUT_HEADER, ", ".join(self._left_out).encode())] if self._left_out else []

    async def _data(self, response: DirectAnswer) -> bytes:
        data = bytearray()
        async for piece in response.content.iter_any():
            self.room.grow(len(piece))
            data += piece
            if len(data) > _MOST_BYTES:
                raise Refused(Reason.TOO_LONG, "the answer is too long to be screened")
        return bytes(data)

    async def _streamed(self, response: DirectAnswer, parser: Parser) -> None:
        holding, state = Holding(), StreamState({}, set())
        try:
            async for events, over in self._batches(response, parser, holding):
                for event in events:
                    self._hold(event, holding, state)
                self._take_room(holding, parser.held + state.size)
                if over or self._is_due(holding):
                    await self._screen_answer(holding.to_screen())
                    holding.mark_screened()
                    self._screened_at = self._now
                had = holding.has_answered
                await self._send_events(
                    parser, holding.release(end=over or not self.screener.settings.answers)
                )
                self._take_room(holding, parser.held + state.size)
                if holding.has_answered and not had:
                    self._first_text()
        except Refused as refused:
            response.close()  # The engine stops generating.
            self._count(refused, Side.ANSWER)
            stopped = refused.reason is Reason.MATCH
            if not self._started and not stopped:
                self._head = None
                await self._tell(refused, Side.ANSWER)
                return
            last = (
                filtered_events(self.api.dialect, state)
                if stopped
                else error_events(self.api.dialect, refused)
            )
            await self._send_events(parser, last)
        else:
            for text in holding.texts():
                self.screener.remember(text, self._ending)
        await self.send({"type": "http.response.body", "body": b""})

    def _first_text(self) -> None:
        self.first_s = self._now - self.begun
        if self.metrics:
            self.metrics.first_text(self.api.operation, self.first_s)

    def _hold(self, event: Event, holding: Holding, state: StreamState) -> None:
        if event.body is None:
            holding.add(event, [], [])
            return
        said = has_text(event.body)
        if self.metrics and said:
            self.metrics.went_on()
        self.usage.note(event.body)
        self._judge(event.body)
        state.note(event.body, event.size)
        holding.add(
            event, texts.of_answer(event.body), texts.over_with(event.body), answers=said and not self.error
        )

    def _judge(self, body: dict[str, Json]) -> None:
        if not self.error and tells_error(body):
            self.error = "engine"

    def _take_room(self, holding: Holding, beside: int) -> None:
        """Take room for what is held of the stream now. Without room what has gone on is forgotten, before anything is refused."""
        try:
            self.room.hold(holding.size + beside)
        except Refused:
            holding.forget()
            self.room.hold(holding.size + beside)

    _screened_at: float = 0.0
    _waiting_since: float = 0.0

    async def _batches(
        self, response: DirectAnswer, parser: Parser, holding: Holding
    ) -> AsyncIterator[tuple[list[Event], bool]]:
        """Yield events as they come, with whether they are the last; none where held text has waited for long enough."""
        reading: asyncio.Future[bytes] | None = None
        try:
            while True:
                reading = reading or asyncio.ensure_future(response.content.readany())
                await asyncio.wait({reading}, timeout=self._patience(holding))
                if not reading.done():
                    yield [], False
                    continue
                data = reading.result()
                reading = None
                try:
                    events = parser.feed(data) if data else parser.rest()
                except (ValueError, RecursionError) as error:
                    raise Refused(
                        Reason.UNREADABLE, f"the engine's stream is not what can be screened: {error}"
                    ) from error
                over = not data or any(event.body is None for event in events)
                yield events, over
                if over:
                    return
        finally:
            if reading is not None:
                reading.cancel()

    def _patience(self, holding: Holding) -> float | None:
        if not holding.waiting:
            self._waiting_since = 0.0
            return None
        self._waiting_since = self._waiting_since or self._now
        return max(0.0, self._waiting_since + self._window - self._now)

    def _is_due(self, holding: Holding) -> bool:
        if not holding.waiting:
            return False
        if not self.screener.settings.answers or holding.waiting >= _MOST_WAITING:
            return True
        return self._waiting_since > 0 and self._now - self._waiting_since >= self._window

    @property
    def _window(self) -> float:
        window = self.screener.settings.window_s
        return window if self._screened_at else min(_FIRST_S, window)

    async def _screen_answer(self, passages: list[str]) -> None:
        before = self._now
        calls = await self.screener.answer(passages)
        self._waiting_since = 0.0
        if calls and self.metrics:
            self.metrics.screened(Side.ANSWER.value, self._now - before)

    async def _send_events(self, parser: Parser, events: list[Event]) -> None:
        if not events:
            return
        if self._head is not None:
            (status, headers), self._head = self._head, None
            self._started = True
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
        data = b"".join(parser.render(event) for event in events)
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _refuse(self, refused: Refused, side: Side) -> None:
        self._count(refused, side)
        await self._tell(refused, side)

    async def _tell(self, refused: Refused, side: Side) -> None:
        # What the engine said is no fault of the caller's.
        engines = side is Side.ANSWER and refused.reason in {Reason.UNREADABLE, Reason.TOO_LONG}
        await self.whole(
            502 if engines else refused.status, error_body(self.api.dialect, refused), _why(refused)
        )

    def _count(self, refused: Refused, side: Side) -> None:
        self.error = refused.reason.value
        if self.metrics:
            self.metrics.refused(side.value, refused.reason.value)

    async def whole(self, status: int, body: Json, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Send a whole answer in JSON."""
        self._started = True
        await send_json(self.send, status, body, headers)

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def send_json(send: Send, status: int, body: Json, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send a whole answer in JSON."""
    data = strict_json.dumps(body)
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": data})


def _why(refused: Refused) -> list[tuple[bytes, bytes]]:
    headers = [(REFUSED_HEADER, refused.reason.value.encode())]
    if refused.status < 500:
        headers.append((b"x-should-retry", b"false"))
    return headers


def _plain_error(message: str) -> Json:
    return {"error": {"message": message, "type": "api_error", "param": None, "code": "engine_unavailable"}}


def _is_large(body: dict[str, Json]) -> bool:
    """Return whether looking for its texts would hold up other streams."""
    return any(isinstance(value, list) and len(value) > 500 for value in body.values())
