"""Who proves a revision may call it: found out before, and let in for the time of the proof where that is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from homeport.backoff import Backoff
from homeport.errors import HomeportError, PermissionDenied
from homeport.google import Binding, Google, IamResource, policy
from homeport.google.credentials import GoogleIdentity
from homeport.google.grants import command, member_of
from homeport.resources.google.propagation import CHANGED_S
from homeport.resources.google.traffic import Body, address_of
from homeport.targets.cloudrun.invokers import INVOKERS
from homeport.targets.cloudrun.verification import Expectation, outside

CALL = "run.routes.invoke"
_REFUSED = 403


@asynccontextmanager
async def let_in(
    google: Google, promise: Expectation, service: Body, *, via: str = ""
) -> AsyncIterator[Expectation]:
    """
    Yield what the service is held to, while the caller may call it: with the grant of the proof where one was made.

    A proof that is cut off leaves its grant behind; the next `up` takes it back as it does with any that the file does
    not name.
    """
    identity = GoogleIdentity(google.credentials, str(service.get("uri") or address_of(service)))
    try:
        who = await identity.who()
    except HomeportError:
        who = ""  # There is no token: the checks say so.
    if promise.planned.public or not who:
        yield promise
        return
    url = promise.subject.endpoint.root_url

    async def is_let_in() -> bool:
        async with outside(via, promise.subject.endpoint.headers) as sender:
            return await sender.status(url, "/v1/models", token=await identity.token()) != _REFUSED

    async with granted(google, f"v2/{service['name']}", who, is_let_in) as member:
        if not member:
            yield promise
        else:
            planned = replace(promise.planned, callers=promise.planned.callers | {member})
            yield replace(promise, planned=planned)


@asynccontextmanager
async def granted(
    google: Google, path: str, who: str, is_let_in: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """
    Yield the member that was let in for the time, '' where that was not needed. Raises `PermissionDenied`, with the
    command, where `who` may not call the service at `path` and may not be let in.
    """
    if await _may_already(google, path, who):
        yield ""
        return
    member = member_of(who)
    on, binding = IamResource(api="run", path=path), Binding(role=INVOKERS[0], members=(member,))
    try:
        changed = await policy.grant(google, on, [binding])
    except PermissionDenied as error:
        if await is_let_in():  # By a grant on the project, say, which only the caller itself could look up.
            yield ""
            return
        raise PermissionDenied(
            f"{who} proves the new revision and may not call it, and may not be let in for that: {error}",
            hint=f"somebody who may do so can grant it: {command(CALL, principal=who, project=google.project)}",
        ) from error
    if not changed:
        yield ""
        return
    try:
        await _wait_for_grant(google, who, is_let_in)
        yield member
    finally:
        await policy.revoke(google, on, [binding])


async def _may_already(google: Google, path: str, who: str) -> bool:
    """Return True if the one whose token calls the service is the one who deploys, and may call it."""
    try:
        deployer = await google.credentials.who()
    except HomeportError:
        deployer = ""
    if deployer.casefold() != who.casefold():
        return False
    answer = await google.post("run", f"{path}:testIamPermissions", {"permissions": [CALL]}, repeatable=True)
    return CALL in answer.get("permissions", ())


async def _wait_for_grant(google: Google, who: str, is_let_in: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the grant is seen; where it never is, the checks tell."""
    wait = Backoff(
        what=f"the grant of {who} to be seen", within=CHANGED_S, first=2.0, factor=1.5, longest=15.0
    )
    google.note(
        f"{who} may not call the service, and is let in for the proof: {CHANGED_S / 60:.0f} min at most"
    )
    while True:
        try:
            if await is_let_in():
                return
        except HomeportError:
            return  # It does not answer: that is for the checks to tell.
        if not await wait.pause():
            return
