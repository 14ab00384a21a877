"""Which heads are those of an answer to what was asked, on whichever road that went."""

from __future__ import annotations

import aiohttp

from homeport.relay.messages import Headers
from homeport.relay.transfer_coding import tells_its_end

_SWITCHING = 101
INTERIM = frozenset(range(100, 200)) - {_SWITCHING}
"""Statuses of what comes before an answer, and is passed over."""


def judge(status: int, headers: Headers) -> bool:
    """
    Return whether the answer tells its end, see `tells_its_end`; for one whose status is none of `INTERIM`.

    Raises `ValueError` for a head that is none of an answer: it changes the protocol, its status is one that a server cannot say
    again, or its body is not what it would be taken for.
    """
    if status == _SWITCHING:
        raise ValueError("it changes the protocol, which nobody asked for, by a 101")
    if not 200 <= status <= 599:
        beyond = "above 599" if status > 599 else "below 100"
        raise ValueError(f"its status is {status}, and there is none {beyond}")
    return tells_its_end(headers)


def no_answer(why: object) -> aiohttp.ClientPayloadError:
    """Return what is raised for what came."""
    return aiohttp.ClientPayloadError(f"what came is no answer of HTTP: {why}")
