"""The skill that tells a coding agent how to use homeport, in the form of agentskills.io: a folder with a SKILL.md."""

from __future__ import annotations

from pathlib import Path

NAME = "homeport"
"""The skill's, and its folder's."""


def text() -> str:
    """Return the skill's SKILL.md."""
    return (Path(__file__).parent / NAME / "SKILL.md").read_text(encoding="utf-8")


__all__ = ["NAME", "text"]
