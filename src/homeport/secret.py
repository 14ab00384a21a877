"""Secrets: values whose text is `***`."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path

from homeport import redaction
from homeport.errors import HomeportError, SpecError
from homeport.own_path import expanded

_AROUND = re.compile(r"^[\s\ufeff]+|[\s\ufeff]+$")
"""White space, with the carriage return of a file with Windows' line ends, and the mark that its editors begin files with."""
_VISIBLE = re.compile(r"[\x21-\x7e]*")
"""What a header can carry. An HTTP library that is given anything else says so with all of the value."""


class Secret:
    """
    A value that must not be seen. Printed, formatted, logged or dumped it is `***`; `reveal()` gives it.

    It compares in constant time and cannot be pickled or turned into JSON by accident. Once revealed, it is replaced
    in whatever homeport prints (`homeport.redaction`). One that is `made_up`, such as a key that must not be taken, is
    no secret, and is not.
    """

    __slots__ = ("_made_up", "_value")

    def __init__(self, value: str, *, made_up: bool = False) -> None:
        self._value, self._made_up = value, made_up

    def reveal(self) -> str:
        """Return the value itself, for the one place that sends it."""
        if not self._made_up:
            redaction.remember(self._value)
        return self._value

    def compared(self) -> str:
        """Return the value itself, for one that compares it and lets it go no further."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(Secret)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret cannot be pickled")


def judged(
    text: str,
    *,
    called: str,
    error: type[HomeportError] = SpecError,
    hint: str = "write it again, on one line",
) -> Secret:
    """
    Return the secret that came in `text` from outside, without white space around it; `Secret("")` where
    there is no more.

    Raises `error` where it could not be sent: with white space or control characters within, or letters beyond ASCII.
    The error names it as it is `called`, and says nothing of its value.
    """
    value = _AROUND.sub("", text)
    if _VISIBLE.fullmatch(value) is None:
        raise error(
            f"{called} is no key or token: within it are characters that cannot be sent (white space, a line's end, "
            "control characters, or letters beyond ASCII)",
            hint=hint,
        )
    return Secret(value)


def resolve(
    reference: str,
    *,
    key: str,
    base: Path = Path(),
    env: Mapping[str, str] | None = None,
    example: str = "$(openssl rand -hex 24)",
) -> Secret:
    """
    Return the secret that `env:NAME` or `file:PATH` refers to.

    A relative path starts from `base`. `key` is the key of homeport.toml that holds the reference, for the error, whose
    hint has `example` for a value. Raises `SpecError` where the variable or file is missing or empty, or holds what cannot be sent.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        new = f"export {name}={example}"
        secret = judged(
            (os.environ if env is None else env).get(name, ""), called=f"{key} ({reference})", hint=new
        )
        if secret == Secret(""):
            raise SpecError(f"{key} refers to the environment variable {name}, which is not set", hint=new)
        return secret
    path = expanded(name, base)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        text = "\0"  # It is judged as the other letters are that cannot be sent.
    except (OSError, ValueError) as error:
        raise SpecError(
            f"{key} refers to the file {path}, which cannot be read: {error}",
            hint="write the key into it and `chmod 600` it, or use env:NAME",
        ) from error
    secret = judged(text, called=f"{key} ({reference})", hint=f"write it again, on one line, into {path}")
    if secret == Secret(""):
        raise SpecError(f"{key} refers to the file {path}, which is empty", hint="write the key into it")
    return secret
