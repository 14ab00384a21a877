"""
What we rely on in Google Cloud, said once: for the rehearsal, in process and on a socket, and for the real thing.

    python tests/support/contract.py PROJECT

runs it in a project of yours, as the user who is signed in there. It makes a few small things, which cost nothing or next
to it, and removes them. The APIs of `APIS` must be enabled.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from homeport import google
from homeport.errors import AlreadyExists, Conflict, GoogleError, HomeportError, InvalidArgument, NotFound
from homeport.google import Binding, Google, IamResource
from homeport.google.storage import UploadOptions, upload
from homeport.progress import Silent
from homeport.reconcile import Resource, apply, destroy, make_plan
from homeport.resources.google.bucket import bucket
from homeport.resources.google.repository import repository
from homeport.resources.google.secret import secret
from homeport.resources.google.service_account import account

APIS = ("artifactregistry", "cloudresourcemanager", "iam", "run", "secretmanager", "storage")
REGION = "us-central1"
SEEN_S = 420.0
"""For how long a new account may be unknown elsewhere: see resources/patience.py."""


@dataclass(frozen=True)
class Place:
    """Where a clause is tried."""

    google: Google
    name: str
    """What everything is called that a clause makes."""

    @property
    def parent(self) -> str:
        return f"v1/projects/{self.google.project}"

    @asynccontextmanager
    async def secret(self) -> AsyncIterator[str]:
        """A secret without versions; its path."""
        body = {"replication": {"automatic": {}}, "labels": {"contract": self.name}}
        await self.google.post("secretmanager", f"{self.parent}/secrets", body, secretId=self.name)
        path = f"{self.parent}/secrets/{self.name}"
        try:
            yield path
        finally:
            await self.google.delete("secretmanager", path)

    @asynccontextmanager
    async def bucket(self) -> AsyncIterator[str]:
        """An empty bucket; its name."""
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
        payload = {"payload": {"data": base64.b64encode(data).decode()}}
        return await self.google.post("secretmanager", f"{path}:addVersion", payload)


Clause = Callable[[Place], Awaitable[None]]


async def what_was_made_is_read_and_found_by_its_label(place: Place) -> None:
    async with place.secret() as path:
        made = await place.google.get("secretmanager", path)
        asked = {"filter": f"labels.contract={place.name}"}
        pages = place.google.pages("secretmanager", f"{place.parent}/secrets", "secrets", **asked)
        assert [one["name"] async for one in pages] == [made["name"]]
    with _raises(NotFound):
        await place.google.get("secretmanager", path)


async def what_is_not_there_is_not_found(place: Place) -> None:
    project = place.google.project
    for api, path in (
        ("secretmanager", f"{place.parent}/secrets/{place.name}"),
        ("storage", f"storage/v1/b/{project}-{place.name}"),
        ("artifactregistry", f"{place.parent}/locations/{REGION}/repositories/{place.name}"),
        ("iam", f"{place.parent}/serviceAccounts/{place.name}@{project}.iam.gserviceaccount.com"),
        ("run", f"v2/projects/{project}/locations/{REGION}/services/{place.name}"),
    ):
        with _raises(NotFound):
            await place.google.get(api, path)


async def a_name_is_taken_once(place: Place) -> None:
    async with place.secret(), place.bucket() as name:
        with _raises(AlreadyExists):
            async with place.secret():
                pass
        with _raises(AlreadyExists):
            body = {"name": name, "location": REGION}
            await place.google.post("storage", "storage/v1/b", body, project=place.google.project)


async def what_google_does_not_take_is_an_invalid_argument(place: Place) -> None:
    with _raises(InvalidArgument):
        wanted: Any = {"replication": {"automatic": {}}}  # Any: JSON
        await place.google.post("secretmanager", f"{place.parent}/secrets", wanted, secretId="not a name")
    with _raises(InvalidArgument):
        wanted = {"name": "Not-A-Name", "location": REGION}
        await place.google.post("storage", "storage/v1/b", wanted, project=place.google.project)


async def the_newest_version_of_a_secret_is_the_latest(place: Place) -> None:
    async with place.secret() as path:
        with _raises(NotFound):
            await place.google.get("secretmanager", f"{path}/versions/latest:access")
        await place.add_version(path, b"one")
        second = await place.add_version(path, b"two")
        got = await place.google.get("secretmanager", f"{path}/versions/latest:access")
        assert (got["name"], base64.b64decode(got["payload"]["data"])) == (second["name"], b"two")
        await place.google.post("secretmanager", f"{path}/versions/2:disable", {})
        with _raises(GoogleError) as refused:
            await place.google.get("secretmanager", f"{path}/versions/latest:access")
        assert isinstance(refused.error, GoogleError)
        assert refused.error.status == 400


async def an_object_that_must_be_new_is_not_overwritten(place: Place) -> None:
    async with place.bucket() as name:
        new = UploadOptions(if_generation_match=0)
        await upload(place.google, name, "manifest.json", b"one", new)
        await upload(place.google, name, "manifest.json", b"one", new)
        with _raises(Conflict):
            await upload(place.google, name, "manifest.json", b"two", new)
        path = f"storage/v1/b/{name}/o/manifest.json"
        assert await place.google.content("storage", path, alt="media") == b"one"


async def a_bucket_that_was_changed_meanwhile_is_a_conflict(place: Place) -> None:
    async with place.bucket() as name:
        path = f"storage/v1/b/{name}"
        before = await place.google.get("storage", path)
        await place.google.patch("storage", path, {"labels": {"team": "one"}})
        with _raises(Conflict):
            asked = {"ifMetagenerationMatch": before["metageneration"]}
            await place.google.patch("storage", path, {"labels": {"team": "two"}}, **asked)


async def a_policy_that_was_changed_meanwhile_is_a_conflict(place: Place) -> None:
    member = "serviceAccount:" + await _an_account(place)
    try:
        async with place.secret() as path:
            before = await place.google.get("secretmanager", f"{path}:getIamPolicy")
            thing = IamResource(api="secretmanager", path=path)
            mine = Binding(role="roles/secretmanager.secretAccessor", members=(member,))
            assert await google.grant(place.google.patient(accounts=SEEN_S), thing, [mine])
            assert not await google.grant(place.google, thing, [mine])
            with _raises(Conflict):
                stale = {"policy": {"bindings": [], "etag": before["etag"]}}
                await place.google.post("secretmanager", f"{path}:setIamPolicy", stale)
            assert await google.revoke(place.google, thing, [mine])
            after = await place.google.get("secretmanager", f"{path}:getIamPolicy")
            assert not after.get("bindings")
    finally:
        await place.google.delete("iam", f"{place.parent}/serviceAccounts/{member.partition(':')[2]}")


async def what_takes_time_is_there_when_its_operation_ends(place: Place) -> None:
    parent = f"{place.parent}/locations/{REGION}/repositories"
    body = {"format": "DOCKER"}
    begun = await place.google.post("artifactregistry", parent, body, repositoryId=place.name)
    await place.google.finish("artifactregistry", begun, progress=Silent(), key=place.name)
    path = f"{parent}/{place.name}"
    assert (await place.google.get("artifactregistry", path))["format"] == "DOCKER"
    ended = await place.google.delete("artifactregistry", path)
    await place.google.finish("artifactregistry", ended, progress=Silent(), key=place.name)
    with _raises(NotFound):
        await place.google.get("artifactregistry", path)


async def after_up_there_is_nothing_to_do_and_after_down_nothing_is_left(place: Place) -> None:
    things = _things(place)
    try:
        await apply(await make_plan(place.name, "contract", things), Silent())
        again = await make_plan(place.name, "contract", _things(place))
        assert [action.resource.id for action in again.pending] == []
    finally:
        ended = await destroy(things, Silent())
    assert (ended.left, ended.errors) == ((), ())
    assert len(ended.gone) == len(things)


CLAUSES: tuple[Clause, ...] = (
    what_was_made_is_read_and_found_by_its_label,
    what_is_not_there_is_not_found,
    a_name_is_taken_once,
    what_google_does_not_take_is_an_invalid_argument,
    the_newest_version_of_a_secret_is_the_latest,
    an_object_that_must_be_new_is_not_overwritten,
    a_bucket_that_was_changed_meanwhile_is_a_conflict,
    a_policy_that_was_changed_meanwhile_is_a_conflict,
    what_takes_time_is_there_when_its_operation_ends,
    after_up_there_is_nothing_to_do_and_after_down_nothing_is_left,
)


def _things(place: Place) -> list[Resource]:
    return [
        bucket(place.google, place.name, f"{place.google.project}-{place.name}", REGION),
        secret(place.google, place.name, place.name, REGION),
        repository(place.google, place.name, place.name, REGION),
        account(place.google, place.name, place.name, "what a contract makes"),
    ]


async def _an_account(place: Place) -> str:
    body = {"accountId": place.name, "serviceAccount": {"displayName": "what a contract makes"}}
    made = await place.google.post("iam", f"{place.parent}/serviceAccounts", body)
    return str(made["email"])


class _raises:  # noqa: N801 - reads as pytest's, which the real thing is tried without
    """Passes where the block raises the error, which is kept."""

    def __init__(self, kind: type[HomeportError]) -> None:
        self._kind = kind
        self.error = HomeportError("none")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        assert error is not None, f"no {self._kind.__name__} was raised"
        if isinstance(error, self._kind):
            self.error = error
            return True
        return False


async def _main(project: str) -> int:
    failed = 0
    async with await google.from_env({**os.environ, "GOOGLE_CLOUD_PROJECT": project}) as door:
        for clause in CLAUSES:
            place = Place(door, f"contract-{secrets.token_hex(4)}")
            try:
                await clause(place)
            except (HomeportError, AssertionError) as error:
                failed += 1
                print(f"✗ {clause.__name__}: {error}")
            else:
                print(f"✓ {clause.__name__}")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project")
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(_main(parser.parse_args().project)))
