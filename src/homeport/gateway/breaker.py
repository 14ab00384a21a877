"""A screen that is left alone for some seconds after it failed several times in a row: until then each request is refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homeport.gateway.screens.base import Screen
from homeport.gateway.verdict import Reason, Refused, Side

_FAILURES, _OPEN_S = 5, 5.0
_COUNTS = frozenset({Reason.UNAVAILABLE, Reason.TIMEOUT, Reason.QUOTA, Reason.DENIED})
"""What says that the screen, and not the text, is at fault."""


class Breaker:
    """Stands before a screen: bounds the time of each judgement, and trips."""

    def __init__(
        self, screen: Screen, *, deadline_s: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._screen, self._deadline = screen, deadline_s
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._failed = 0
        self._until = 0.0
        self._probing = False

    @property
    def tripped(self) -> bool:
        """Tell whether it refuses without asking."""
        return self._failed >= _FAILURES and (self._probing or self._clock() < self._until)

    async def judge(self, text: str, side: Side) -> tuple[str, ...]:
        """Return what the screen says. Raises `Refused`, at once while it is tripped; one is let through to try."""
        if self.tripped:
            raise Refused(
                Reason.TRIPPED,
                f"the screen failed {self._failed} times in a row, and is not asked for some seconds",
            )
        self._probing = self._failed >= _FAILURES
        try:
            async with asyncio.timeout(self._deadline):
                matched = await self._screen.judge(text, side)
        except TimeoutError:
            self._fail()
            raise Refused(Reason.TIMEOUT, f"the screen did not answer within {self._deadline:g} s") from None
        except Refused as refused:
            if refused.reason in _COUNTS:
                self._fail()
            else:
                self._mend()
            raise
        except asyncio.CancelledError:
            self._probing = False
            raise
        except Exception as error:
            self._fail()
            raise Refused(Reason.UNAVAILABLE, f"the screen failed: {type(error).__name__}") from error
        self._mend()
        return matched

    async def aclose(self) -> None:
        """Close the screen."""
        await self._screen.aclose()

    def _fail(self) -> None:
        self._failed += 1
        self._probing = False
        self._until = self._clock() + _OPEN_S

    def _mend(self) -> None:
        self._failed, self._probing = 0, False
