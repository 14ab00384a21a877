"""Where a clause is tried, and what it makes there to be tried on."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

from homeport.errors import (
    AlreadyExists,
    ApiDisabled,
    Conflict,
    HomeportError,
    InvalidArgument,
    NetworkError,
    NoCredentials,
    NotFound,
    PermissionDenied,
    PolicyViolated,
    QuotaExceeded,
)
from homeport.google import Google
from homeport.google.errors import AFTER_RETRY, ANSWER_LOST
from homeport.google.operations import LONGEST, is_operation
from homeport.progress import Silent

REGION = "us-central1"
SEEN_S = 420.0
"""For how long a new account may be unknown elsewhere: see resources/patience.py."""


_SAYS_NOTHING = (ApiDisabled, NetworkError, NoCredentials, PermissionDenied, PolicyViolated, QuotaExceeded)
"""Why a clause could not be tried; of what it says that is no proof, nor of its opposite."""
_REFUSED = (
    *(kind for kind in _SAYS_NOTHING if kind is not NetworkError), AlreadyExists, Conflict, InvalidArgument, NotFound,
)  # fmt: skip
"""What a request is answered with that has made nothing."""
_STILL_S = 300.0
"""For how long a thing is waited for once more that is only to be removed: Google removes none that it is still making."""


_ACCOUNT_S = 60.0
"""For how long an account may not be found that was made a moment ago, and so not be removed."""


_T = TypeVar("_T")


class ClauseBroken(Exception):
    """Google, or what stands in for it, does otherwise than a clause says."""


def says_nothing(error: BaseException) -> bool:
    """Return True if a clause could not be tried for it: it is no proof of what the clause says, nor of the opposite."""
    lost = getattr(error, "reason", "") in {ANSWER_LOST, AFTER_RETRY}
    return lost or isinstance(error, _SAYS_NOTHING)


def expect(holds: bool, what: str) -> None:
    """Raise `ClauseBroken` unless it holds."""
    if not holds:
        raise ClauseBroken(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPlace:
    """Where a clause is tried."""

    google: Google
    name: str
    """What everything is called that a clause makes."""
    left: list[str] = field(default_factory=list)
    """What may still be there, since it could not be removed, and why."""

    @property
    def parent(self) -> str:
        """Return the project as most APIs name it in a path."""
        return f"v1/projects/{self.google.project}"

    @property
    def compute(self) -> str:
        """Return the project as Compute Engine names it in a path."""
        return f"compute/v1/projects/{self.google.project}"

    @asynccontextmanager
    async def secret(self) -> AsyncIterator[str]:
        """Make a secret without versions and give its path; it goes in the end."""
        body = {"replication": {"automatic": {}}, "labels": {"contract": self.name}}
        path = f"{self.parent}/secrets/{self.name}"
        create = partial(
            self.google.post, "secretmanager", f"{self.parent}/secrets", body, secretId=self.name
        )
        async with self.removing("secretmanager", path, create):
            yield path

    @asynccontextmanager
    async def bucket(self) -> AsyncIterator[str]:
        """Make an empty bucket and give its name; it goes in the end."""
        name = f"{self.google.project}-{self.name}"
        body = {"name": name, "location": REGION, "softDeletePolicy": {"retentionDurationSeconds": "0"}}
        create = partial(self.google.post, "storage", "storage/v1/b", body, project=self.google.project)
        async with self.removing("storage", f"storage/v1/b/{name}", create):
            try:
                yield name
            finally:
                async for item in self.google.pages("storage", f"storage/v1/b/{name}/o", "items"):
                    await self.google.delete("storage", f"storage/v1/b/{name}/o/{item['name']}")

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[str]:
        """Make a repository of images and give its path; it goes in the end."""
        parent = f"{self.parent}/locations/{REGION}/repositories"
        body = {"format": "DOCKER"}
        create = partial(self.google.post, "artifactregistry", parent, body, repositoryId=self.name)
        async with self.removing("artifactregistry", f"{parent}/{self.name}", create):
            yield f"{parent}/{self.name}"

    async def add_version(self, path: str, data: bytes) -> Any:  # Any: JSON
        """Return the new version of a secret that holds `data`."""
        payload = {"payload": {"data": base64.b64encode(data).decode()}}
        return await self.google.post("secretmanager", f"{path}:addVersion", payload)

    @asynccontextmanager
    async def made(
        self, api: str, path: str, body: Any, *, name: str = ""
    ) -> AsyncIterator[str]:  # Any: JSON
        """Make a thing of Compute Engine or DNS in the collection at `path`, and give its own path; it goes in the end."""
        own = f"{path}/{name or self.name}"
        create = partial(self.google.post, api, path, {"name": name or self.name, **body})
        async with self.removing(api, own, create):
            yield own

    @asynccontextmanager
    async def removing(
        self, api: str, path: str, create: Callable[[], Awaitable[Any]]
    ) -> AsyncIterator[None]:  # Any: JSON
        """
        Have `create` make what is at `path` then, wait until it is there, and remove it in the end.

        It goes, too, where its making takes too long, is broken off, or nobody knows what came of it; what cannot be
        removed then stands in `left`.
        """
        try:
            begun = await create()
        except BaseException as error:
            if not isinstance(error, _REFUSED) or getattr(error, "reason", "") == AFTER_RETRY:
                await self._clear(api, path, None)
            raise
        try:
            await self.finish(api, begun)
            yield
        except BaseException:
            await self._clear(api, path, begun)
            raise
        await self._remove(api, path)

    async def _remove(self, api: str, path: str) -> None:
        """Remove what is at `path`, also where that is broken off: what uses other things must go before they can."""

        async def remove() -> None:
            with suppress(NotFound):  # Where the answer to a removal was lost, it is asked for again.
                await self.finish(api, await self.google.delete(api, path))

        await self.ensured(remove(), path)

    async def ensured(self, removal: Coroutine[object, object, _T], what: str) -> _T:
        """Return what came of a removal, which goes on to its end also where it is broken off; if not, `what` stands in `left`."""
        task = asyncio.create_task(removal)
        try:
            return await asyncio.shield(task)
        except BaseException:
            try:
                await asyncio.wait({task})
            finally:
                if task.cancel() or task.cancelled():
                    self.left.append(f"{what} (its removal was broken off)")
                elif task.exception() is not None:
                    self.left.append(f"{what} ({task.exception()})")
            raise

    async def _clear(self, api: str, path: str, begun: Any) -> None:  # Any: JSON
        """Remove what may be at `path`, after something else has failed."""
        patient = self.google.patient(accounts=_ACCOUNT_S) if api == "iam" else self.google
        try:
            with suppress(HomeportError):
                await self.finish(api, begun, deadline=_STILL_S)
            await self.finish(api, await patient.delete(api, path))
        except NotFound:
            return
        except HomeportError as error:
            self.left.append(f"{path} ({error})")
        except BaseException:
            self.left.append(f"{path} (its removal was broken off)")
            raise

    @asynccontextmanager
    async def account(self) -> AsyncIterator[str]:
        """Make a service account and give its e-mail; it goes in the end."""
        body = {"accountId": self.name, "serviceAccount": {"displayName": "what a contract makes"}}
        email = f"{self.name}@{self.google.project}.iam.gserviceaccount.com"
        create = partial(self.google.post, "iam", f"{self.parent}/serviceAccounts", body)
        async with self.removing("iam", f"{self.parent}/serviceAccounts/{email}", create):
            yield email

    @asynccontextmanager
    async def backend(self) -> AsyncIterator[str]:
        """Make a backend service before a service of Cloud Run that need not be there, and give its path; it goes in the end."""
        groups = f"{self.compute}/regions/{REGION}/networkEndpointGroups"
        serverless = {"networkEndpointType": "SERVERLESS", "cloudRun": {"service": self.name}}
        async with self.made("compute", groups, serverless) as group:
            body = {"loadBalancingScheme": "EXTERNAL_MANAGED", "protocol": "HTTPS",
                    "backends": [{"group": group.removeprefix("compute/v1/")}]}  # fmt: skip
            async with self.made("compute", f"{self.compute}/global/backendServices", body) as service:
                yield service

    async def finish(self, api: str, begun: Any, *, deadline: float = LONGEST) -> None:  # Any: JSON
        """Wait for an operation to end well; what is none has ended."""
        if is_operation(begun):
            await self.google.finish(api, begun, progress=Silent(), key=self.name, deadline=deadline)


class refusal:  # noqa: N801 - reads as a word of a sentence: with refusal(NotFound)
    """Passes where the block raises the error, which is kept; one that says nothing about the clause is raised on."""

    def __init__(self, kind: type[HomeportError]) -> None:
        self._kind = kind
        self.error = HomeportError("none")

    def __enter__(self) -> Self:
        """Return itself, for the error."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Tell whether the error is the one that is expected. Raises `ClauseBroken` where there is none."""
        expect(error is not None, f"no {self._kind.__name__} was raised")
        if isinstance(error, self._kind) and (self._kind in _SAYS_NOTHING or not says_nothing(error)):
            self.error = error
            return True
        return False
