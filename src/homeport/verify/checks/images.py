"""Does a picture in a chat arrive; and where the model sees none, is that the client's mistake?"""

from __future__ import annotations

import base64
import struct
import zlib

from homeport.engines.conformance import Feature
from homeport.verify.checks.media import Medium, check_medium
from homeport.verify.report import Finding, VerificationSubject

_SIDE = 64


async def picture(subject: VerificationSubject) -> Finding:
    """
    Check that a picture adds tokens to its prompt, and that what is none gets 4xx.

    Of a model that sees none, that a picture is refused as a client's mistake, and not passed over.
    """
    return await check_medium(subject, _PICTURE, subject.sees)


def _png(colour: tuple[int, int, int]) -> str:
    """Return a picture of one colour, as clients put it into a chat."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * _SIDE) * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


_PICTURE = Medium(
    feature=Feature.IMAGES,
    question="What is in the picture?",
    part=lambda url: {"type": "image_url", "image_url": {"url": url}},
    sample=lambda: _png((255, 0, 0)),
    broken="data:image/png;base64,AAAA",
    name="picture",
    one="one",
    measure="a picture",
    takes_none="it sees no pictures",
    verb="see",
)
