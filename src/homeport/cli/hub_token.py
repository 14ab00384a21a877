"""The hub's token, as a person types it or a pipe brings it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homeport.secret import Secret
    from homeport.terminal import Terminal


def from_stdin(on: str, *, wanted: bool) -> Secret | None:
    """
    Return the first line of standard input, where it is `wanted` for the target `on`.

    Raises `SpecError` where it is empty, `Unsupported` where the target keeps no token.
    """
    from homeport.deployment import require
    from homeport.errors import SpecError
    from homeport.secret import Secret, judged
    from homeport.targets.base import Capability

    if not wanted:
        return None
    require(on, {Capability.HUB_TOKEN: True})
    such_as = "such as: pass show hub | homeport up --on cloudrun --yes --hub-token-stdin"
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        line = "\0"  # It is judged as the other letters are that cannot be sent.
    token = judged(line, called="what came through standard input for --hub-token-stdin", hint=such_as)
    if token == Secret(""):
        raise SpecError("--hub-token-stdin was said, and nothing came through standard input", hint=such_as)
    return token


def asking(terminal: Terminal) -> Callable[[str], Secret | None] | None:
    """Return what asks a person for the hub's token; None where there is nobody to be asked."""
    from homeport.secret import Secret, judged

    def ask(page: str) -> Secret | None:
        terminal.close()
        terminal.say(
            f"{page} is not given to everybody: its licence must be accepted there, or it is private"
        )
        try:
            typed = terminal.ask_secret(
                "a token of the hub that may read it (not shown, kept in Secret Manager): "
            )
        except EOFError:
            return None
        token = judged(typed, called="what was typed as the hub's token")
        return None if token == Secret("") else token

    return ask if terminal.interactive else None
