"""Secrets: values whose text is `***`."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from homeport.errors import SpecError


class Secret:
    """
    A value that must not be seen. Printed, formatted, logged or dumped it is `***`; `reveal()` gives it.

    It compares in constant time and cannot be pickled or turned into JSON by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(Secret)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret cannot be pickled")


def resolve(reference: str, *, key: str, base: Path = Path(), env: Mapping[str, str] | None = None) -> Secret:
    """
    The secret that `env:NAME` or `file:PATH` refers to.

    A relative path starts from `base`. `key` is the key of homeport.toml that holds the reference, for the error. Raises `SpecError` where the
    variable or file is missing or empty.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = (os.environ if env is None else env).get(name, "")
        if not value:
            raise SpecError(
                f"{key} refers to the environment variable {name}, which is not set",
                hint=f"export {name}=$(openssl rand -hex 24)",
            )
        return Secret(value)
    path = base / Path(name).expanduser()
    try:
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"{key} refers to the file {path}, which cannot be read: {error}",
            hint="write the key into it and `chmod 600` it, or use env:NAME",
        ) from error
    if not value:
        raise SpecError(f"{key} refers to the file {path}, which is empty", hint="write the key into it")
    return Secret(value)
