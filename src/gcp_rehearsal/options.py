"""What a rehearsal is started with: typed words, held to what they can be."""

from __future__ import annotations

import math
import re

LEAST_SPEED, MOST_SPEED = 0.01, 100_000.0
"""Between these the clock is one that timers can follow."""
_PROJECT = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def project_id(text: str) -> str:
    """Return the text, a project's id as Google takes one. Raises `ValueError` with what one is."""
    if not _PROJECT.fullmatch(text):
        raise ValueError(
            f"{text!r} is no project's id: it has 6 to 30 lower-case letters, digits and hyphens, begins with a letter "
            "and does not end with a hyphen"
        )
    return text


def email(text: str) -> str:
    """Return the text, an e-mail address. Raises `ValueError` with what one is."""
    if not _EMAIL.fullmatch(text):
        raise ValueError(
            f"{text!r} is no e-mail address: a person's, such as you@example.com, or a service account's, such as "
            "ci@my-project.iam.gserviceaccount.com"
        )
    return text


def port(text: str) -> int:
    """Return the number of a port that may be 0. Raises `ValueError` with what one is."""
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{text!r} is no port: it is a number from 0, for any that is free, to 65535")
    return int(text)


def speed(text: str | float) -> float:
    """Return how many seconds pass in one of ours. Raises `ValueError` with what that can be."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not LEAST_SPEED <= number <= MOST_SPEED:
        raise ValueError(f"{text!r} is no speed: it is a number from {LEAST_SPEED:g} to {MOST_SPEED:g}")
    return number
