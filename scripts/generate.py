"""Writes what is generated from the code: the JSON Schema, and the reference pages of docs/. `make schema` runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from homeport import reference, shapes, spec

ROOT = Path(__file__).resolve().parent.parent
DECISIONS = ROOT / "docs" / "decisions"
CLIENTS = ROOT / "tests" / "records" / "clients"
_PAGE = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n\*(?P<status>[A-Z][^,*\n]*), (?P<date>\d{4}-\d\d-\d\d)\.\*\n"
)
"""How the page of a decision begins."""


def decisions(folder: Path = DECISIONS) -> str:
    """Return the index of the decisions. Raises `ValueError` for a page that begins otherwise, or a number that is twice."""
    rows: dict[int, str] = {}
    for path in sorted(folder.glob("[0-9]*.md")):
        begins = _PAGE.match(path.read_text(encoding="utf-8"))
        if begins is None:
            raise ValueError(f"{path.name} does not begin with '# N. TITLE', a blank line, '*STATUS, DATE.*'")
        number = int(begins["number"])
        if number in rows or not path.name.startswith(f"{number:04}-"):
            raise ValueError(f"{path.name}: the number {number} is another page's, or not that of its name")
        rows[number] = (
            f"| [{number}]({path.name}) | {begins['title']} | {begins['status']} | {begins['date']} |"
        )
    return "\n".join(
        (
            "# Decisions",
            "",
            "One short page for each decision that others will ask about: what was decided, and why. A decision that no",
            "longer holds stays, its status says which one took its place. Generated from the pages by `make schema`.",
            "",
            "| | decision | status | date |",
            "|---|---|---|---|",
            *(rows[number] for number in sorted(rows)),
            "",
        )
    )


def checked(folder: Path = CLIENTS) -> str:
    """Return the table of the clients that `make test-clients` has run, by the records that it wrote."""
    asked = {
        "chat": "a chat",
        "stream": "streamed",
        "tool": "a tool's call",
        "structured": "JSON of a schema",
    }
    lines = [
        "| client | version | its words | " + " | ".join(asked.values()) + " | a wrong key | seen |",
        "|---" * (len(asked) + 5) + "|",
    ]
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        cells = [told["parts"].get(part, "*not run*") for part in (*asked, "wrong_key")]
        row = (told["client"], told["version"], f"`--for {told['words']}`", *cells, told["date"])
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join((*lines, ""))


def with_checked(page: str) -> str:
    """Return the page of clients with that table written again. Raises `ValueError` where it has no place for it."""
    begin, end = "<!-- generated: checked clients -->\n", "<!-- end: checked clients -->\n"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"clients.md lacks {begin.strip()} or {end.strip()}")
    return f"{page[: page.index(begin)]}{begin}\n{checked()}\n{page[page.index(end) :]}"


def main() -> None:
    """Write every generated file again."""
    schema = json.dumps(spec.json_schema(), indent=2) + "\n"
    (ROOT / "src/homeport/spec/homeport.schema.json").write_text(schema, encoding="utf-8")
    for name, text in reference.pages().items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")
    for name in reference.sections():
        page = ROOT / "docs" / name
        page.write_text(reference.with_sections(name, page.read_text(encoding="utf-8")), encoding="utf-8")
    clients = ROOT / "docs" / "clients.md"
    clients.write_text(with_checked(clients.read_text(encoding="utf-8")), encoding="utf-8")
    for name in shapes.RESULTS:
        text = json.dumps(shapes.schema(name), indent=2, ensure_ascii=False) + "\n"
        (ROOT / "docs" / "schemas" / f"{name}.json").write_text(text, encoding="utf-8")
    (DECISIONS / "README.md").write_text(decisions(), encoding="utf-8")


if __name__ == "__main__":
    main()
