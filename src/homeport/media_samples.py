"""A picture and a sound, as clients put them into a chat: small, of one colour and of one tone."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from functools import cache

_SIDE = 64
_RATE, _PITCH = 16_000, 440
SOUND_SECONDS = 1


def png(colour: tuple[int, int, int] = (255, 0, 0)) -> str:
    """Return a picture of one colour, as an address that holds it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * _SIDE) * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


@cache
def wav() -> str:
    """Return a tone as a WAV of 16-bit samples, in base64."""
    count = _RATE * SOUND_SECONDS
    samples = (round(8000 * math.sin(2 * math.pi * _PITCH * at / _RATE)) for at in range(count))
    data = struct.pack(f"<{count}h", *samples)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE * 2, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return base64.b64encode(struct.pack("<4sI", b"RIFF", len(body)) + body).decode()


__all__ = ["SOUND_SECONDS", "png", "wav"]
