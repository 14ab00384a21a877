"""Where a clause is tried, and what it makes there to be tried on."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.progress import Silent

REGION = "us-central1"
SEEN_S = 420.0
"""For how long a new account may be unknown elsewhere: see resources/patience.py."""


class ClauseBroken(Exception):
    """Google, or what stands in for it, does otherwise than a clause says."""


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
        await self.google.post("secretmanager", f"{self.parent}/secrets", body, secretId=self.name)
        path = f"{self.parent}/secrets/{self.name}"
        try:
            yield path
        finally:
            await self.google.delete("secretmanager", path)

    @asynccontextmanager
    async def bucket(self) -> AsyncIterator[str]:
        """Make an empty bucket and give its name; it goes in the end."""
        name = f"{self.google.project}-{self.name}"
        body = {"name": name, "location": REGION, "softDeletePolicy": {"retentionDurationSeconds": "0"}}
        await self.google.post("storage", "storage/v1/b", body, project=self.google.project)
        try:
            yield name
        finally:
            async for item in self.google.pages("storage", f"storage/v1/b/{name}/o", "items"):
                await self.google.delete("storage", f"storage/v1/b/{name}/o/{item['name']}")
            await self.google.delete("storage", f"storage/v1/b/{name}")

    async def add_version(self, path: str, data: bytes) -> Any:  # Any: JSON
        """Return the new version of a secret that holds `data`."""
        payload = {"payload": {"data": base64.b64encode(data).decode()}}
        return await self.google.post("secretmanager", f"{path}:addVersion", payload)

    @asynccontextmanager
    async def made(
        self, api: str, path: str, body: Any, *, name: str = ""
    ) -> AsyncIterator[str]:  # Any: JSON
        """Make a thing of Compute Engine or DNS in the collection at `path`, and give its own path; it goes in the end."""
        begun = await self.google.post(api, path, {"name": name or self.name, **body})
        await self.finish(api, begun)
        own = f"{path}/{name or self.name}"
        try:
            yield own
        finally:
            await self.finish(api, await self.google.delete(api, own))

    @asynccontextmanager
    async def account(self) -> AsyncIterator[str]:
        """Make a service account and give its e-mail; it goes in the end."""
        body = {"accountId": self.name, "serviceAccount": {"displayName": "what a contract makes"}}
        response = await self.google.post("iam", f"{self.parent}/serviceAccounts", body)
        email = str(response["email"])
        try:
            yield email
        finally:
            await self.google.delete("iam", f"{self.parent}/serviceAccounts/{email}")

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

    async def finish(self, api: str, begun: Any) -> None:  # Any: JSON
        """Wait for an operation to end well; what is none has ended."""
        if isinstance(begun, dict) and str(begun.get("kind", "")).endswith("#operation"):
            await self.google.finish(api, begun, progress=Silent(), key=self.name)


class refusal:  # noqa: N801 - reads as a word of a sentence: with refusal(NotFound)
    """Passes where the block raises the error, which is kept."""

    def __init__(self, kind: type[HomeportError]) -> None:
        self._kind = kind
        self.error = HomeportError("none")

    def __enter__(self) -> Self:
        """Return itself, for the error."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Tell whether the error is the one that is expected. Raises `ClauseBroken` where there is none."""
        expect(error is not None, f"no {self._kind.__name__} was raised")
        if isinstance(error, self._kind):
            self.error = error
            return True
        return False
