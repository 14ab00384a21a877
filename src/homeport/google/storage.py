"""Objects of Cloud Storage, as bytes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from homeport.errors import Conflict, GoogleError
from homeport.google.call import Call

if TYPE_CHECKING:
    from homeport.google.client import Google

_PER_SECOND = 256 * 1024
"""The slowest line that an upload is given time for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """What kind of object it shall be."""

    content_type: str = "application/octet-stream"
    if_generation_match: int | None = None
    """The generation that it must have to be replaced; 0 for one that must not exist."""


async def upload(google: Google, bucket: str, name: str, data: bytes, sort: Sort) -> Any:  # Any: JSON
    """
    The object made of `data`, sent in one piece: meant for what fits in memory.

    It is sent again after a lost answer: the same bytes twice are the same object. Raises `Conflict` where the
    object is of another generation than `sort` asks for, unless it holds these very bytes.
    """
    call = Call(
        verb="POST",
        api="storage",
        path=f"upload/storage/v1/b/{bucket}/o",
        query={"uploadType": "media", "name": name, "ifGenerationMatch": sort.if_generation_match},
        content=data,
        content_type=sort.content_type,
        waits=len(data) / _PER_SECOND,
    )
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    try:
        made = (await google.send(call)).json()
    except Conflict:
        made = await google.get("storage", f"storage/v1/b/{bucket}/o/{quote(name, safe='')}")
        if made.get("md5Hash") != md5:
            raise
    if made.get("md5Hash", md5) != md5:
        raise GoogleError(
            f"gs://{bucket}/{name} arrived damaged: its MD5 is {made['md5Hash']}, not {md5}",
            request=f"POST storage.googleapis.com/{call.path}",
            hint="run the same command again",
        )
    return made
