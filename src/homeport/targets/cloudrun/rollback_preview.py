"""What a status tells of the way back: the revision that `rollback` goes to, or why it would go to none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from homeport.errors import HomeportError, NoCredentials, StateError
from homeport.google import Google
from homeport.resources.google.release import way_back
from homeport.resources.google.traffic import Body

Ensure = Callable[[Body], Awaitable[None]]
"""Raises for a revision with which something is wrong."""


class RollbackPreview(NamedTuple):
    """The revision, in words where there are several; or why that is not known, or would be refused."""

    to: str = ""
    unknown: str = ""
    refused: str = ""

    @classmethod
    async def of(cls, google: Google, service: Body, ensure_fit: Ensure | None) -> RollbackPreview:
        """Return it for the service of one region, whose earlier revision `ensure_fit` looks at."""
        back = ""
        try:
            back = await way_back(google, service)
            if back and ensure_fit is not None:
                await ensure_fit(await google.get("run", f"v2/{service['name']}/revisions/{back}"))
        except NoCredentials:
            raise
        except StateError as error:
            return cls(refused=str(error))
        except HomeportError as error:
            subject = f"whether {back} could serve again" if back else "its revisions"
            return cls(unknown=f"{subject} could not be read: {error}")
        return cls(to=back)


__all__ = ["Ensure", "RollbackPreview"]
