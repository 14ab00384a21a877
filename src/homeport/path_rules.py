"""
What a name from outside must be, to become a path in a folder.

It stands alone: the script that carries weights in the cloud has it, too, and knows the standard library alone.
"""

from __future__ import annotations

import errno
import os
import unicodedata

LONGEST_NAME = 1024
"""Bytes of a whole name: what Cloud Storage takes."""
LONGEST_PART = 240
"""Bytes of one part: file systems take 255, and a download has a suffix of its own while it comes."""
FORBIDDEN = frozenset('<>:"|?*\\')
"""What Windows does not have in a name; a colon begins a stream there, or follows a drive."""
DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)

_NOTHING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
"""What the disk says of a path at which there is nothing."""


def problem(name: str) -> str:
    """Return why `name` cannot be that of a file in a folder, or ''."""
    if not name:
        return "is empty"
    unseen = unprintable(name)
    if unseen:
        return f"has the character {unseen}, which nobody sees"
    if len(name.encode()) > LONGEST_NAME:
        return f"has more than {LONGEST_NAME} bytes"
    # What looks like a dot or a slash to a program that folds letters is judged as one.
    for text in (name, unicodedata.normalize("NFKC", name)):
        why = next((why for part in text.split("/") if (why := part_problem(part))), "")
        if why:
            return why
    return ""


def followed(path: str) -> str:
    """
    Return where `path` leads, each link on the way followed; what is not there yet is taken by its name.

    Raises `OSError` where nobody can tell: for a circle of links, a folder that may not be looked into, and `..` behind what is not
    there. `os.path.realpath` and `Path.resolve` stop at a circle, and call the rest a path in the folder that they came to.
    """
    missing: list[str] = []
    while True:
        try:
            return os.path.join(os.path.realpath(path, strict=True), *reversed(missing))  # noqa: PTH118 - paths are texts here
        except OSError as error:
            folder, name = os.path.split(path)
            if error.errno not in _NOTHING or name == os.pardir or folder == path:
                raise
            if os.path.islink(path):  # noqa: PTH114
                path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118
                continue
            missing += [name] if name not in {"", os.curdir} else []
            path = folder or os.curdir


def part_problem(part: str) -> str:
    """Return why `part` cannot be one part of a path, or ''."""
    forbidden = next((letter for letter in part if letter in FORBIDDEN), "")
    reasons = (
        (part in {"", ".", ".."}, "leads out of its folder, or nowhere"),
        (forbidden, f"has a {forbidden} in it"),
        (part.startswith("-"), "begins with a dash, as an option of a program does"),
        (part != part.strip() or part.endswith("."), "begins or ends with a space, or ends with a dot"),
        (part.partition(".")[0].strip().lower() in DEVICES, "is a device on Windows"),
        (len(part.encode()) > LONGEST_PART, f"has a part of more than {LONGEST_PART} bytes"),
    )
    return next((why for wrong, why in reasons if wrong), "")


def unprintable(text: str) -> str:
    """Return the first control, formatting or unassigned character of `text` as `U+000A`, or ''."""
    for letter in text:
        kind = unicodedata.category(letter)
        if kind.startswith("C") or kind in {"Zl", "Zp"}:
            return f"U+{ord(letter):04X}"
    return ""


def shown(name: str) -> str:
    """Return `name` for an error: quoted, with what is not printable escaped, and not long."""
    return ascii(name) if len(name) <= 80 else f"{name[:77]!a}…"


def folded(name: str) -> str:
    """Return what a disk that does not tell letters' cases apart takes `name` for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
