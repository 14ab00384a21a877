"""Does a picture in a chat arrive; and where the model sees none, is that the client's mistake?"""

from __future__ import annotations

from homeport.engines.conformance import Feature
from homeport.media_samples import png
from homeport.verify.checks.media import Medium, check_medium
from homeport.verify.report import Finding, VerificationSubject


async def picture(subject: VerificationSubject) -> Finding:
    """
    Check that a picture adds tokens to its prompt, and that what is none gets 4xx.

    Of a model that sees none, that a picture is refused as a client's mistake, and not passed over.
    """
    return await check_medium(subject, _PICTURE, subject.sees)


_PICTURE = Medium(
    feature=Feature.IMAGES,
    question="What is in the picture?",
    part=lambda url: {"type": "image_url", "image_url": {"url": url}},
    sample=png,
    broken="data:image/png;base64,AAAA",
    name="picture",
    one="one",
    measure="a picture",
    takes_none="it sees no pictures",
    verb="see",
)
