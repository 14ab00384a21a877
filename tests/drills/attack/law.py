"""What an attack is, and the laws that hold for all of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attack.stage import Stage

MISTAKE = "mistake of homeport's"
"""What the command line prints of an exception that nobody foresaw."""
_CHECKED_EVERY = 100
_AT_ONCE = 8
"""Of attacks that mostly wait for a server to say nothing."""
_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One thing that an attacker does."""

    door: str
    """The server, or the part of homeport, that it is tried on."""
    kind: str
    name: str
    carry_out: Callable[[Stage], str]
    """Do it. Returns why the door fell; '' where it held."""
    alone: bool = True
    """Whether it has this process to itself: folders and environment are the process's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an attack."""

    attack: Attack
    fell: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks at a door between attacks: whether its owner is still served, and nothing happened behind it."""

    look: Callable[[], str]
    """Returns what is wrong; '' where all is well."""


def carried_out(
    attacks: Sequence[Attack], stage: Stage, watches: Mapping[str, Watch], tell: Callable[[Outcome], None]
) -> list[Outcome]:
    """Carry out all attacks of one door and kind; what its watch sees is charged to the attack before."""
    outcomes: list[Outcome] = []
    watch = watches.get(attacks[0].door)
    seen = watch.look() if watch else ""
    for begin in range(0, len(attacks), _CHECKED_EVERY):
        batch = attacks[begin : begin + _CHECKED_EVERY]
        with ThreadPoolExecutor(1 if batch[0].alone else _AT_ONCE) as pool:
            done = list(pool.map(lambda attack: _carried_out(attack, stage), batch))
        if seen:
            done[0] = replace(done[0], fell=f"before any attack: {seen}")
        seen = ""
        wrong = watch.look() if watch else ""
        if wrong:
            done[-1] = replace(done[-1], fell=f"after the last {len(batch)} attacks: {wrong}")
        for outcome in done:
            tell(outcome)
        outcomes += done
    return outcomes


def _carried_out(attack: Attack, stage: Stage) -> Outcome:
    begun = time.monotonic()
    try:
        fell = attack.carry_out(stage)
    except Exception as error:  # noqa: BLE001 - whatever nobody foresaw is what is looked for
        fell = shown(f"{type(error).__name__}: {error}")
    return Outcome(attack=attack, fell=fell, seconds=time.monotonic() - begun)


def shown(text: str) -> str:
    """A text as one line that fits a report, with nothing in it that a terminal obeys."""
    one = " ".join(text.split())
    plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in one)
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"


def told(text: str, secrets: Iterable[str]) -> str:
    """Which of the planted secrets stands in a text, in whole or in its greater part; '' for none."""
    for secret in secrets:
        for piece in {secret, secret.strip(), *secret.split()}:
            if len(piece) >= 8 and piece in text:
                return f"a planted secret is shown: {shown(text)}"
    return ""


def obeyed(text: str) -> str:
    """The first character of a text that a terminal would obey rather than show; '' for none."""
    for char in text:
        if not char.isprintable() and char not in {"\n", "\t"}:
            return repr(char)
    return ""


class Canary:
    """A folder with files in it that no attack may touch, and its surroundings in which none may make any."""

    def __init__(self, root: Path, *, allowed: Sequence[Path] = ()) -> None:
        self._root, self._allowed = root, tuple(allowed)
        for name in ("precious.txt", "a/precious.gguf", ".ssh/authorized_keys", "a/b/config.json"):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(f"precious {name}\n")
        self._before = self._snapshot()

    def changed(self) -> str:
        """What is otherwise than it was, outside of the folders that may change; then that is taken as given."""
        after = self._snapshot()
        different = sorted(
            str(path.relative_to(self._root))
            for path in self._before.keys() | after.keys()
            if self._before.get(path) != after.get(path)
        )
        self._before = after
        return f"outside of its folder changed {different[:3]}" if different else ""

    def _snapshot(self) -> dict[Path, str]:
        found = {}
        for path in self._root.rglob("*"):
            if any(path.is_relative_to(folder) for folder in self._allowed):
                continue
            if path.is_symlink():
                found[path] = f"link to {path.readlink()}"
            elif path.is_file():
                found[path] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[path] = "folder"
        return found
