"""
Whose requests they are, counted by caller: whom Cloud Run let in, by the identity token that it has looked at itself.

Cloud Run hands a token on without its signature, so nobody behind it can look again. What is read here is true where Cloud Run asks
everybody for a token, and nowhere else: whoever reaches an open service writes what he likes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeport.gateway.usage import TokenUsage
from homeport.relay.messages import Headers

if TYPE_CHECKING:
    from prometheus_client import Metric

REQUESTS, TOKENS = "homeport_caller_requests", "homeport_caller_tokens"
"""Names of the counters, without the `_total` that Prometheus appends."""
LABEL, TOLD, KIND = "caller", "tokens_told", "gen_ai_token_type"
UNKNOWN, OTHERS = "unknown", "others"
"""Who has no name, and who came after as many as have a count of their own. No name of Google's is either."""
MOST = 50
"""Callers of one process that are told apart: each is some series of every instance, and series are paid for."""
SERIES_EACH = 4

PROVEN = "x-serverless-authorization"
_WORDS = (PROVEN.encode(), b"authorization")
"""
Where a token may be. Cloud Run looks at the first alone where there are both, and passes the second on unread.

Whether it always hands the first one on is not confirmed. Where it takes it away, the second is all that is here, and anybody who may
call writes it: nothing in such a request tells that, so that `homeport observe check` tries it from outside.
"""
_LOOKED_AT = "SIGNATURE_REMOVED_BY_GOOGLE"
_ISSUER = "accounts.google.com"
_NAME = re.compile(r"[!-~]{1,190}@[!-~]{1,63}|[0-9]{1,32}")
"""An address of an account, or its number."""


def caller_of(headers: Headers) -> str:
    """Return the address of the account that a request came from, or the number of one without; '' where that is not known."""
    for word in _WORDS:
        values = [value for name, value in headers if name == word]
        if values:
            return _named(values[0]) if len(values) == 1 else ""
    return ""


def _named(header: bytes) -> str:
    scheme, _, token = header.decode("latin-1").strip().partition(" ")
    parts = token.strip().split(".")
    if scheme.lower() != "bearer" or len(parts) != 3 or parts[2] != _LOOKED_AT:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(claims, dict) or str(claims.get("iss", "")).removeprefix("https://") != _ISSUER:
        return ""
    email = claims.get("email") if claims.get("email_verified", True) is True else None
    name = email if isinstance(email, str) else claims.get("sub")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else ""


def made_up(email: str) -> str:
    """Return a token as Cloud Run hands it on, of somebody whom Cloud Run never looked at: to try whether it is believed."""
    claims = {"iss": f"https://{_ISSUER}", "email": email, "email_verified": True}
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "RS256", "typ": "JWT"}, claims)
    )
    return f"{head}.{body}.{_LOOKED_AT}"


@dataclass(slots=True)
class _Counted:
    """What one caller came to."""

    told: int = 0
    """Requests of whose tokens all is known, those that took none included."""
    untold: int = 0
    """Requests whose tokens nobody said."""
    prompt: int = 0
    answer: int = 0
    shown: bool = False
    """Whether Prometheus has seen that it is there."""

    def note(self, error: str, usage: TokenUsage) -> None:
        # What the engine refuses with a status takes no tokens. Of what is broken off an API may have told only what it began with.
        known = error.isdigit() if error else usage.prompt is not None
        self.told += known
        self.untold += not known
        self.prompt += usage.prompt or 0
        self.answer += usage.answer or 0


class CallerCounts:
    """Requests and tokens by caller, as something that Prometheus' registry collects."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._counted: dict[str, _Counted] = {UNKNOWN: _Counted()}

    def ended(self, headers: Headers, error: str, usage: TokenUsage) -> None:
        """Count the end of a request that came with these headers."""
        self._of(caller_of(headers) or UNKNOWN).note(error, usage)

    def collect(self) -> Iterable[Metric]:
        """
        Return the counts.

        A caller begins at 0, however much has been counted already: what a counter had when it was first seen is no increase.
        """
        from prometheus_client.core import CounterMetricFamily

        requests = CounterMetricFamily(REQUESTS, "Requests by who sent them.", labels=[LABEL, TOLD])
        tokens = CounterMetricFamily(TOKENS, "Tokens by whose requests took them.", labels=[LABEL, KIND])
        for name, counted in self._counted.items():
            now = counted if counted.shown else _Counted()
            counted.shown = True
            requests.add_metric([name, "yes"], now.told)
            requests.add_metric([name, "no"], now.untold)
            tokens.add_metric([name, "input"], now.prompt)
            tokens.add_metric([name, "output"], now.answer)
        return (requests, tokens)

    def _of(self, name: str) -> _Counted:
        if name not in self._counted and len(self._counted) > self._most:
            name = OTHERS
        return self._counted.setdefault(name, _Counted())


__all__ = [
    "KIND",
    "LABEL",
    "MOST",
    "OTHERS",
    "PROVEN",
    "REQUESTS",
    "SERIES_EACH",
    "TOKENS",
    "TOLD",
    "UNKNOWN",
    "CallerCounts",
    "caller_of",
    "made_up",
]
