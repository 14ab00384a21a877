"""
One asynchronous client for all of Google's APIs: plain JSON in and out.

Every call has a deadline, is sent again where that is safe (`retry`), and raises the errors of `homeport.errors`
(`errors`). A POST is only sent again after a lost answer where the caller says `repeatable=True`, which is right
for creates by name and for writes under an etag, or where it carries a `requestId`; the client gives one to
whatever changes something in Compute. A repeatable create whose answer was lost, and which then finds that the
thing exists, raises `AlreadyExists` with the reason `AFTER_RETRY`: read what is there. Any other POST whose answer
was lost raises `GoogleError` with the reason `ANSWER_LOST`. After a lost answer a DELETE may end in `NotFound`, and a
write under an etag in `Conflict`: what was asked for may be done.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from homeport.errors import GoogleError, HomeportError, NetworkError, PermissionDenied
from homeport.google import listing, operations, storage
from homeport.google.call import ApiCall, with_request_id
from homeport.google.credentials import Credentials, find
from homeport.google.error_kinds import GoogleAlreadyExists
from homeport.google.errors import AFTER_RETRY, ANSWER_LOST, RequestContext, error_of
from homeport.google.exchange import user_agent
from homeport.google.refusal import read
from homeport.google.retry import Again, Lost, Pace, Patience, Tries, TryRefused, repeated, wait_of
from homeport.google.validation import Malformed, Validator, by_documents
from homeport.google.wire import HttpWire, Wire, WireAnswer, WireRequest
from homeport.json_types import Json
from homeport.progress import Progress, Silent

if TYPE_CHECKING:
    import httpx2

_RUN_AGAIN = "run the same command again: it looks what is there and goes on from it"
_PACE = Pace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How patient the client is, in seconds, and how much it does at once."""

    deadline: float = 180.0
    """For a whole call, with all its tries."""
    attempt: float = 60.0
    """For one try."""
    connect: float = 10.0
    """For a connection to come about."""
    parallel: int = 16
    """Requests under way at one time; those that only wait for an operation are not counted."""
    pace: Pace = _PACE
    """Of tries after a refusal or a lost answer."""


class Google:
    """
    Google's APIs for the owner of `credentials`. `api` is the first word of a host (`run`), `path` what follows it.

    With a `base_url` everything goes there instead, with the API's own name as Host. `transport` is
    httpx2's, or a way of its own instead of HTTP. `validator` is asked about each request before it is sent.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        project: str = "",
        transport: httpx2.AsyncBaseTransport | Wire | None = None,
        base_url: str = "",
        settings: Settings = Settings(),
        validator: Validator | None = None,
    ) -> None:
        self.credentials = credentials
        self.project = project
        """The project that is worked on; used in hints, and where an operation does not name its own."""
        self.settings = settings
        self.note: Callable[[str], None] = Silent().note
        """Told of a wait that nobody would see the reason of."""
        self._base_url = base_url.rstrip("/")
        self._validator = validator
        self._patience = Patience()
        self._slots = asyncio.Semaphore(settings.parallel)
        self._turns: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._always = {"user-agent": user_agent(), "accept": "application/json"}
        self._wire = (
            transport
            if isinstance(transport, Wire)
            else HttpWire(self._base_url, transport, connect=settings.connect, parallel=settings.parallel)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._wire.aclose()

    def patient(self, seconds: float = 0.0, *, apis: float = 0.0, accounts: float = 0.0) -> Self:
        """
        Return a client that expects that something is not seen everywhere yet: for so many seconds more, an
        API that is off (`apis`), a service account that does not exist or lacks what it was granted
        (`accounts`) and a permission that the caller lacks are asked for again. `seconds` is for all three.
        """
        before = self._patience
        patience = Patience(
            apis=max(before.apis, seconds, apis),
            accounts=max(before.accounts, seconds, accounts),
            caller=max(before.caller, seconds),
        )
        return self._but(_patience=patience)

    def telling(self, note: Callable[[str], None]) -> Self:
        """Return a client whose waits are told."""
        return self._but(note=note)

    def within(self, seconds: float) -> Self:
        """Return a client with another deadline for each call."""
        return self._but(settings=replace(self.settings, deadline=seconds))

    def in_turn(self, thing: Hashable) -> asyncio.Lock:
        """Return what is held while a thing is read, changed and written, so that this client never fights with itself."""
        return self._turns[thing]

    async def get(self, api: str, path: str, **query: Any) -> Any:  # Any: JSON; see Call.query
        """Return what is there."""
        return _json(await self.send(ApiCall(verb="GET", api=api, path=path, query=query)))

    async def post(
        self, api: str, path: str, body: Any = None, *, repeatable: bool = False, **query: Any
    ) -> Any:  # Any: JSON; see Call.query
        """Return what came of it. `repeatable` says that to do it twice is to do it once, or is refused."""
        call = ApiCall(verb="POST", api=api, path=path, body=body, query=query, repeatable=repeatable)
        return _json(await self.send(call))

    async def put(
        self, api: str, path: str, body: Any = None, **query: Any
    ) -> Any:  # Any: JSON; see Call.query
        """Return what is there now."""
        return _json(await self.send(ApiCall(verb="PUT", api=api, path=path, body=body, query=query)))

    async def patch(
        self, api: str, path: str, body: Any = None, **query: Any
    ) -> Any:  # Any: JSON; see Call.query
        """Return what is there now, or the operation that makes it so."""
        return _json(await self.send(ApiCall(verb="PATCH", api=api, path=path, body=body, query=query)))

    async def delete(self, api: str, path: str, **query: Any) -> Any:  # Any: JSON; see Call.query
        """Return what came of it: {}, or the operation that does it."""
        return _json(await self.send(ApiCall(verb="DELETE", api=api, path=path, query=query)))

    async def pages(
        self, api: str, path: str, key: str, **query: Any
    ) -> AsyncIterator[Any]:  # Any: JSON; see Call.query
        """Yield everything under `key` (such as `services`) on all pages. Raises `Incomplete` where Google left some out."""
        async for page, lacks in listing.pages(lambda token: self.get(api, path, **query, pageToken=token)):
            if lacks:
                raise listing.incomplete(lacks, path)
            for item in page.get(key) or ():
                yield item

    async def content(
        self, api: str, path: str, *, first: int | None = None, **query: Any
    ) -> bytes:  # Any: see Call.query
        """Return the bytes that are there, such as an object's with `alt="media"`; no more than the `first` so many."""
        span = f"bytes=0-{first - 1}" if first is not None else ""
        call = ApiCall(verb="GET", api=api, path=path, query=query, byte_range=span)
        return (await self.send(call)).content[:first]

    async def upload(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        if_generation_match: int | None = None,
        content_type: str = "application/octet-stream",
    ) -> Json:
        """Return the object that was made of `data`. See `storage.upload`."""
        sort = storage.UploadOptions(content_type=content_type, if_generation_match=if_generation_match)
        return await storage.upload(self, bucket, name, data, sort)

    async def upload_file(
        self, bucket: str, name: str, path: Path, *, sha256: str | None, tell: Callable[[int], None]
    ) -> storage.Sent:
        """Return the object that was made of a file of any size. See `storage.upload_file`."""
        return await storage.upload_file(self, storage.LocalFile(bucket, name, path, sha256), tell)

    async def finish(
        self,
        api: str,
        operation: Any,  # Any: JSON, or its name
        *,
        progress: Progress | None = None,
        key: str = "",
        what: str = "",
        deadline: float = operations.LONGEST,
    ) -> Json:
        """Return what a long-running operation came to. See `operations.finish`."""
        label = operations.ProgressLabel(progress or Silent(), key, what)
        return await operations.finish(self, api, operation, label, deadline=deadline)

    async def cancel(self, api: str, operation: Any) -> None:  # Any: JSON, or its name
        """Ask Google to give an operation up; what it has done stays done."""
        await operations.cancel(self, api, operation)

    async def send(self, call: ApiCall) -> WireAnswer:
        """Return the answer to a call, sent as often as need be. Raises the errors of `homeport.errors`."""
        self._validate(call)
        call = with_request_id(call)
        seconds = max(self.settings.deadline, call.waits) + self._patience.longest
        begun = asyncio.get_running_loop().time()
        tries = Tries(
            self.settings.pace, repeatable=call.repeatable, until=begun + seconds, patience=self._patience
        )
        try:
            async with asyncio.timeout(seconds):
                return await repeated(tries, self.settings.pace, lambda: self._once(call))
        except TimeoutError:
            raise _late(call, tries, seconds) from None
        except TryRefused as refused:
            raise await self._error(call, refused, tries) from None
        except Lost as lost:
            raise _lost(call, lost, tries) from None

    def _validate(self, call: ApiCall) -> None:
        if self._validator is None or call.is_registry:
            return
        from urllib.parse import urlencode

        path = f"{call.path}?{urlencode(call.texts)}" if call.texts else call.path
        wrong = self._validator(call.host, call.verb, path, call.body)
        if wrong:
            raise Malformed(f"{call.verb} {call.host}/{path}", wrong)

    async def _once(self, call: ApiCall) -> WireAnswer:
        token = await self.credentials.token()
        answer = await self._sent(call, token.reveal())
        if answer.status_code == 401:
            renewed = await self.credentials.renewed(token)
            answer = await self._sent(call, renewed.reveal())
        if answer.is_success or answer.status_code in call.accepts:
            return answer
        refusal = read(answer.status_code, answer.content)
        wait = wait_of(answer.headers.get("retry-after", ""), answer.headers.get("date", ""))
        raise TryRefused(refusal, refusal.delay if wait is None else wait)

    async def _sent(self, call: ApiCall, token: str) -> WireAnswer:
        if call.waits:
            # Sixteen that wait for an operation must not keep others from reading.
            return await self._tried(call, token)
        async with self._slots:
            return await self._tried(call, token)

    async def _tried(self, call: ApiCall, token: str) -> WireAnswer:
        headers = {**self._always, "authorization": f"Bearer {token}"}
        content = call.content
        if content is None and call.body is not None:
            content, headers["content-type"] = _encoded(call.body), "application/json"
        if self.credentials.quota_project:
            headers["x-goog-user-project"] = self.credentials.quota_project
        seconds = self.settings.attempt + call.waits
        request = WireRequest(
            verb=call.verb,
            address=f"{self._base_url or f'https://{call.host}'}/{call.path}",
            query=call.texts,
            headers={**headers, **call.headers},
            content=content,
            seconds=seconds,
        )
        try:
            async with asyncio.timeout(seconds):
                return await self._wire.carry(request)
        except TimeoutError:
            raise Lost(f"no answer within {seconds:g} s", sent=True) from None

    async def _error(self, call: ApiCall, refused: TryRefused, tries: Tries) -> HomeportError:
        request = self._context(call)
        lost = refused.again is Again.LOST
        if lost and not call.repeatable:
            return _lost(call, Lost(f"{refused.refusal.code} {refused.refusal.message}", sent=True), tries)
        error = error_of(refused.refusal, request)
        if isinstance(error, PermissionDenied) and not request.principal:
            error = error_of(refused.refusal, replace(request, principal=await self._who()))
        if isinstance(error, GoogleAlreadyExists) and tries.maybe_done:
            error.reason = AFTER_RETRY
            error.hint = _RUN_AGAIN
        return error

    async def _who(self) -> str:
        try:
            return await self.credentials.who()
        except HomeportError:
            return ""

    def _context(self, call: ApiCall) -> RequestContext:
        return RequestContext(
            verb=call.verb,
            host=call.host,
            path=call.path,
            project=self.project,
            principal=self.credentials.principal,
        )

    def _but(self, **changes: Any) -> Self:  # Any: whatever the attributes are
        view = copy.copy(self)
        vars(view).update(changes)
        return view


async def from_env(
    env: Mapping[str, str], *, project: str = "", impersonate: str = "", settings: Settings | None = None
) -> Google:
    """Return a client as the environment `env` tells it: whose credentials (`credentials.find`), which
    project (`project_of`), whether another address stands in (`HOMEPORT_GOOGLE_URL`), and whether requests
    are checked before they are sent (`HOMEPORT_VALIDATE=1`).
    """
    base_url = env.get("HOMEPORT_GOOGLE_URL", "")
    return Google(
        await find(env, impersonate=impersonate, base_url=base_url),
        project=project or await asyncio.to_thread(project_of, env),
        base_url=base_url,
        settings=settings or Settings(),
        validator=by_documents() if env.get("HOMEPORT_VALIDATE") == "1" else None,
    )


def project_of(env: Mapping[str, str]) -> str:
    """Return the project that `env` names (`GOOGLE_CLOUD_PROJECT`), else the one that is set in gcloud; '' for none."""
    from homeport.google import gcloud

    named = env.get("GOOGLE_CLOUD_PROJECT") or env.get("CLOUDSDK_CORE_PROJECT", "")
    command = None if named else gcloud.find(env)
    return command.project() if command else named


def _encoded(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _late(call: ApiCall, tries: Tries, seconds: float) -> NetworkError:
    last = f"; {tries.count} tries failed, the last with: {tries.last}" if tries.count else ""
    unknown = "" if call.repeatable else "what came of it is not known: "
    return NetworkError(
        f"{call.text} was not answered within {seconds:g} s{last}",
        hint=unknown + _RUN_AGAIN,
    )


def _lost(call: ApiCall, lost: Lost, tries: Tries) -> HomeportError:
    if lost.sent and not call.repeatable:
        return GoogleError(
            f"what came of {call.text} is not known: {lost}",
            reason=ANSWER_LOST,
            request=call.text,
            hint=_RUN_AGAIN,
        )
    return NetworkError(
        f"{call.text} failed {tries.count} times: {lost}", hint="check the network, and run it again"
    )


def _json(answer: WireAnswer) -> Json:
    return answer.json() if answer.content else {}
