"""Does a sound in a chat arrive; and where the model hears none, is that the client's mistake?"""

from __future__ import annotations

import base64

from homeport.engines.conformance import Feature
from homeport.media_samples import SOUND_SECONDS, wav
from homeport.verify.checks.media import Medium, check_medium
from homeport.verify.report import Finding, VerificationSubject


async def sound(subject: VerificationSubject) -> Finding:
    """
    Check that a sound adds tokens to its prompt, and that what is none gets 4xx.

    Of a model that hears none, that a sound is refused as a client's mistake, and not passed over. Where its weights hear and
    nobody has tried the engine, what is otherwise is noted.
    """
    return await check_medium(subject, _SOUND, subject.hears)


_SOUND = Medium(
    feature=Feature.SOUND,
    question="What do you hear?",
    part=lambda data: {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    sample=wav,
    broken=base64.b64encode(b"no sound").decode(),
    name="sound",
    one="a sound",
    measure=f"{SOUND_SECONDS} s of sound",
    takes_none="it hears nothing",
    verb="hear",
    untried="its weights hear, and nobody here has tried the engine with one that does",
)
