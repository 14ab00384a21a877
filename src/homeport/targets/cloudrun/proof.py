"""The proof of a revision: it is asked under its own address, and looked at from outside, before it has traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from homeport import verify
from homeport.endpoint import Endpoint
from homeport.errors import ApiDisabled, HomeportError, NetworkError, NotFound, VerificationFailed
from homeport.google import Google, Guarded, policy
from homeport.google.credentials import Caller
from homeport.resources.traffic import Body, Receipt
from homeport.secret import Secret
from homeport.verify import Outcome, Report, Result, Subject
from homeport.verify.cloud import Deployed, Lent, Planned, verify_deployed

_INSTANCES = "/homeport/v1/instances"
"""A rehearsal's own path: what runs there, and what was changed so that it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a deployed endpoint is held to."""

    subject: Subject
    """Its endpoint has the address under which it is verified."""
    planned: Planned
    bucket_digest: str
    """Of the weights that lie in the bucket now; '' for none."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Sends requests from outside, as they are: a `homeport.verify.cloud.Sender`."""

    via: str = ""

    async def status(self, url: str, path: str, *, token: Secret | None) -> int:
        """The HTTP status of a GET. Raises `NetworkError` where nothing answers."""
        import httpx2

        host = httpx2.URL(url).host
        headers = {"host": host} | ({"authorization": f"Bearer {token.reveal()}"} if token else {})
        try:
            async with httpx2.AsyncClient(timeout=60, trust_env=not self.via) as client:
                return (await client.get(f"{self.via or url}{path}", headers=headers)).status_code
        except httpx2.HTTPError as error:
            raise NetworkError(f"nothing answers at {url}{path}: {error}") from error


def endpoint_of(google: Google, service: Body, model: str, *, url: str = "", via: str = "") -> Endpoint:
    """A deployed service as an endpoint for whoever is logged in; `url` is another address of it than its own."""
    origin = str(service["uri"])
    return Endpoint(
        name=str(service["name"]).rpartition("/")[2],
        base_url=f"{url or origin}/v1",
        model=model,
        identity=Caller(google.credentials, origin),
        via=via,
    )


async def proven(
    google: Google,
    promise: Promise,
    service: Body,
    revision_name: str,
    *,
    via: str = "",
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """The report of all checks on one revision of a service: as any endpoint's, and as a deployed one's."""
    subject = promise.subject
    if via:
        subject = replace(
            subject, weights_path=await _rehearsed(via, revision_name, subject.weights_path, subject.endpoint)
        )
    report = await verify.verify(subject, on_result=on_result)
    revision = await google.get("run", f"v2/{service['name']}/revisions/{revision_name}")
    deployed = Deployed(
        service=service,
        revision=revision,
        policy=await policy.read(google, Guarded(api="run", path=f"v2/{service['name']}")),
        planned=promise.planned,
        sender=Outside(via),
        url=promise.subject.endpoint.root_url,
        bucket_digest=promise.bucket_digest,
        stranger=Lent(why_none="nobody was named who may not call it"),
        elsewhere=await _elsewhere(google),
    )
    more = await verify_deployed(deployed, on_result=on_result)
    return replace(report, results=(*report.results, *more))


def receipt_of(report: Report) -> Receipt:
    """What is kept of a report. Raises `VerificationFailed` where a check failed."""
    failed = [f"{one.name}: {one.detail}" for one in report.results if one.outcome is Outcome.FAILED]
    if not report.passed:
        raise VerificationFailed(
            f"the new revision of {report.endpoint} is not as promised, and gets no traffic: "
            + "; ".join(failed or ["nothing could be checked"]),
            hint="what served before goes on serving; `homeport logs --on cloudrun` shows what the engine wrote",
        )
    counts = Counter(one.outcome.value for one in report.results)
    return Receipt(at=datetime.now(UTC).isoformat(timespec="seconds"), passed=True, counts=dict(counts))


async def _rehearsed(via: str, revision: str, path: str, endpoint: Endpoint) -> str:
    """
    Where a rehearsal has what lies at a path of the container: at that very path, where the machine allows it.

    Elsewhere it moves the path, and its table of changes says to where.
    """
    import httpx2

    async with httpx2.AsyncClient(base_url=via, timeout=60, trust_env=False) as client:
        for _ in range(2):
            try:
                found = (await client.get(_INSTANCES)).json()["instances"]
            except (httpx2.HTTPError, ValueError, KeyError):
                break  # It is no rehearsal of ours.
            for instance in found:
                if instance["revision"].rpartition("/")[2] == revision:
                    moved = {
                        row["cloud"]: row["here"] for row in instance["changes"] if row["what"] == "path"
                    }
                    return str(moved.get(path, path))
            async with endpoint.client() as asked:
                await asked.get("/health")  # It sleeps, and wakes for this.
    return path


async def _elsewhere(google: Google) -> Lent:
    try:
        return Lent(token=await google.credentials.id_token("https://another.example.com"))
    except HomeportError as error:
        return Lent(why_none=str(error))


async def live(google: Google, path: str) -> dict[str, Any]:  # Any: JSON
    """The service at `path`. Raises `NotFound` where it is not deployed."""
    try:
        found: dict[str, Any] = await google.get("run", path)  # Any: JSON
    except (NotFound, ApiDisabled) as error:
        raise NotFound(
            f"{path.rpartition('/')[2]} is not deployed in {path.split('/')[2]}",
            hint="`homeport up --on cloudrun` deploys it",
        ) from error
    return found
