"""Writes what is generated from the code: the JSON Schema, and the reference pages of docs/. `make schema` runs it."""

from __future__ import annotations

import json
from pathlib import Path

from homeport import reference, spec

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write every generated file anew."""
    schema = json.dumps(spec.json_schema(), indent=2) + "\n"
    (ROOT / "src/homeport/spec/homeport.schema.json").write_text(schema, encoding="utf-8")
    for name, text in reference.pages().items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
