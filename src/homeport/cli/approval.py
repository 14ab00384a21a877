"""What is shown before a yes, and the question."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from homeport.terminal import Terminal

_T = TypeVar("_T")


def asking(
    terminal: Terminal,
    *,
    yes: bool,
    text: Callable[[_T], str],
    question: str = "do it?",
    default: bool = True,
) -> Callable[[_T], bool]:
    """
    Show what would be done, as `text` has it, and ask, unless `yes` was said.

    Raises `ApprovalDeclined` where nobody can be asked.
    """
    from homeport.errors import ApprovalDeclined

    def approve(proposal: _T) -> bool:
        terminal.say(text(proposal))
        if not yes and not terminal.interactive:
            raise ApprovalDeclined(
                "nobody can be asked here, and nothing was changed", hint="the same with --yes"
            )
        if yes:
            return True
        try:
            return terminal.confirm(question, default=default)
        except EOFError:  # Ctrl-D
            return False

    return approve
