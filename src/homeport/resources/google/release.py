"""The release of a service: its newest revision, verified, has the traffic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from homeport.backoff import Backoff
from homeport.errors import ApiDisabled, Conflict, HomeportError, NotFound, OperationFailed
from homeport.google import Google
from homeport.google.operations import is_operation
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import KNOWN_AFTER_APPLY, Change, Outputs
from homeport.resources.base import DependentResource
from homeport.resources.google.service import tell_once
from homeport.resources.google.traffic import (
    CANDIDATE,
    Body,
    Receipt,
    address_of,
    is_closed,
    is_tagged,
    latest,
    receipts,
    shares,
    short,
    tag_url,
    targets,
    went_before,
    with_receipt,
    without_receipt,
)

Prove = Callable[[Body, str, str], Awaitable[Receipt]]
"""Verifies a revision of a service at an address. Raises `VerificationFailed` where it is not as promised."""
_DEADLINE_S = 300.0
_POLL_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(DependentResource):
    """
    All traffic on the newest revision, which was verified under its tag's address before it had any.

    What cannot be proven gets none, or loses what a step gave it, and what served before goes on serving.
    The first has it from the start, since Cloud Run has nothing else to send requests to; callers are let in later.
    """

    google: Google
    name: str
    path: str
    """Of the service, as its API has it."""
    prove: Prove
    canary: tuple[int, ...] = ()
    """Percents of traffic on the way, with a verification after each."""
    after: tuple[str, ...] = ()
    """Ids of what is to stand before a revision serves, such as a screen at the load balancer."""
    ensure_fit: Callable[[Body], Awaitable[None]] | None = None
    """Raises for an earlier revision that could not serve again."""
    kind = "release"

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"release/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the id of the service, and of what is to stand before it serves."""
        return (f"service/{self.name}", *self.after)

    async def read(self) -> Json | None:
        """Return the service, once a revision of it was verified, and no change of it is under way any more."""
        try:
            service = await self._settled()
        except (NotFound, ApiDisabled):
            return None
        return service if receipts(service) else None

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Tell whether something else serves than the newest revision, or that was not verified."""
        service = outputs.get(self.needs[0])
        before = _percents_text(shares(live))
        if not service or not latest(service):
            return (Change(path="traffic", before=before, after=KNOWN_AFTER_APPLY),)
        newest = latest(service)
        receipt = receipts(live).get(newest)
        if shares(live) != {newest: 100} or is_tagged(live):
            return (Change(path="traffic", before=before, after=_percents_text({newest: 100})),)
        if receipt is None or not receipt.passed:
            return (Change(path="verified", before=None, after=newest),)
        return ()

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        steps = "".join(f"{percent} %, then " for percent in self.canary)
        return f"the newest revision, verified without traffic, has {steps}all of it"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """
        Verify the newest revision, then let it serve.

        One that serves alone and was verified is not asked again while its load balancer gets another domain: the old one takes no
        token any more, and the new one does not answer yet. What closes the service asks there.
        """
        service = await self._service()
        newest = latest(service)
        proven = receipts(service).get(newest)
        if shares(service) == {newest: 100} and proven is not None and proven.passed and _moves(service):
            return await self._route(service, {newest: 100}, "")
        before = {name: percent for name, percent in shares(service).items() if name != newest}
        if not is_tagged(service, newest) and before:
            service = await self._route(service, shares(service), newest)
        receipt = await self._proven(service, newest, before)
        for percent in self.canary if before else ():
            if percent >= 100:
                break
            parts = {**_scaled(before, 100 - percent), newest: percent}
            service = await self._route(service, parts, newest, with_receipt(service, newest, receipt))
            receipt = await self._proven(service, newest, before)
        return await self._route(service, {newest: 100}, "", with_receipt(service, newest, receipt))

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Move the traffic as `create` does."""
        return await self.create(outputs, progress)

    async def roll_back(self) -> str:
        """Send all traffic to what went before, and return its name. Raises `NotFound` where there is none, or what `ensure_fit` does."""
        service = await self._service()
        target = await way_back(self.google, service)
        if not target:
            raise NotFound(
                f"{self.name} has no other revision that was verified",
                hint="`homeport up --on cloudrun` makes one; `homeport status --on cloudrun` shows what serves",
            )
        if self.ensure_fit is not None:
            await self.ensure_fit(await self.google.get("run", f"{self.path}/revisions/{target}"))
        await self._route(service, {target: 100}, "")
        return target

    async def serve(self, revision: str) -> None:
        """Send all traffic to a revision that was verified before."""
        await self._route(await self._service(), {revision: 100}, "")

    async def _proven(self, service: Body, newest: str, before: Mapping[str, int]) -> Receipt:
        """Return the receipt of the newest revision; where it gets none, what served before has all traffic again."""
        try:
            return await self.prove(service, newest, self._address(service, newest, before))
        except BaseException as error:  # An interrupt leaves no traffic on it, either.
            if before and newest in shares(service):
                await self._put_back(service, newest, before, error)
            raise

    def _address(self, service: Body, newest: str, before: Mapping[str, int]) -> str:
        """Return where the newest revision answers, and no other. Raises `OperationFailed` where it has no such address."""
        if is_closed(service) and (is_tagged(service, newest) or not before):
            return address_of(service)  # By a header: see `load_balancer.CANDIDATE_HEADER`.
        url = tag_url(service, newest)
        if url or not before:
            return url or str(service["uri"])
        raise OperationFailed(
            f"{newest} has no address of its own: the tag {CANDIDATE} of {self.name} is not on it",
            hint="another may have changed the traffic meanwhile; run the same command again",
        )

    async def _put_back(
        self, service: Body, newest: str, before: Mapping[str, int], error: BaseException
    ) -> None:
        """Send all traffic back to what served before, and drop the receipt of the newest, so that no rollback goes to it.

        `error` says so, or that it failed. What another has changed meanwhile stays as it is.
        """
        percent = shares(service)[newest]
        try:
            await self._route(service, _scaled(before, 100), newest, without_receipt(service, newest))
        except HomeportError as failed:
            outcome = (
                f"{newest} may still have {percent} % of the traffic, which could not be put back: {failed}; "
                "`homeport status --on cloudrun` shows what serves, `homeport rollback --on cloudrun` puts it back"
            )
        else:
            outcome = "what served before has all of the traffic again"
        if isinstance(error, HomeportError):
            error.hint = "; ".join(text for text in (outcome, error.hint) if text)
        else:
            error.add_note(outcome)

    async def _service(self) -> Json:
        return await self.google.get("run", self.path)

    async def _route(
        self,
        service: Body,
        percents: Mapping[str, int],
        candidate: str,
        annotations: Mapping[str, str] | None = None,
    ) -> Json:
        body: JsonObject = {
            "traffic": targets(percents, candidate=candidate),
            "etag": service["etag"],
        }
        mask = "traffic"
        if annotations is not None:
            body["annotations"] = annotations
            mask = "annotations,traffic"
        try:
            operation = await self.google.patch("run", self.path, body, updateMask=mask)
        except Conflict:
            # It may be our own: the answer to a first try was lost, and what was asked for is done.
            if not _says(await self._service(), body):
                raise
            return await self._settled()
        if not is_operation(operation):
            return await self._service()
        try:
            await self.google.finish("run", operation, key=self.id, deadline=_DEADLINE_S)
        except OperationFailed:
            # It may tell of the newest revision, which did not start and is none of those that are asked for.
            service = await self._service()
            if shares(service) != dict(percents) or (candidate and not is_tagged(service, candidate)):
                raise
            return service
        return await self._service()

    async def _settled(self) -> Json:
        wait = Backoff(what=f"{self.name} to settle", within=_DEADLINE_S, first=_POLL_S)
        while True:
            live = await self._service()
            if not live.get("reconciling"):
                return live
            tell_once(self.google, wait)
            if not await wait.pause():
                return live


async def way_back(google: Google, service: Body) -> str:
    """Return the revision of a service that a rollback goes to; '' for none. Raises what listing revisions raises."""
    if not went_before(service, receipts(service)):
        return ""  # Whichever of them are still there.
    revisions = [
        short(revision["name"])
        async for revision in google.pages("run", f"v2/{service['name']}/revisions", "revisions")
        if not revision.get("deleteTime")
    ]
    return went_before(service, revisions)


def _moves(service: Body) -> bool:
    """Tell whether tokens for the address at which a closed service is asked are not taken any more."""
    return is_closed(service) and address_of(service) not in service.get("customAudiences", ())


def _says(live: Body, body: Body) -> bool:
    """Return True if a service's traffic, and its receipts where they are in `body`, are what `body` asks for."""
    routed = _routes(live) == _routes(body)
    return routed and ("annotations" not in body or receipts(live) == receipts(body))


def _routes(service: Body) -> set[tuple[str, int, str]]:
    return {
        (short(target.get("revision", "")), int(target.get("percent", 0)), str(target.get("tag", "")))
        for target in service.get("traffic", ())
    }


def _percents_text(percents: Mapping[str, int]) -> str:
    return ", ".join(f"{percent} % {name}" for name, percent in percents.items()) or "none"


def _scaled(percents: Mapping[str, int], total: int) -> dict[str, int]:
    """Return shares in the same proportions, of `total` percent, in whole percents."""
    denominator = sum(percents.values())
    scaled = {name: percent * total // denominator for name, percent in percents.items()}
    first = next(iter(scaled))
    scaled[first] += total - sum(scaled.values())
    return scaled
