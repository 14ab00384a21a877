"""What the proxy answers itself, in OpenAI's shapes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from homeport.endpoint import Endpoint
from homeport.endpoint.identity import refused_as, too_large
from homeport.endpoint.refusals import words_of
from homeport.errors import HomeportError, NoCredentials
from homeport.json_types import Json
from homeport.relay.messages import Send

HEALTH = "/health"
_MODELS = "/v1/models"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAnswer:
    """A whole answer in JSON."""

    status: int = 200
    body: Json

    async def send(self, send: Send, *, head: bool = False) -> None:
        """Send it; its head alone for a HEAD."""
        body = json.dumps(self.body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if self.status >= 400:
            # OpenAI's clients try 403 no more, but 429 and 5xx: whatever patience could do was done.
            headers.append((b"x-should-retry", b"false"))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})


def known(path: str, models: Sequence[str], since: int) -> ProxyAnswer | None:
    """Return the answer to a GET that need not wake the service; None where the service must be asked."""
    if path == HEALTH:
        return ProxyAnswer(body={"status": "ok", "about": "the proxy; the service was not asked"})
    if not models or not (path == _MODELS or path.startswith(f"{_MODELS}/")):
        return None
    listed = [{"id": name, "object": "model", "created": since, "owned_by": "homeport"} for name in models]
    if path == _MODELS:
        return ProxyAnswer(body={"object": "list", "data": listed})
    model = path.removeprefix(f"{_MODELS}/")
    for entry in listed:
        if entry["id"] == model:
            return ProxyAnswer(body=entry)
    return error(404, f"there is no model {model!r} here, but {', '.join(models)}")


def error(status: int, message: str) -> ProxyAnswer:
    """Return an error as OpenAI's API has it."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return ProxyAnswer(
        status=status, body={"error": {"message": message, "type": kind, "param": None, "code": status}}
    )


def failure(what: HomeportError) -> ProxyAnswer:
    """Return the error that says what kept the request from being sent."""
    status = 401 if isinstance(what, NoCredentials) else 502
    return error(status, f"{what} ({what.hint})" if what.hint else str(what))


async def explained(endpoint: Endpoint, status: int, text: str) -> ProxyAnswer:
    """Return what Cloud Run refused, and what to do about it: to OpenAI clients its own page says nothing."""
    refusal = f"the service refused ({status}): {words_of(text)[:200]}"
    if status in {429, 503}:
        hint = (
            f"{endpoint.name} had nothing free for as long as was waited: `homeport logs --on cloudrun` tells"
        )
    elif status == 413:
        hint = too_large()
    else:
        hint = refused_as(status, await _who(endpoint)) if endpoint.identity else "no identity was sent"
    return error(status, f"{refusal}; {hint}")


async def _who(endpoint: Endpoint) -> str:
    try:
        return await endpoint.identity.who() if endpoint.identity else ""
    except HomeportError:
        return ""
