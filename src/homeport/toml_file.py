"""A file in TOML that the user wrote."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from homeport.errors import SpecError
from homeport.own_path import looking_at


def read_toml(
    path: Path, *, hint: str, if_missing: str = ""
) -> dict[str, Any]:  # Any: the values of a TOML table
    """Return the table in a TOML file. Raises `SpecError`, with `hint`, where it cannot be read; or is not there."""
    try:
        return tomllib.loads(_content(path, if_missing or hint).decode())
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} cannot be read: {error}", hint=hint) from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path} is not TOML: {error}", hint=hint) from error


def _content(path: Path, if_missing: str) -> bytes:
    with looking_at(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise SpecError(f"there is no {path}", hint=if_missing) from None
