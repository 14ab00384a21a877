"""A check: one thing that is looked at, on its own, within its time."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from homeport.errors import HomeportError, Unsupported
from homeport.verify.report import Finding, Result, failed

_Subject = TypeVar("_Subject")
OnResult = Callable[[Result], None]
"""Hears of each result as its check ends."""


@dataclass(frozen=True, slots=True)
class Check(Generic[_Subject]):
    """What is looked at of a subject: an endpoint, or a deployment."""

    name: str
    title: str
    look: Callable[[_Subject], Awaitable[Finding]]
    patience_s: float = 180
    """After so long it has failed: an answer that late is none."""

    async def looked(self, subject: _Subject) -> Result:
        """Return what came of it. A check that breaks is a check that failed."""
        at = time.monotonic()
        return self.result(await self._found(subject), time.monotonic() - at)

    def result(self, found: Finding, seconds: float = 0.0) -> Result:
        """Return a finding as this check's result."""
        return Result(
            name=self.name,
            title=self.title,
            outcome=found.outcome,
            detail=found.detail,
            seconds=seconds,
            evidence=found.evidence,
        )

    async def _found(self, subject: _Subject) -> Finding:
        try:
            return await asyncio.wait_for(self.look(subject), self.patience_s)
        except TimeoutError:
            return failed(f"no answer within {self.patience_s:.0f} s")
        except HomeportError as error:
            return failed(str(error))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            # The answer was JSON of another shape than its API's.
            return failed(f"the answer is not what its API describes: {type(error).__name__} {error}")


def picked(checks: Iterable[Check[_Subject]], only: Sequence[str]) -> list[Check[_Subject]]:
    """Return those that are named in `only`, in their usual order; all of them where it is empty."""
    return [check for check in checks if not only or check.name in only]


def refuse_unknown(only: Iterable[str], known: Sequence[str]) -> None:
    """Raise `Unsupported` for a name that is no check."""
    for name in only:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            suggestion = f"did you mean {close[0]}? " if close else ""
            raise Unsupported(
                f"there is no check called {name}", hint=f"{suggestion}there are {', '.join(known)}"
            )
