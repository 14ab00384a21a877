"""A way to a rehearsed cloud in the test's own process that no client of HTTP lies on: half of a call's cost was its."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.cloud import Cloud, Dropped
from gcp_rehearsal.door import DOOR
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.testing import InProcessServer
from homeport.google.retry import Lost
from homeport.google.wire import WireRequest, url_of

_WITH_LENGTH = frozenset(("PATCH", "POST", "PUT"))
"""Of which clients of HTTP say how long their body is, even where there is none."""


@dataclass(frozen=True, slots=True)
class StraightAnswer:
    """An answer of the cloud's, as a client of HTTP would have read it."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    def json(self) -> Any:  # Any: JSON
        return json.loads(self.content)


class Straight:
    """Asks a cloud, which takes `latency` seconds; test_straight.py holds it to what `Rehearsed` does."""

    def __init__(self, cloud: Cloud, *, latency: float = 0.0) -> None:
        self._cloud, self._server = cloud, InProcessServer(cloud, latency=latency)

    async def carry(self, request: WireRequest) -> StraightAnswer:
        target, query = _target(request.address, request.query)
        content = request.content or b""
        headers = request.headers
        if content or request.verb in _WITH_LENGTH:
            headers = {**headers, "content-length": str(len(content))}
        try:
            asked = DOOR.request_target(target, headers.items())
        except ApiError as error:
            return _answer(self._cloud.refused("", error))
        sent = Request(
            verb=request.verb, host=asked.host, path=asked.path, query=query, headers=headers, body=content
        )
        try:
            return _answer(await self._server.answer(sent))
        except Dropped:
            what = "the connection broke: Server disconnected without sending a response."
            raise Lost(what, sent=True) from None

    async def aclose(self) -> None: ...


@lru_cache(maxsize=1024)
def _target(address: str, query: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """The target and the query of an address, escaped as they are on a line."""
    url = url_of(address, query)
    return url.raw_path.decode(), url.query.decode()


def _answer(reply: Reply) -> StraightAnswer:
    return StraightAnswer(
        reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.body or b""
    )
