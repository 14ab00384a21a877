"""A file in TOML that the user wrote."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from homeport.errors import SpecError
from homeport.own_path import content_of


def read_toml(
    path: Path, *, hint: str, if_missing: str = ""
) -> dict[str, Any]:  # Any: the values of a TOML table
    """Return the table in a TOML file. Raises `SpecError`, with `hint`, where it cannot be read; or is not there."""
    try:
        text = content_of(path, if_missing=if_missing or hint).decode()
        if text.startswith("\ufeff"):
            raise SpecError(
                f"{path} begins with a byte order mark, which TOML does not have",
                hint="save it as UTF-8 without one",
            )
        return tomllib.loads(text)
    except RecursionError as error:
        raise SpecError(f"{path} is not TOML: it is nested too deep to be read", hint=hint) from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is no text in UTF-8: {error}", hint=hint) from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path} is not TOML: {error}", hint=hint) from error
