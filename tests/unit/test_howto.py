"""What the pages for contributors say of files is true: each of them is there, and has what is said to be in it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from homeport.targets.base import LiveModule, TargetModule
from homeport.targets.registry import asked
from places import ROOT

HOWTO = ROOT / "docs" / "howto"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DECISIONS = ROOT / "docs" / "decisions"
GLOSSARY = ROOT / "docs" / "glossary.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = (
    "add-an-engine", "add-a-check", "add-a-resource", "add-a-target", "add-a-weights-source", "add-an-exporter",
    "add-an-emulated-method", "add-a-model",
)  # fmt: skip
CHANGES = (
    "GPU type", "engine", "sidecar", "load balancer", "target GKE", "retries", "check", "s3://", "bucket's name",
    "homeport.toml", "line of the plan", "another cloud",
)  # fmt: skip
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
IN_A_FILE = re.compile(r"`(\w+)`,? (?:in|of) `((?:src|tests|scripts)/[^`]+\.\w+)`")
PLACEHOLDER = re.compile(r"[A-Z]+(?:\.\w+)?")
ROOTS = ("src", "tests", "docs", "scripts")


def paths(text: str) -> list[str]:
    """Return every path that a page names from the project's root; of one with a placeholder the folder before it."""
    found = []
    for code in CODE.findall(text):
        parts = code.split("/")
        if not PATH.fullmatch(code) or parts[0] not in ROOTS or len(parts) == 1:
            continue
        named = next((at for at, part in enumerate(parts) if PLACEHOLDER.fullmatch(part)), len(parts))
        found.append("/".join(parts[:named]))
    return found


def missing(text: str) -> list[str]:
    """Return what a page names and is not there: paths, and names within files."""
    gone = [path for path in paths(text) if not list(ROOT.glob(path.rstrip("/")))]
    for name, path in IN_A_FILE.findall(text):
        if (ROOT / path).is_file() and not re.search(rf"\b{name}\b", (ROOT / path).read_text()):
            gone.append(f"{name} in {path}")
    return gone


@pytest.mark.parametrize("page", sorted(HOWTO.glob("*.md")), ids=lambda page: page.stem)
def test_every_file_that_a_page_tells_to_change_is_there(page: Path) -> None:
    text = page.read_text()
    assert len(set(paths(text))) >= 3
    assert not missing(text)


@pytest.mark.parametrize("protocol", [TargetModule, LiveModule])
def test_the_page_on_targets_names_all_that_is_asked_of_one_and_nothing_else(protocol: type) -> None:
    rows = (HOWTO / "add-a-target.md").read_text().splitlines()
    (row,) = (row for row in rows if f"everything that `{protocol.__name__}` in" in row)
    listed = re.search(r"asks for: ((?:`\w+`(?:, )?)+)", row)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == asked(protocol)


def test_every_file_that_the_architecture_names_is_there() -> None:
    assert not missing(ARCHITECTURE.read_text())


def test_what_is_gone_would_be_found() -> None:
    page = "`src/homeport/gone.py`, `CHECKS` of `src/homeport/errors.py`, `src/homeport/targets/NAME/x.py`, `tests/*.none`"
    assert missing(page) == ["src/homeport/gone.py", "tests/*.none", "CHECKS in src/homeport/errors.py"]


def test_there_is_a_page_for_each_thing_that_is_usually_added_and_each_is_linked() -> None:
    assert sorted(page.stem for page in HOWTO.glob("*.md")) == sorted(PAGES)
    for page in PAGES:
        assert f"(howto/{page}.md)" in ARCHITECTURE.read_text()
        assert f"(docs/howto/{page}.md)" in CONTRIBUTING.read_text()


def test_the_architecture_tells_of_twelve_changes_the_files_of_each() -> None:
    table = ARCHITECTURE.read_text().partition("## Twelve changes")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(CHANGES)
    for row, change in zip(rows, CHANGES, strict=True):
        assert change in row.split("|")[1]
        assert paths(row)


def test_the_index_of_decisions_has_every_page_and_each_number_once() -> None:
    generate = runpy.run_path(str(ROOT / "scripts" / "generate.py"))
    assert (DECISIONS / "README.md").read_text() == generate["decisions"](), "run `make schema`"


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("0002-second.md", "# 2. Second\n\nNo status.\n"),
        ("0001-again.md", "# 1. Again\n\n*Accepted, 2026-11-28.*\n"),
        ("0003-other.md", "# 4. Other\n\n*Accepted, 2026-11-28.*\n"),
    ],
)
def test_a_decision_without_status_or_with_a_number_that_is_taken_is_refused(
    tmp_path: Path, name: str, begins: str
) -> None:
    generate = runpy.run_path(str(ROOT / "scripts" / "generate.py"))
    (tmp_path / "0001-first.md").write_text("# 1. First\n\n*Accepted, 2026-11-28.*\n\nText.\n")
    assert "| [1](0001-first.md) | First | Accepted | 2026-11-28 |" in generate["decisions"](tmp_path)
    (tmp_path / name).write_text(begins)
    with pytest.raises(ValueError, match=name if name != "0001-again.md" else "0001"):
        generate["decisions"](tmp_path)


def test_every_word_of_the_glossary_is_used_where_it_says() -> None:
    rows = re.findall(r"^\| (\w[\w -]*) \| .+ \| `([^`]+)` \|$", GLOSSARY.read_text(), re.MULTILINE)
    assert len(rows) > 40
    for word, path in rows:
        used = re.compile(r"[ _-]?".join(re.split("[ -]", word)), re.IGNORECASE)
        assert used.search(f"{path}\n{(ROOT / path).read_text()}"), f"{path} does not use {word!r}"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (CONTRIBUTING, ARCHITECTURE, GLOSSARY, *HOWTO.glob("*.md"), *DECISIONS.glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
