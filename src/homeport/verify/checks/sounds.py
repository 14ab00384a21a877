"""Does a sound in a chat arrive; and where the model hears none, is that the client's mistake?"""

from __future__ import annotations

import base64
import math
import struct

from homeport.engines.conformance import Feature
from homeport.errors import EndpointError
from homeport.json_types import Json
from homeport.verify.checks.promised import NOT_ITS_OWN, told
from homeport.verify.report import Finding, VerificationSubject, failed, noted, passed, skipped

_ASKED = "What do you hear?"
_RATE, _SECONDS, _PITCH = 16_000, 1, 440
_UNTRIED = "its weights hear, and nobody here has tried the engine with one that does"
_BROKEN = base64.b64encode(b"no sound").decode()


async def sound(subject: VerificationSubject) -> Finding:
    """
    Check that a sound adds tokens to its prompt, and that what is none gets 4xx.

    Of a model that hears none, that a sound is refused as a client's mistake, and not passed over. Where its weights hear and
    nobody has tried the engine, what is otherwise is noted.
    """
    if not subject.model.instruct:
        return skipped("a pretrained model continues text; it has no chats")
    return await (_check_refused(subject) if subject.hears is False else _check_heard(subject))


async def _check_heard(subject: VerificationSubject) -> Finding:
    bare = await _tokens(subject, [])
    try:
        with_sound = await _tokens(subject, [_wav()])
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        return _otherwise(subject, f"a sound is refused: {error}")
    if with_sound <= bare:
        return _otherwise(
            subject, f"a sound adds no token to its prompt: {bare} without, {with_sound} with it"
        )
    heard = f"{_SECONDS} s of sound is {with_sound - bare} tokens"
    try:
        await _tokens(subject, [_BROKEN])
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        if error.status >= 500:
            return told(subject, {Feature.SOUND: f"what is no sound gets {error.status}, not 4xx"}, "")
        return passed(f"{heard}; what is none gets {error.status}", tokens=with_sound - bare)
    return told(subject, {Feature.SOUND: "what is no sound is taken for one"}, "")


def _otherwise(subject: VerificationSubject, problem: str) -> Finding:
    return failed(problem) if subject.hears else noted(f"{problem} ({_UNTRIED})")


async def _check_refused(subject: VerificationSubject) -> Finding:
    try:
        with_sound = await _tokens(subject, [_wav()])
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        if error.status >= 500:
            problem = f"it hears nothing, and a sound gets {error.status}, not 4xx"
            return told(subject, {Feature.SOUND: problem}, "", status=error.status)
        return passed(f"it hears nothing, and a sound is refused with {error.status}", status=error.status)
    bare = await _tokens(subject, [])
    if with_sound > bare:
        problem = f"it was not said to hear, and a sound adds {with_sound - bare} tokens"
    else:
        problem = f"it hears nothing, and a sound is passed over in silence: {bare} tokens without, {with_sound} with it"
    return told(subject, {Feature.SOUND: problem}, "")


async def _tokens(subject: VerificationSubject, sounds: list[str]) -> int:
    parts: list[Json] = [
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}} for data in sounds
    ]
    content: list[Json] = [*parts, {"type": "text", "text": _ASKED}]
    request: dict[str, Json] = {
        "model": subject.endpoint.model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 4,
        "temperature": 0,
    }
    completion = await subject.endpoint.post("/v1/chat/completions", request)
    return int(completion["usage"]["prompt_tokens"])


def _wav() -> str:
    """Return a tone as a WAV of 16-bit samples, as clients put it into a chat."""
    count = _RATE * _SECONDS
    samples = (round(8000 * math.sin(2 * math.pi * _PITCH * at / _RATE)) for at in range(count))
    data = struct.pack(f"<{count}h", *samples)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE * 2, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return base64.b64encode(struct.pack("<4sI", b"RIFF", len(body)) + body).decode()
