"""A key, and what no key may hold."""

from __future__ import annotations

PLAIN = "sk-planted-4f9c1e77a0b35d2e"


def bad(kind: str) -> str:
    """The key with something in it that no header can carry."""
    return {"inner newline": f"{PLAIN}\nMORE=1", "inner space": f"{PLAIN} x", "letters": f"{PLAIN}é",
            "control": f"{PLAIN}\x1b[2Jx", "carriage return": f"{PLAIN}\rx"}[kind]  # fmt: skip


KINDS = ("inner newline", "inner space", "letters", "control", "carriage return")


def says_nothing(ran: str) -> None:
    """Holds that nothing of the key is in what a command said."""
    assert PLAIN not in ran
    assert PLAIN[:10] not in ran
