"""Does a sound in a chat arrive; and where the model hears none, is that the client's mistake?"""

from __future__ import annotations

import base64
import math
import struct

from homeport.engines.conformance import Feature
from homeport.verify.checks.media import Medium, check_medium
from homeport.verify.report import Finding, VerificationSubject

_RATE, _SECONDS, _PITCH = 16_000, 1, 440


async def sound(subject: VerificationSubject) -> Finding:
    """
    Check that a sound adds tokens to its prompt, and that what is none gets 4xx.

    Of a model that hears none, that a sound is refused as a client's mistake, and not passed over. Where its weights hear and
    nobody has tried the engine, what is otherwise is noted.
    """
    return await check_medium(subject, _SOUND, subject.hears)


def _wav() -> str:
    """Return a tone as a WAV of 16-bit samples, as clients put it into a chat."""
    count = _RATE * _SECONDS
    samples = (round(8000 * math.sin(2 * math.pi * _PITCH * at / _RATE)) for at in range(count))
    data = struct.pack(f"<{count}h", *samples)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE * 2, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return base64.b64encode(struct.pack("<4sI", b"RIFF", len(body)) + body).decode()


_SOUND = Medium(
    feature=Feature.SOUND,
    question="What do you hear?",
    part=lambda data: {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    sample=_wav,
    broken=base64.b64encode(b"no sound").decode(),
    name="sound",
    one="a sound",
    measure=f"{_SECONDS} s of sound",
    takes_none="it hears nothing",
    verb="hear",
    untried="its weights hear, and nobody here has tried the engine with one that does",
)
