"""Does the hub give this token what will be fetched?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from homeport.google import Google
from homeport.targets.cloudrun.preflight.asked import Asked, Gate
from homeport.targets.cloudrun.preflight.finding import Finding, not_checked, ok, problem

if TYPE_CHECKING:
    import httpx2

_WITHIN_S = 30.0
_ASK = "accept the licence on the model's page, signed in as the token's owner, and set the hub's token"


async def gate(google: Google, asked: Asked) -> Sequence[Finding]:
    """Whether one file of the pinned commit may be fetched; nothing where the weights lie in the bucket already."""
    wanted = asked.gate
    if wanted is None:
        return []
    import httpx2

    headers = {"authorization": f"Bearer {wanted.token.reveal()}"} if wanted.token else {}
    url = f"{wanted.endpoint}/{wanted.repo}/resolve/{wanted.revision}/{quote(wanted.file)}"
    try:
        async with httpx2.AsyncClient(timeout=_WITHIN_S) as client:
            answer = await client.head(url, headers=headers)
    except httpx2.HTTPError as error:
        why = f"{wanted.endpoint} did not answer: {str(error) or type(error).__name__}"
        return [not_checked(f"hub/{wanted.repo}", why)]
    return [_judged(wanted, answer)]


def _judged(wanted: Gate, answer: httpx2.Response) -> Finding:
    subject, code = f"hub/{wanted.repo}", answer.headers.get("x-error-code", "")
    whose = "this token" if wanted.token else "nobody without a token"
    data: dict[str, Any] = {"status": answer.status_code, "code": code}  # Any: JSON
    if answer.is_success or answer.is_redirect:
        with_it = "with this token" if wanted.token else "without a token"
        return ok(subject, f"{wanted.file} at {wanted.revision[:12]} may be fetched {with_it}", **data)
    if code == "GatedRepo" or (answer.status_code == 403 and not code):
        return problem(subject, f"the hub's gate is closed: {whose} may fetch {wanted.file}", _ASK, **data)
    if answer.status_code == 401 and wanted.token and code != "RepoNotFound":
        text = "the hub does not know this token"
        return problem(subject, text, "make a new one with the right to read, and give it again", **data)
    if code in {"RepoNotFound", "RevisionNotFound", "EntryNotFound"} or answer.status_code in {401, 404}:
        text = f"the hub has no {wanted.repo} at {wanted.revision[:12]} with {wanted.file}, or it is private"
        return problem(
            subject, text, "correct `model` or `weights`, or give a token that may read it", **data
        )
    return not_checked(subject, f"the hub answered {answer.status_code}", **data)
