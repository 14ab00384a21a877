"""Carry out the attacks, print what came of them, and fail where a door fell."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from random import Random

from attack import archives, bodies, doors, files, headers, names, planted, records, tokens
from attack.law import Attack, Outcome, carried_out
from attack.report import table
from attack.stage import staged

FAMILIES = (doors, tokens, names, archives, headers, planted, records, files, bodies)
"""In their order; the last may end the engine."""
SEED = 12
_SHOWN = 5
"""Falls that are told of one door and kind; the table counts them all."""


def planned(seed: int = SEED, *, sample: int = 1) -> list[Attack]:
    """All attacks in their order; of each door and kind every `sample`th, and one at least."""
    made = [attack for family in FAMILIES for attack in family.attacks(Random(f"{seed} {family.__name__}"))]
    kinds = (list(group) for _, group in groupby(made, key=lambda attack: (attack.door, attack.kind)))
    return [attack for group in kinds for attack in group[::sample]]


def run(attacks: Sequence[Attack], root: Path, *, aloud: bool = False) -> list[Outcome]:
    """Carry out `attacks` on servers of their own, in the empty folder `root`."""
    outcomes: list[Outcome] = []
    told: Counter[tuple[str, str]] = Counter()

    def tell(outcome: Outcome) -> None:
        attack = outcome.attack
        told[attack.door, attack.kind] += bool(outcome.fell)
        if aloud and outcome.fell and told[attack.door, attack.kind] <= _SHOWN:
            print(f"fell: {attack.door}, {attack.kind}: {attack.name}\n      {outcome.fell}", flush=True)

    with staged(root) as stage:
        watches = {name: watch for family in FAMILIES for name, watch in family.watches(stage).items()}
        for _, group in groupby(attacks, key=lambda attack: (attack.door, attack.kind)):
            outcomes += carried_out(list(group), stage, watches, tell)
    return outcomes


def longest(outcomes: Sequence[Outcome]) -> list[str]:
    """The attacks that took most of the time, with their seconds."""
    slowest = sorted(outcomes, key=lambda one: -one.seconds)[:_SHOWN]
    return [f"{one.attack.name[:60]} {one.seconds:.1f} s" for one in slowest]


def main() -> int:
    """Exit with 1 where a door fell."""
    parser = argparse.ArgumentParser(prog="attack", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--door", default="", help="only doors whose name holds this")
    parser.add_argument("--kind", default="", help="only kinds whose name holds this")
    parser.add_argument("--sample", type=int, default=1, help="every so many-th attack of each kind")
    parser.add_argument("--count", action="store_true", help="say what would be tried, and try nothing")
    given = parser.parse_args()
    chosen = [
        attack
        for attack in planned(given.seed, sample=given.sample)
        if given.door in attack.door and given.kind in attack.kind
    ]
    if given.count:
        print(table(chosen, []))
        return 0
    with tempfile.TemporaryDirectory(prefix="attack-") as root:
        begun = time.monotonic()
        outcomes = run(chosen, Path(root) / "stage", aloud=True)
        print(f"took {time.monotonic() - begun:.0f} s; longest: {'; '.join(longest(outcomes))}")
    print(table(chosen, outcomes))
    return 1 if any(outcome.fell for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
