"""The proof of a revision: it is asked under its own address, and looked at from outside, before it has traffic."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from homeport.certificates import certificates
from homeport.endpoint import Endpoint
from homeport.endpoint.identity import Identity
from homeport.errors import (
    ApiDisabled,
    HomeportError,
    NetworkError,
    NotFound,
    PermissionDenied,
    VerificationFailed,
)
from homeport.google import Google, IamResource, policy
from homeport.google.credentials import GoogleIdentity, SignedIdentity
from homeport.json_types import JsonObject
from homeport.progress import Progress, Silent
from homeport.proxy_variables import by_environment
from homeport.resources.google.traffic import Body, Receipt, address_of, receipts, shares
from homeport.secret import Secret
from homeport.targets.cloudrun.iap.entrants import entering
from homeport.targets.cloudrun.iap.standing import is_answer_of_iap
from homeport.targets.cloudrun.verification.checks import (
    INGRESS_ALL,
    ExpectedDeployment,
    ObservedDeployment,
    ProbeToken,
    StoredBucket,
    verify_deployed,
)
from homeport.targets.cloudrun.verification.strangers import elsewhere_token, stranger_token
from homeport.task import Task
from homeport.verify import Finding, Outcome, Report, Result, VerificationSubject, checks_of
from homeport.verify.check import Check, OnResult, picked
from homeport.verify.report import RunTimer, failed, passed, skipped
from homeport.verify.runner import checked

if TYPE_CHECKING:
    import httpx2


_STARTS_WITHIN_S = 1800.0
"""As long as the longest startup probe waits."""
_AWAKE_S = 5.0
"""What takes longer to answer does not sleep lightly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a deployed endpoint is held to."""

    subject: VerificationSubject
    """Its endpoint has the address under which it is verified."""
    planned: ExpectedDeployment
    bucket: StoredBucket


@dataclass(frozen=True, slots=True)
class Outside:
    """Sends requests from outside, as they are: a `homeport.verify.cloud.Sender`."""

    client: httpx2.AsyncClient
    via: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of each request, such as that by which a load balancer tells a revision without traffic."""

    def with_headers(self, headers: Mapping[str, str]) -> Outside:
        """Return one that says these headers in each request besides."""
        return replace(self, headers={**self.headers, **headers})

    async def status(self, url: str, path: str, *, token: Secret | None) -> int:
        """Return the HTTP status of a GET. Raises `NetworkError` where nothing answers."""
        import httpx2

        try:
            answer = await self.client.get(f"{self.via or url}{path}", headers=self._headers(url, token))
        except httpx2.HTTPError as error:
            raise NetworkError(f"nothing answers at {url}{path}: {error}") from error
        return answer.status_code

    async def without_token(self, url: str, path: str) -> tuple[int, bool]:
        """Return the HTTP status of a GET that shows no token, and whether Identity-Aware Proxy gave it. Raises `NetworkError` where nothing answers."""
        import httpx2

        try:
            answer = await self.client.get(f"{self.via or url}{path}", headers=self._headers(url, None))
        except httpx2.HTTPError as error:
            raise NetworkError(f"nothing answers at {url}{path}: {error}") from error
        return answer.status_code, is_answer_of_iap(answer.status_code, answer.headers)

    async def refusal(
        self, url: str, path: str, body: JsonObject, *, token: Secret | None
    ) -> tuple[int, str]:
        """Return the HTTP status of a POST, and why a gateway refused it. Raises `NetworkError` where nothing answers."""
        import httpx2

        headers = self._headers(url, token)
        try:
            answer = await self.client.post(f"{self.via or url}{path}", json=body, headers=headers)
        except httpx2.HTTPError as error:
            raise NetworkError(f"nothing answers at {url}{path}: {error}") from error
        return answer.status_code, str(answer.headers.get("x-homeport-refused", ""))

    async def models(self, url: str, path: str, *, token: Secret | None) -> tuple[int, tuple[str, ...]]:
        """
        Return the HTTP status of a GET of a list of models, and the names in it: () for what is no such list.

        What starts from zero is waited for. Raises `NetworkError` where nothing answers.
        """
        import httpx2

        headers = self._headers(url, token)
        try:
            answer = await self.client.get(
                f"{self.via or url}{path}", headers=headers, timeout=_STARTS_WITHIN_S
            )
        except httpx2.HTTPError as error:
            raise NetworkError(f"nothing answers at {url}{path}: {error}") from error
        try:
            return answer.status_code, tuple(str(model["id"]) for model in answer.json()["data"])
        except (ValueError, TypeError, KeyError):
            return answer.status_code, ()

    def _headers(self, url: str, token: Secret | None) -> dict[str, str]:
        authorization = {"authorization": f"Bearer {token.reveal()}"} if token else {}
        return {**self.headers, "host": host_of(url)} | authorization


def host_of(url: str) -> str:
    """Return what a request to an address says in its header Host: the name as it is looked up, and a port."""
    import httpx2

    return httpx2.URL(url).netloc.decode("ascii")


@asynccontextmanager
async def outside(via: str = "", headers: Mapping[str, str] | None = None) -> AsyncIterator[Outside]:
    """Yield a client that sends requests from outside, over connections that are kept: a new one for each
    takes longer than its answer.
    """
    import httpx2

    async with httpx2.AsyncClient(
        timeout=60,
        trust_env=by_environment(not via),
        verify=False if via.startswith("http:") else certificates(),
    ) as client:
        yield Outside(client, via, headers or {})


def endpoint_of(
    google: Google, service: Body, model: str, *, url: str = "", via: str = "", task: Task = "generate"
) -> Endpoint:
    """Return a deployed service as an endpoint for the logged-in user; `url` is another address of it than its own."""
    # A service whose own address is off has no other than its load balancer's, which is an audience of its own.
    origin = url if url and url == address_of(service) else str(service.get("uri") or address_of(service))
    return Endpoint(
        name=str(service["name"]).rpartition("/")[2],
        base_url=f"{url or address_of(service)}/v1",
        model=model,
        identity=identity_for(google, service, origin, url or address_of(service)),
        via=via,
        task=task,
    )


def identity_for(google: Google, service: Body, origin: str, url: str) -> Identity:
    """Return the logged-in user as a caller of a service at `url`: by an ID token for its `origin`, or behind Identity-Aware Proxy by what their account signs."""
    if service.get("iapEnabled"):
        return SignedIdentity(google.credentials, url)
    return GoogleIdentity(google.credentials, origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Makes the checks of a deployed endpoint: those of any endpoint, and those of a deployment."""

    google: Google
    stranger: str
    """The e-mail of a service account that may not call it."""
    network: str
    """From where an isolated service is reached."""
    via: str = ""
    """The address that stands in for Cloud Run's own; '' for that."""
    only: tuple[str, ...] = ()
    """Names of the checks that are made; all of them where it is empty."""
    on_result: OnResult | None = None
    progress: Progress = field(default_factory=Silent)

    async def report(self, promise: Expectation, service: Body, revision_name: str) -> Report:
        """
        Return what came of the checks of one revision of a service.

        Where the service takes nothing from outside, and this is outside, what needs an answer is skipped, and the
        report is not one that passed: no token came.
        """
        begun = RunTimer.now()
        subject = promise.subject
        needs_answer = bool(picked(checks_of(subject.model.task), self.only))
        if needs_answer:
            await self._awake(subject.endpoint)
        async with outside(self.via, subject.endpoint.headers) as sender:
            reached = await self._reached(sender, promise, service)
            results = await self._endpoint(subject, reached)
            revision = await self.google.get("run", f"v2/{service['name']}/revisions/{revision_name}")
            origin = str(service.get("uri") or address_of(service))
            signs = subject.endpoint.root_url if service.get("iapEnabled") else ""
            deployed = ObservedDeployment(
                service=service,
                revision=revision,
                policy=await policy.read(self.google, IamResource(api="run", path=f"v2/{service['name']}")),
                planned=promise.planned,
                sender=sender,
                url=promise.subject.endpoint.root_url,
                bucket=promise.bucket,
                stranger=await stranger_token(self.google, self.stranger, origin, signs=signs),
                elsewhere=await elsewhere_token(self.google, signs=bool(signs)),
                **(await self._entrants(service) if signs else {}),
                own=await _own(subject.endpoint),
            )
            more = await verify_deployed(deployed, only=self.only, on_result=self.on_result)
        return begun.report(promise.subject, (*results, *more))

    async def _entrants(self, service: Body) -> dict[str, Any]:  # Any: arguments of `ObservedDeployment`
        """Return who may come in through Identity-Aware Proxy, or why that is not known."""
        try:
            return {"entrants": await entering(self.google, str(service["name"]))}
        except (PermissionDenied, ApiDisabled) as error:
            why = f"who comes in through Identity-Aware Proxy could not be read: {error}"
            return {"entrants_unread": f"{why} - {error.hint}" if error.hint else why}

    async def _awake(self, endpoint: Endpoint) -> None:
        """
        Wait until it answers anything, so that no check waits for a start from zero.

        Cloud Run keeps the request meanwhile, for longer than a check may take. Where nothing comes, the checks tell.
        """

        async def ask() -> None:
            with suppress(HomeportError):
                async with endpoint.client(timeout_s=_STARTS_WITHIN_S) as client:
                    await client.get("/health")

        asking = asyncio.create_task(ask())
        try:
            if not (await asyncio.wait({asking}, timeout=_AWAKE_S))[0]:
                self.progress.note(f"{endpoint.name} starts from zero: waiting for it")
            await asking
        finally:
            asking.cancel()

    async def _endpoint(self, subject: VerificationSubject, reached: Result | None) -> tuple[Result, ...]:
        """Return the checks of any endpoint, after that of the way to it, if it was asked for."""
        checks = checks_of(subject.model.task)
        if reached is None:
            return await checked(subject, picked(checks, self.only), on_result=self.on_result)
        if self.on_result is not None:
            self.on_result(reached)
        if reached.outcome is Outcome.PASSED:
            results = await checked(subject, picked(checks, self.only), on_result=self.on_result)
            return (reached, *results)
        skip = skipped("not checked: it is not reached from here")
        return (reached, *(check.result(skip) for check in picked(checks, self.only)))

    async def _reached(self, sender: Outside, promise: Expectation, service: Body) -> Result | None:
        """Tell whether requests from here are let in; None for a service that takes them from everywhere."""
        ingress = service.get("ingress", INGRESS_ALL)
        if ingress == INGRESS_ALL:
            return None
        endpoint = promise.subject.endpoint

        async def look(_: VerificationSubject) -> Finding:
            token = await endpoint.identity.token() if endpoint.identity else None
            status = await sender.status(endpoint.root_url, "/v1/models", token=token)
            if status != 404:
                return passed(f"ingress is {ingress}, and requests from here are let in", status=status)
            return failed(
                f"from here it answers 404, as it should to everyone outside: ingress is {ingress}. Run the same "
                f"command on a machine within the network {self.network}",
                status=status,
            )

        return await Check("reached", "it is reached from here", look).looked(promise.subject)


def receipt_of(report: Report, service: Body, revision: str) -> Receipt:
    """
    Return what is kept of a report on a revision of `service`, as it was when it was asked.

    Raises `VerificationFailed` where a check failed; it says what that means for the traffic.
    """
    if not report.passed:
        message, hint = _unproven(report.endpoint, service, revision)
        raise VerificationFailed(
            f"{message}: {_failures(report) or 'nothing could be checked'}",
            hint=f"{hint}`homeport logs --on cloudrun` shows what the engine wrote",
        )
    counts = Counter(result.outcome.value for result in report.results)
    return Receipt(at=datetime.now(UTC).isoformat(timespec="seconds"), passed=True, counts=dict(counts))


def _failures(report: Report) -> str:
    """Return what failed, with what was found; where several checks found the same, it is said once."""
    by_detail: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome is Outcome.FAILED:
            by_detail.setdefault(result.detail, []).append(result.name)
    return "; ".join(f"{', '.join(names)}: {detail}" for detail, names in by_detail.items())


def _unproven(name: str, service: Body, revision: str) -> tuple[str, str]:
    """Return what a revision that is not as promised has of the traffic, and what to do about that."""
    parts = shares(service)
    new = f"the new revision of {name} is not as promised"
    if revision not in parts:
        return f"{new}, and gets no traffic", "what served before goes on serving; "
    if len(parts) > 1:
        return new, ""  # What becomes of its part is up to the release.
    if receipts(service):
        text = f"{new}, and has all of the traffic already"
        return text, "`homeport rollback --on cloudrun` lets another serve, where one was verified; "
    who = "anybody" if service.get("invokerIamDisabled") else "nobody but the project's own"
    first = f"the first revision of {name} is not as promised"
    text = f"{first}. It has the traffic, since nothing else is there, and {who} may call it"
    return text, "`homeport down --on cloudrun` ends it; "


async def _own(endpoint: Endpoint) -> ProbeToken:
    """Return the caller's own token, which opens the endpoint, and must open no other address of a closed service."""
    if endpoint.identity is None:
        return ProbeToken(why_none="it takes no token")
    try:
        return ProbeToken(token=await endpoint.identity.token())
    except HomeportError as error:
        return ProbeToken(why_none=str(error))


def least_instances(service: Body) -> int:
    """Return how many instances of a service always run."""
    both = (service, service.get("template", {}))
    return max(int(part.get("scaling", {}).get("minInstanceCount") or 0) for part in both)


async def live(google: Google, path: str) -> JsonObject:
    """Return the service at `path`. Raises `NotFound` where it is not deployed."""
    try:
        service: JsonObject = await google.get("run", path)
    except (NotFound, ApiDisabled) as error:
        raise NotFound(
            f"{path.rpartition('/')[2]} is not deployed in {path.split('/')[2]}",
            hint="`homeport up --on cloudrun` deploys it",
        ) from error
    return service
