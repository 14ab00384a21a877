"""The schemas of what commands print with `--json`, as they are published."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from places import ROOT


def ensure_valid(name: str, printed: Any) -> None:  # Any: JSON
    """Raise where `printed` is not what the schema of `name` says."""
    made = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator(made).validate(printed)
