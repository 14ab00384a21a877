"""The release of an endpoint: which revision of its service has the traffic."""

from __future__ import annotations

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.resources.google.release import Prove, Release
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun.names import Names


def release(google: Google, names: Names, prove: Prove, canary: tuple[int, ...] = ()) -> Release:
    """Return the release of the endpoint."""
    return Release(google=google, name=names.name, path=f"v2/{names.service}", prove=prove, canary=canary)


async def no_proof(_: Body, revision: str, __: str) -> Receipt:
    """Raise `HomeportError`: a way back proves nothing anew."""
    raise HomeportError(f"{revision} was verified before")
