"""What is refused before anything is read: other names, web pages, no key, a path that is not known, a body too large."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from homeport import door
from homeport.gateway.apis import APIS, TextApi, is_without_text
from homeport.gateway.room import TakenRoom
from homeport.gateway.verdict import Reason, Refused
from homeport.relay.messages import Headers, Receive, Scope
from homeport.secret import Secret

MOST_BYTES = 8 * 2**20
"""Of a request: many times the text that a screen takes."""
_WHOLE_S = 60.0
"""As long may a request take to come: half of one holds room."""


class TurnedAway(Exception):
    """A request that is not let in, for a reason that has nothing to do with its text."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class HungUp(Exception):
    """The client has hung up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Who may come in."""

    key: Secret | None = None
    """What clients must show; None where somebody else keeps the door, as Cloud Run does."""
    own_names_only: bool = False
    """Whether a request must name this machine: where only this machine can reach it."""

    def admit(self, scope: Scope) -> None:
        """Raise `TurnedAway` for a request that may not come in."""
        headers: Headers = scope["headers"]
        against = door.objection(headers) if self.own_names_only else None
        if against is not None:
            raise TurnedAway(against.status, against.why)
        looks = scope["method"] in {"GET", "HEAD"} and scope["path"] == "/health"
        if self.key is not None and not looks and not door.has_key(headers, self.key):
            raise TurnedAway(401, "this endpoint wants its key")


ANYBODY = Entrance()
"""Lets in everybody who reaches it."""


def api_of(scope: Scope) -> TextApi | None:
    """Return the API that is asked for; None for what holds no text. Raises `Refused` for what is not known."""
    path, raw = scope["path"], scope["raw_path"]
    if raw != path.encode():
        raise Refused(Reason.UNKNOWN_API, f"the path is not spelt as it is usually: {path[:80]}")
    if is_without_text(scope["method"], path):
        return None
    if scope["method"] == "POST" and path in APIS:
        return APIS[path]
    raise Refused(
        Reason.UNKNOWN_API, f"the gateway does not know where the texts of {scope['method']} {path[:80]} are"
    )


def ensure_plain(headers: Headers) -> None:
    """Raise `TurnedAway` for a body that is packed, or that is longer than is taken."""
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise TurnedAway(
                415, "a body that is packed cannot be screened: send it without content-encoding"
            )
        if name == b"content-length" and value.isdigit() and int(value) > MOST_BYTES:
            raise _too_large()


async def read_body(receive: Receive, room: TakenRoom) -> bytes:
    """Return the body. Raises `TurnedAway` where it is too large or does not end, `Refused` where there is no room, `HungUp`."""
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_WHOLE_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HungUp
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > MOST_BYTES:
                    raise _too_large()
                room.grow(len(pieces[-1]))
                if not message.get("more_body"):
                    return b"".join(pieces)
    except TimeoutError:
        raise TurnedAway(408, f"the request was not whole within {_WHOLE_S:g} s") from None


def _too_large() -> TurnedAway:
    return TurnedAway(413, f"a request may have {MOST_BYTES // 2**20} MiB here")
