"""Does a picture in a chat arrive; and where the model sees none, is that the client's mistake?"""

from __future__ import annotations

import base64
import struct
import zlib

from homeport.engines.conformance import Feature
from homeport.errors import EndpointError
from homeport.json_types import Json
from homeport.verify.checks.promised import NOT_ITS_OWN, told
from homeport.verify.report import Finding, VerificationSubject, failed, passed, skipped

_ASKED = "What is in the picture?"
_SIDE = 64
_BROKEN = "data:image/png;base64,AAAA"


async def picture(subject: VerificationSubject) -> Finding:
    """
    Check that a picture adds tokens to its prompt, and that what is none gets 4xx.

    Of a model that sees none, that a picture is refused as a client's mistake, and not passed over.
    """
    if not subject.model.instruct:
        return skipped("a pretrained model continues text; it has no chats")
    return await (_check_seen(subject) if subject.sees else _check_refused(subject))


async def _check_seen(subject: VerificationSubject) -> Finding:
    bare = await _tokens(subject, [])
    with_picture = await _tokens(subject, [_png((255, 0, 0))])
    if with_picture <= bare:
        return failed(
            f"a picture adds no token to its prompt: {bare} without, {with_picture} with it",
            without=bare,
            with_picture=with_picture,
        )
    try:
        await _tokens(subject, [_BROKEN])
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        if error.status >= 500:
            return told(subject, {Feature.IMAGES: f"what is no picture gets {error.status}, not 4xx"}, "")
        return passed(
            f"a picture is {with_picture - bare} tokens; what is none gets {error.status}",
            tokens=with_picture - bare,
        )
    return told(subject, {Feature.IMAGES: "what is no picture is taken for one"}, "")


async def _check_refused(subject: VerificationSubject) -> Finding:
    try:
        with_picture = await _tokens(subject, [_png((255, 0, 0))])
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        if error.status >= 500:
            problem = f"it sees no pictures, and one gets {error.status}, not 4xx"
            return told(subject, {Feature.IMAGES: problem}, "", status=error.status)
        return passed(f"it sees no pictures, and one is refused with {error.status}", status=error.status)
    bare = await _tokens(subject, [])
    if with_picture > bare:
        problem = f"it was not said to see, and a picture adds {with_picture - bare} tokens"
    else:
        problem = f"it sees no pictures, and one is passed over in silence: {bare} tokens without, {with_picture} with it"
    return told(subject, {Feature.IMAGES: problem}, "")


async def _tokens(subject: VerificationSubject, pictures: list[str]) -> int:
    parts: list[Json] = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    content: list[Json] = [*parts, {"type": "text", "text": _ASKED}]
    request: dict[str, Json] = {
        "model": subject.endpoint.model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 4,
        "temperature": 0,
    }
    completion = await subject.endpoint.post("/v1/chat/completions", request)
    return int(completion["usage"]["prompt_tokens"])


def _png(colour: tuple[int, int, int]) -> str:
    """Return a picture of one colour, as clients put it into a chat."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * _SIDE) * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()
