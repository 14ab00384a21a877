"""The table of what was tried, held and fell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attack.law import Attack, Outcome


def table(attacks: Sequence[Attack], outcomes: Sequence[Outcome]) -> str:
    """A line for each door and kind, and one for all; without outcomes only what is to be tried."""
    tried = Counter((attack.door, attack.kind) for attack in attacks)
    fell = Counter((one.attack.door, one.attack.kind) for one in outcomes if one.fell)
    done = Counter((one.attack.door, one.attack.kind) for one in outcomes)
    lines = [_line("door", "what is tried", "tried", "held", "fell")]
    lines += [
        _line(door, kind, f"{count}", *_ends(done[door, kind], fell[door, kind]))
        for (door, kind), count in tried.items()
    ]
    lines.append(_line("all", "", f"{tried.total()}", *_ends(done.total(), fell.total())))
    return "\n".join(lines)


def _ends(done: int, fell: int) -> tuple[str, str]:
    return (f"{done - fell}", f"{fell}") if done else ("", "")


def _line(door: str, kind: str, *numbers: str) -> str:
    return f"{door:<20}{kind:<24}{''.join(f'{number:>7}' for number in numbers)}".rstrip()
