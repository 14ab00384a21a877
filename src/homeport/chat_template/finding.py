"""What was found of a chat template that was tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "parse", "raises", "text", "system", "roles", "tools", "tool-turn", "endless", "none", "unchecked"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFinding:
    """One thing that will not work with a template, or that could not be tried."""

    kind: Kind
    text: str
    """One sentence, without a full stop."""
