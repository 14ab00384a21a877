"""What an endpoint says when it refuses."""

from __future__ import annotations

import json
import re

from homeport.endpoint.identity import too_large
from homeport.errors import EndpointError

OF_WHAT_WAS_SAID = frozenset({400, 413, 422})
"""Refusals that other words, or fewer, may mend."""
FOR_GOOD = frozenset({401, 403, 404})
"""Refusals that neither other words nor a while mend."""
TOO_LONG, FILTERED = "context_length_exceeded", "content_filter"
"""OpenAI's codes for what other words, or fewer, may mend."""
_OTHER_WORDS = "other words may be answered: `homeport guard try TEXT` tells what the screen of [guard] finds"
_TOO_LONG = re.compile(
    r"exceeds?\b.*\bcontext|maximum (context|model) length|context length is only", re.IGNORECASE
)
"""How engines say that a request is longer than their context."""
_CODES = {TOO_LONG: TOO_LONG, "exceed_context_size_error": TOO_LONG, FILTERED: FILTERED}
"""What stands as the code or the type of an error."""
_SCREENED = "bad_request_error"
"""The code and the type, both, where a screen at a load balancer stops a request: with 403, or a status that its template names."""


def is_page(body: str) -> bool:
    """Return True if it is HTML: no engine answers so, but Cloud Run does."""
    return body.lstrip().lower().startswith(("<html", "<!doctype html"))


def words_of(body: str) -> str:
    """Return the words of a page, which is what Cloud Run's own refusals are; any other text as it is."""
    if not is_page(body):
        return body.strip()
    title = re.search(r"<title>(.*?)</title>", body, re.DOTALL | re.IGNORECASE)
    return " ".join(title[1].split()) if title else "a page, and no explanation"


def refusal(status: int, body: str, *, hint: str = "", retry_after: str = "") -> EndpointError:
    """
    Return the error that says what an engine's error answer says, in one line; with a `hint`, if there is a
    better one, and with what its header Retry-After says.
    """
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if isinstance(parsed, dict):
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    else:
        text = words_of(body)[:300] or "no explanation"
    reason = _reason(status, error, text)
    if reason == FILTERED:
        hint = _OTHER_WORDS
    if reason == TOO_LONG:
        hint = (
            hint
            or "all of it, tools and their results included, has to fit: ask for less, or raise `context` of [engine]"
        )
    hint = hint or {
        401: "the key is not the engine's, or none was sent: `homeport env` prints the right one, or says why it cannot",
        403: "this identity may not call the endpoint",
        413: too_large(),
    }.get(status, "`homeport logs` shows the engine's side")
    return EndpointError(
        f"the endpoint refused ({status}): {text}",
        status=status,
        body=body[:1024],
        hint=hint,
        reason=reason,
        retry_after=retry_after,
    )


def withheld() -> EndpointError:
    """Return the error for an answer of which a filter left nothing."""
    return EndpointError(
        "a filter withheld the model's answer",
        status=400,
        body="",
        hint=_OTHER_WORDS,
        reason=FILTERED,
    )


def _reason(status: int, error: object, text: str) -> str:
    """Return OpenAI's code for why a request with these words was refused; '' for any other refusal."""
    said = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    if said == [_SCREENED, _SCREENED]:
        return FILTERED
    if status not in OF_WHAT_WAS_SAID:
        return ""
    code = next((_CODES[word] for word in said if isinstance(word, str) and word in _CODES), "")
    return code or (TOO_LONG if _TOO_LONG.search(text) else "")
