"""Whether Identity-Aware Proxy answers before a service by now, and the wait until it does, or does no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from homeport.backoff import Backoff
from homeport.errors import HomeportError
from homeport.google import Google

TAKES_S = 600.0
"""
No page of Google's says how long it takes to turn it on or off: UNCONFIRMED. As long as what Google says of grants, with room.
"""
_IN_A_ROW = 3
"""Google has many front ends, which need not all learn of a change at once."""
_GENERATED = "x-goog-iap-generated-response"
_LOGIN = "accounts.google.com"


def is_answer_of_iap(status: int, headers: Mapping[str, str]) -> bool:
    """
    Tell whether Identity-Aware Proxy gave an answer itself: it says so in a header, and sends a browser to Google's login.

    Google's questions and answers have it answer 401 where a client does not say that it takes pages, so the status alone tells nothing.
    """
    return headers.get(_GENERATED, "").lower() == "true" or is_login(status, headers.get("location", ""))


def is_login(status: int, location: str) -> bool:
    """Tell whether an answer is the way to Google's login."""
    return status in {302, 303, 307} and urlsplit(location).hostname == _LOGIN


async def wait_until_it_stands(
    google: Google, address: str, wanted: bool, answers: Callable[[], Awaitable[bool]]
) -> bool:
    """
    Wait until the proxy `answers` before a service, or where it is not `wanted` does no more; for ten minutes at most. Returns whether that came.

    Where it never does, or nothing answers from the first, the checks of the proof tell: they are held to what is planned.
    """
    what = f"Identity-Aware Proxy to {'stand before' if wanted else 'leave'} {address}"
    wait = Backoff(what=what, within=TAKES_S, first=2.0, factor=1.5, longest=15.0)
    needed = seen = 0
    while True:
        try:
            seen = seen + 1 if await answers() is wanted else 0
        except HomeportError:
            if not needed:
                return False
            seen = 0
        if seen == 0 and not needed:
            google.note(
                f"waiting for {what}, which was turned {'on' if wanted else 'off'}: {TAKES_S / 60:.0f} min at most"
            )
            needed = _IN_A_ROW
        if seen >= needed:
            return True
        if not await wait.pause():
            google.note(f"{what} was waited for, for {TAKES_S / 60:.0f} min, and has not come")
            return False


__all__ = ["TAKES_S", "is_answer_of_iap", "is_login", "wait_until_it_stands"]
