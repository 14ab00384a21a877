"""Does the hub give this token what will be fetched?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from homeport.certificates import certificates
from homeport.google import Google
from homeport.json_types import JsonObject
from homeport.proxy_variables import by_environment
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, not_checked, ok, problem, warning
from homeport.targets.cloudrun.preflight.request import GatedFile, PreflightInput

if TYPE_CHECKING:
    import httpx2

TOO_MANY = 429
"""What a hub answers that limits requests; callers without a token share one limit with all others of their address."""
_WITHIN_S = 30.0
GIVE = "give a token that may read it: export HF_TOKEN=…, --hub-token-stdin, or cloudrun.hub_token in homeport.toml"


async def gate(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether one file of each pinned commit may be fetched; nothing of weights that lie in the bucket already."""
    return await asyncio.gather(*(opened(gated) for gated in asked.gates))


async def opened(wanted: GatedFile) -> PreflightFinding:
    """Return what the hub says to somebody who wants the file, with the token or without."""
    import httpx2

    headers = {"authorization": f"Bearer {wanted.token.reveal()}"} if wanted.token else {}
    url = f"{wanted.page}/resolve/{wanted.revision}/{quote(wanted.file)}"
    try:
        async with httpx2.AsyncClient(
            timeout=_WITHIN_S, verify=certificates(), trust_env=by_environment()
        ) as client:
            answer = await client.head(url, headers=headers)
    except httpx2.HTTPError as error:
        why = f"{wanted.endpoint} did not answer: {str(error) or type(error).__name__}"
        return not_checked(f"hub/{wanted.repo}", why)
    return _judged(wanted, answer)


def _judged(gated: GatedFile, answer: httpx2.Response) -> PreflightFinding:
    subject, code = f"hub/{gated.repo}", answer.headers.get("x-error-code", "")
    who = "this token may not" if gated.token else "nobody without a token may"
    data: JsonObject = {"status": answer.status_code, "code": code, "page": gated.page}
    if answer.is_success or answer.is_redirect:
        with_it = "with this token" if gated.token else "without a token"
        return ok(subject, f"{gated.file} at {gated.revision[:12]} may be fetched {with_it}", **data)
    if code == "GatedRepo" or (answer.status_code == 403 and not code):
        text = f"the hub's gate is closed: {who} fetch {gated.file}"
        if gated.token:
            hint = f"accept the licence on {gated.page}, signed in as the token's owner"
        else:
            hint = f"accept the licence on {gated.page}, and {GIVE}"
        return problem(subject, text, hint, **data)
    if answer.status_code == 401 and gated.token and code != "RepoNotFound":
        text = "the hub does not know this token"
        return problem(
            subject, text, f"make a new one on {gated.endpoint}/settings/tokens, and {GIVE}", **data
        )
    if code in {"RepoNotFound", "RevisionNotFound", "EntryNotFound"} or answer.status_code in {401, 404}:
        text = f"the hub has no {gated.repo} at {gated.revision[:12]} with {gated.file}, or it is private"
        hint = f"see {gated.page}: correct the source, or {GIVE}"
        return problem(subject, text, hint, **data)
    message = answer.headers.get("x-error-message", "") or answer.reason_phrase
    if answer.status_code == TOO_MANY:
        whom = "whoever has this token" if gated.token else "callers without a token"
        again = answer.headers.get("retry-after", "")
        text = f"the hub has had too many requests of {whom} and gives nothing for now: {message}"
        hint = f"wait{f' {again} s' if again.isdigit() else ' a few minutes'}" + (
            "" if gated.token else f", or {GIVE}"
        )
        return warning(subject, text, hint, **data)
    return not_checked(subject, f"the hub answered {answer.status_code}: {message}", **data)
