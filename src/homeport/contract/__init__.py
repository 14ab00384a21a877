"""A contract that everybody with a project can hold Google Cloud to: what is relied on, tried, with a report to send."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from homeport.contract.clauses import APIS, CLAUSES, Clause
from homeport.contract.place import ClauseBroken, ContractPlace, says_nothing
from homeport.errors import HomeportError
from homeport.google import Google
from homeport.json_types import JsonObject

UNTRIED: tuple[tuple[str, str], ...] = (
    ("how long a first start from zero takes, and whether an L4 is granted at the first deployment", "a GPU, and a project that never had one"),
    ("how long Cloud Run keeps addresses in a subnetwork after its service has gone", "two hours"),
    ("how long a fresh grant takes to be seen by Cloud Run and Cloud Build", "an hour of waiting, many times"),
    ("how long a new load balancer answers 404, and a managed certificate takes", "a domain, and an hour"),
    ("in which regions and on which machines a young project may build", "a project of this week"),
    ("what a perimeter of VPC Service Controls and organisation policies answer", "an organisation"),
)  # fmt: skip
"""What no plain project can settle in ten minutes, and what it would need."""


class ClauseVerdict(StrEnum):
    """What came of one clause."""

    HOLDS = "holds"
    BROKEN = "broken"
    TOLD = "told"
    """It was a question, and the detail has its answer."""
    NOT_TRIED = "not tried"
    """It could not be tried to its end, for a reason that says nothing about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseFinding:
    """What came of one clause, and in how long."""

    text: str
    verdict: ClauseVerdict
    detail: str
    seconds: float
    left: tuple[str, ...] = ()
    """What it made and may have left; `detail` names it, too."""

    def as_json(self) -> JsonObject:
        """Return the finding as the report has it."""
        return {
            "clause": self.text,
            "verdict": self.verdict,
            "detail": self.detail,
            "seconds": round(self.seconds, 1),
        }


async def hold(
    google: Google, tell: Callable[[ClauseFinding], None], clauses: Sequence[Clause] = CLAUSES
) -> list[ClauseFinding]:
    """
    Return what came of every clause, each told as soon as it is known.

    What a clause makes, it removes, or says that it may be left: also where it is broken off, before that is raised on.
    """
    findings = []
    for clause in clauses:
        begun = time.monotonic()
        place = ContractPlace(google=google, name=f"contract-{secrets.token_hex(4)}")
        try:
            verdict, detail = await _tried(clause, place)
        except BaseException:
            if place.left:
                tell(_found(clause, place, begun, ClauseVerdict.NOT_TRIED, "it was broken off"))
            raise
        finding = _found(clause, place, begun, verdict, detail)
        tell(finding)
        findings.append(finding)
    return findings


def _found(
    clause: Clause, place: ContractPlace, begun: float, verdict: ClauseVerdict, detail: str
) -> ClauseFinding:
    if place.left:
        detail = f"{detail}; what it made may be left: {', '.join(place.left)}"
    seconds = time.monotonic() - begun
    return ClauseFinding(
        text=clause.text, verdict=verdict, detail=detail, seconds=seconds, left=tuple(place.left)
    )


async def _tried(clause: Clause, place: ContractPlace) -> tuple[ClauseVerdict, str]:
    try:
        answer = await clause.keep(place)
    except (ClauseBroken, HomeportError) as error:
        settled = not clause.asks and not says_nothing(error)
        return (ClauseVerdict.BROKEN if settled else ClauseVerdict.NOT_TRIED), str(error)
    return (ClauseVerdict.TOLD if clause.asks else ClauseVerdict.HOLDS), answer or ""


RELIED_ON = sum(not clause.asks for clause in CLAUSES)
"""How many clauses are no questions."""

__all__ = [
    "APIS",
    "CLAUSES",
    "RELIED_ON",
    "UNTRIED",
    "Clause",
    "ClauseFinding",
    "ClauseVerdict",
    "ContractPlace",
    "hold",
]
