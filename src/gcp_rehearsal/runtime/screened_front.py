"""The callouts of a load balancer before a service, within the rehearsal itself: where Envoy was handed in, that asks them instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gcp_rehearsal.runtime.content_callouts import BlockedText, CalloutFailed, ContentCallout, ContentCallouts
from gcp_rehearsal.runtime.front_end import Message, Receive, Send, SentAnswer, read_body
from gcp_rehearsal.runtime.request_refused import RequestRefused
from gcp_rehearsal.runtime.screened_texts import is_read, prompt_of

Onwards = Callable[[Receive, Send], Awaitable[None]]
"""Sends a request on, and its answer back."""


async def screened(
    callouts: ContentCallouts, every: Sequence[ContentCallout], path: str, receive: Receive, send: Send, onwards: Onwards
) -> None:  # fmt: skip
    """Ask what stands before a service about a request, hand it on, and ask about its answer."""
    answer = SentAnswer(send)
    called = [callout for callout in every if callout.matches(path)]
    if unacted := next((callout.unacted for callout in called if callout.unacted), ""):
        await answer.refuse(RequestRefused(501, "Not Implemented", unacted))
        return
    try:
        body = await read_body(receive, {})
    except RequestRefused as why:
        await answer.refuse(why)
        return
    if await _stopped(answer, called, lambda callout: callouts.judged_prompt(callout, path, body)):
        return
    held = _HeldAnswer(callouts, called, (path, prompt_of(path, body)[1]), send)
    await onwards(_again(body, receive), held)


class _HeldAnswer:
    """Holds an answer that is read until it is whole; every other one goes through as it comes."""

    def __init__(
        self, callouts: ContentCallouts, called: Sequence[ContentCallout], asked: tuple[str, str], send: Send
    ) -> None:
        self._callouts, self._called, self._send = callouts, called, send
        self._path, self._model = asked
        self._start: Message | None = None
        self._type = ""
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        """Take one message of the answer."""
        if message["type"] == "http.response.start":
            self._type = _content_type(message)
            if self._called and message["status"] == 200 and is_read(self._path, self._type):
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            await self._whole(self._start)

    async def _whole(self, start: Message) -> None:
        body = bytes(self._body)

        def judged(callout: ContentCallout) -> Awaitable[BlockedText | None]:
            return self._callouts.judged_answer(callout, self._path, self._model, (self._type, body))

        if await _stopped(SentAnswer(self._send), tuple(reversed(self._called)), judged):
            return
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


async def _stopped(
    answer: SentAnswer,
    called: Sequence[ContentCallout],
    judged: Callable[[ContentCallout], Awaitable[BlockedText | None]],
) -> bool:
    """Return True if one of them stopped it, or failed and does not fail open; the client has been told then."""
    for callout in called:
        try:
            blocked = await judged(callout)
        except CalloutFailed:
            if callout.fail_open:
                continue
            await answer.refuse(_closed())
            return True
        if blocked is not None:
            await _say(answer, blocked)
            return True
    return False


def _content_type(message: Mapping[str, Any]) -> str:  # Any: ASGI
    return next(
        (value.decode("latin-1") for name, value in message["headers"] if name.lower() == b"content-type"), ""
    )


def _closed() -> RequestRefused:
    """Return the generic 500 of a callout that failed and does not fail open."""
    return RequestRefused(
        500, "Server Error", "The server encountered an error and could not complete your request."
    )


async def _say(answer: SentAnswer, blocked: BlockedText) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(blocked.body)).encode())]
    await answer.begin(blocked.status, headers)
    await answer.whole(blocked.body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read once more, and then whatever comes."""
    rest = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return rest.pop() if rest else await receive()

    return next_message


__all__ = ["screened"]
