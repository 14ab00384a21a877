"""How requests to an endpoint are signed: for httpx2 clients of both kinds, and so for OpenAI's own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2

from homeport.endpoint.start import NOT_YET, Start
from homeport.google.retry import wait_of
from homeport.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from homeport.endpoint.identity import Identity

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
_SHORTEST_PAUSE_S = 0.1
"""Also where `Retry-After` says 0."""
HTTPX2_REDIRECTS = 20
"""What an httpx2 client takes for `max_redirects` unless it is told."""
REDIRECTS = 10_000
"""For clients of ours, which follow none: more than fit into any patience."""


class AnswerHead(NamedTuple):
    """What of an answer tells whether the same is to be asked again; headers by any spelling of their names."""

    status: int
    headers: Mapping[str, str]


class Bearer(httpx2.Auth):
    """
    Sends the token of `identity`, or the `key`, to the origin of `base_url` and to no other.

    A token that is not taken (401) is renewed once. With an identity, 429 and 503 are waited out for up to
    `patience_s` seconds, as long as `Retry-After` asks for: so answers a service that starts from zero. What is
    the last answer then is the answer. With a `start`, they are waited out until the endpoint has answered something
    else, and are the answer from then on: what limits requests is to be seen. With `via`, requests go to that address,
    under `base_url`'s host as Host.

    httpx2 counts a request that is sent again as a redirect, and fails after its client's `max_redirects` of them:
    patience ends before that, so it must be told here, too.
    """

    def __init__(  # noqa: PLR0913 - who signs, for where, and how long it waits
        self,
        base_url: str,
        *,
        identity: Identity | None = None,
        key: Secret | None = None,
        via: str = "",
        patience_s: float = 0.0,
        max_redirects: int = HTTPX2_REDIRECTS,
        start: Start | None = None,
    ) -> None:
        self._origin = _origin(httpx2.URL(base_url))
        self._identity, self._key = identity, key
        self._via = httpx2.URL(via) if via else None
        self._patience_s, self._again = patience_s, max_redirects
        self._start = start

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Sign requests of an `httpx2.AsyncClient`. Raises what the identity raises."""
        if self._signing(request) is None:
            yield request
            return
        attempts = self.attempts()
        token = await anext(attempts)
        while True:
            response = yield _signed(request, token)
            try:
                token = await attempts.asend(AnswerHead(response.status_code, response.headers))
            except StopAsyncIteration:
                return

    async def attempts(self) -> AsyncGenerator[Secret, AnswerHead]:
        """
        Yield the token for each attempt at a request, and take the head of its answer; ends with the last attempt.

        Yields nothing where there is no identity. For clients that are not httpx2's. Raises what the identity raises.
        """
        identity = self._identity
        if identity is None:
            return
        clock = asyncio.get_running_loop().time
        pauses = _Pauses(clock() + self._patience_s, self._again, self._start)
        token = await identity.token()
        head = yield token
        if head.status == 401:
            pauses.again -= 1
            token = await identity.renewed(token)
            head = yield token
        while (pause := pauses.before_another(head, clock())) is not None:
            await asyncio.sleep(pause)
            head = yield await identity.token()

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sign requests of an `httpx2.Client`. Raises what the identity raises."""
        identity = self._signing(request)
        if identity is None:
            yield request
            return
        pauses = _Pauses(time.monotonic() + self._patience_s, self._again, self._start)
        token = self._awaited(identity.token())
        response = yield _signed(request, token)
        if response.status_code == 401:
            pauses.again -= 1
            token = self._awaited(identity.renewed(token))
            response = yield _signed(request, token)
        while (
            pause := pauses.before_another(
                AnswerHead(response.status_code, response.headers), time.monotonic()
            )
        ) is not None:
            time.sleep(pause)
            response = yield _signed(request, self._awaited(identity.token()))

    def _signing(self, request: httpx2.Request) -> Identity | None:
        """Return who signs the request, if it goes to the endpoint and a key does not do. Turns it to `via`."""
        if _origin(request.url) != self._origin:
            return None
        if self._via is not None:
            request.headers.setdefault("Host", request.url.netloc.decode("ascii"))
            request.url = request.url.copy_with(
                scheme=self._via.scheme, host=self._via.host, port=self._via.port
            )
        if self._identity is None and self._key is not None:
            _signed(request, self._key)
        return self._identity

    @staticmethod
    def _awaited(work: Coroutine[Any, Any, Secret]) -> Secret:  # Any: what it yields is its loop's business
        from homeport.sync import run

        return run(work)


class _Pauses:
    """
    The pauses before the same request is sent again, each longer than the one before, up to some seconds: or up to
    more, where the tries would be used up before the patience is.
    """

    def __init__(self, until: float, again: int, start: Start | None) -> None:
        self._until, self._start = until, start
        self.again = again
        """How often it may be."""
        self._next = _FIRST_PAUSE_S

    def before_another(self, answer: AnswerHead, now: float) -> float | None:
        """Return the seconds to wait before another attempt; None where the answer is the last one."""
        if self._start is not None:
            self._start.heard(answer.status)
            if self._start.over:
                return None
        if answer.status not in NOT_YET or self.again == 0:
            return None
        longest = max(_LONGEST_PAUSE_S, (self._until - now) / (self.again + 1))
        self.again -= 1
        headers = answer.headers
        requested = wait_of(headers.get("retry-after", ""), headers.get("date", ""))
        usual = min(self._next, longest)
        pause = usual * random.uniform(0.8, 1.2) if requested is None else max(requested, _SHORTEST_PAUSE_S)  # noqa: S311 - spreads load
        self._next = usual * 1.6
        return pause if now + pause < self._until else None


def _signed(request: httpx2.Request, token: Secret) -> httpx2.Request:
    request.headers["Authorization"] = f"Bearer {token.reveal()}"
    return request


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
