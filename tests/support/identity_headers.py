"""Headers as Cloud Run hands them on once it has looked at a token, and as somebody writes them who wants to be taken for another."""

from __future__ import annotations

import base64
import json
from typing import Any

ISSUER = "https://accounts.google.com"
LOOKED_AT = "SIGNATURE_REMOVED_BY_GOOGLE"


def token(email: str | None = None, *, signature: str = LOOKED_AT, **claims: Any) -> str:  # Any: JSON
    """An identity token, by default without the signature that it had."""
    said = {"iss": ISSUER, "sub": "1234567890", **claims}
    if email is not None:
        said = {"email": email, "email_verified": True} | said
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "RS256", "typ": "JWT"}, said)
    )
    return f"{head}.{body}.{signature}"


def bearer(email: str | None = None, *, header: str = "authorization", **more: Any) -> dict[str, str]:
    """A header with such a token."""
    return {header: f"Bearer {token(email, **more)}"}
