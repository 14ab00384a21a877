"""Who proves a revision may call it: found out before, and let in for the time of the proof where that is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from homeport.backoff import Backoff
from homeport.errors import HomeportError, PermissionDenied
from homeport.google import Binding, Google, IamResource, policy
from homeport.google.grants import command, member_of
from homeport.resources.google.propagation import CHANGED_S
from homeport.resources.google.traffic import Body, address_of
from homeport.targets.cloudrun.iap.entry import ACCESSOR, COME_IN, resource_of
from homeport.targets.cloudrun.iap.standing import wait_until_it_stands
from homeport.targets.cloudrun.invokers import INVOKERS
from homeport.targets.cloudrun.service_labels import IAP_LABEL
from homeport.targets.cloudrun.verification.revision import Expectation, identity_for, outside

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
    url = promise.subject.endpoint.root_url
    identity = identity_for(google, service, str(service.get("uri") or address_of(service)), url)
    await _until_iap_is_as_wanted(google, promise, service, via)
    try:
        who = await identity.who()
    except HomeportError:
        who = ""  # There is no token: the checks say so.
    if promise.planned.public or not who:
        yield promise
        return

    async def is_let_in() -> bool:
        async with outside(via, promise.subject.endpoint.headers) as sender:
            return await sender.status(url, "/v1/models", token=await identity.token()) != _REFUSED

    if service.get("iapEnabled"):
        through = ProofDoor(
            on=await resource_of(google, str(service["name"])), role=ACCESSOR, permission=COME_IN
        )
        async with granted(google, through, who, is_let_in) as member:
            # Its account is let in to the service by a grant of this very `up`, perhaps, which has to be seen, too.
            await _wait_for_grant(google, "Identity-Aware Proxy", is_let_in)
            entrants = promise.planned.entrants | ({member} if member else set())
            yield replace(promise, planned=replace(promise.planned, entrants=entrants))
        return
    async with granted(google, door_of(f"v2/{service['name']}"), who, is_let_in) as member:
        if not member:
            yield promise
        else:
            planned = replace(promise.planned, callers=promise.planned.callers | {member})
            yield replace(promise, planned=planned)


async def _until_iap_is_as_wanted(google: Google, promise: Expectation, service: Body, via: str) -> None:
    """Wait until Identity-Aware Proxy stands before what is proven, or before one that had it does no more: till then tokens of the other kind are taken."""
    wanted = bool(service.get("iapEnabled"))
    if not wanted and IAP_LABEL not in service.get("labels", {}):
        return
    url = promise.subject.endpoint.root_url

    async def answers() -> bool:
        async with outside(via, promise.subject.endpoint.headers) as sender:
            _, is_of_iap = await sender.without_token(url, "/v1/models")
            return is_of_iap

    await wait_until_it_stands(google, url, wanted, answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofDoor:
    """What somebody is let in by for the time of a proof."""

    on: IamResource
    role: str
    permission: str


def door_of(path: str) -> ProofDoor:
    """Return the door of the service at `path` itself."""
    return ProofDoor(on=IamResource(api="run", path=path), role=INVOKERS[0], permission=CALL)


@asynccontextmanager
async def granted(
    google: Google, door: ProofDoor, who: str, is_let_in: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """
    Yield the member that was let in for the time, '' where that was not needed. Raises `PermissionDenied`, with the
    command, where `who` may not come in by `door` and may not be let in.
    """
    if await _may_already(google, door, who):
        yield ""
        return
    member = member_of(who)
    on, binding = door.on, Binding(role=door.role, members=(member,))
    try:
        changed = await policy.grant(google, on, [binding])
    except PermissionDenied as error:
        if await is_let_in():  # By a grant on the project, say, which only the caller itself could look up.
            yield ""
            return
        raise PermissionDenied(
            f"{who} proves the new revision and may not call it, and may not be let in for that: {error}",
            hint=f"somebody who may do so can grant it: {command(door.permission, principal=who, project=google.project)}",
        ) from error
    if not changed:
        yield ""
        return
    try:
        await _wait_for_grant(google, who, is_let_in)
        yield member
    finally:
        await policy.revoke(google, on, [binding])


async def _may_already(google: Google, door: ProofDoor, who: str) -> bool:
    """Return True if the one whose token calls the service is the one who deploys, and may call it."""
    try:
        deployer = await google.credentials.who()
    except HomeportError:
        deployer = ""
    if deployer.casefold() != who.casefold():
        return False
    path, body = f"{door.on.path}:testIamPermissions", {"permissions": [door.permission]}
    answer = await google.post(door.on.api, path, body, repeatable=True)
    return door.permission in answer.get("permissions", ())


async def _wait_for_grant(google: Google, who: str, is_let_in: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the grant is seen; where it never is, the checks tell."""
    wait = Backoff(
        what=f"the grant of {who} to be seen", within=CHANGED_S, first=2.0, factor=1.5, longest=15.0
    )
    told = False
    while True:
        try:
            if await is_let_in():
                return
        except HomeportError:
            return  # It does not answer: that is for the checks to tell.
        if not told:
            google.note(f"{who} is let in for the proof, once that is seen: {CHANGED_S / 60:.0f} min at most")
            told = True
        if not await wait.pause():
            return
