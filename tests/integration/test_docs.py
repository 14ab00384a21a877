"""The quickstart does what it says: its commands are run, and what they print is compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gcloud import needs_gcloud, served
from homeport import home
from homeport.free_ports import free_port
from homeport.verify import CHECKS
from pages import pattern, steps
from places import FETCHED, ROOT, TAUGHT
from user import User


def shell(command: str, folder: Path, env: Mapping[str, str] | None = None) -> str:
    """What a command prints, to both its streams; it must end well."""
    ran = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, f"$ {command}\n{ran.stdout}"
    return ran.stdout


@pytest.mark.long
def test_the_quickstart_is_true(user: User, real_weights: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    folder = user.folder / "home"
    folder.mkdir()
    for command, expected in steps(ROOT / "docs" / "quickstart.md"):
        if command.startswith("homeport up"):  # As if they were fetched: until then a newcomer has none.
            shutil.copytree(
                FETCHED / "weights", user.home / "weights", copy_function=os.link, dirs_exist_ok=True
            )
        said = shell(command, folder)
        assert re.fullmatch(pattern(expected), said.rstrip("\n") + "\n"), f"$ {command}\n{said}"


@pytest.mark.long
def test_the_lab_is_as_it_is_told(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(TAUGHT, user.folder / TAUGHT.name)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    port = free_port("127.0.0.1")
    try:
        for command, expected in steps(ROOT / "docs" / "lab.md"):
            said = shell(command.replace(" rehearse ", f" rehearse --port {port} "), user.folder)
            told = re.sub(r"\n+", "\n", said)
            assert re.fullmatch(pattern(expected), told.rstrip("\n") + "\n" if told else ""), (
                f"$ {command}\n{told}"
            )
    finally:
        user.run("rehearse", "stop")


FILES = re.compile(r"^`(\S+\.json)`:\n\n```json\n(.*?)^```", re.DOTALL | re.MULTILINE)
END = "--- the next command ---"


@pytest.mark.parametrize("name", ["tool-calling.md", "structured-output.md"])
def test_what_a_page_sends_to_an_endpoint_gets_what_it_says(
    user: User, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs" / name
    shutil.copyfile(TAUGHT, user.folder / TAUGHT.name)
    files = FILES.findall(page.read_text())
    assert files
    for file, text in files:
        (user.folder / file).write_text(text)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    told = steps(page)
    # Any free port, so that pages may be tried side by side.
    ours = "sed -i 's/^port = 8383$/port = 0/' homeport.toml"
    lines = [f"{command} 2>&1; code=$?; echo {END!r} $code" for command, _ in told]
    # In one shell, since later commands use what earlier ones set.
    said = shell("\n".join([lines[0], ours, *lines[1:]]), user.folder)
    parts = re.split(rf"{END} (\d+)\n", said)
    assert parts[1::2] == ["0"] * len(told), said
    for (command, expected), printed in zip(told, parts[0::2], strict=False):
        one_by_one = re.sub(r"\n+", "\n", printed)
        assert re.fullmatch(pattern(expected), one_by_one), f"$ {command}\n{printed}"


def test_the_examples_of_fit_are_true(user: User) -> None:
    for command, expected in steps(ROOT / "docs" / "fit.md"):
        ran = user.run(*command.split()[1:])
        assert re.fullmatch(pattern(expected), re.sub(r"\n+", "\n", ran.out)), ran.out


@needs_gcloud
def test_the_example_of_the_rehearsal_is_true(tmp_path: Path) -> None:
    with served(tmp_path) as rehearsal:
        for command, expected in steps(ROOT / "docs" / "rehearsal.md"):
            here = command.replace("python ", f"{sys.executable} {ROOT / 'docs' / 'examples'}{os.sep}")
            said = re.sub(r"\n+", "\n", shell(here, tmp_path, rehearsal.environment))
            assert re.fullmatch(pattern(expected), said), f"$ {command}\n{said}"


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


ANSWERS = ("prevented", "found before", "explained", "not answered", "not ours")


def rows_of(page: Path) -> list[list[str]]:
    """The cells of every row of a page's tables, without heads."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for number, line in enumerate(lines)
        if not line.startswith("|---")
        and not (number + 1 < len(lines) and lines[number + 1].startswith("|---"))
    ]


@pytest.mark.parametrize("row", rows_of(ROOT / "docs" / "pains.md"), ids=lambda row: row[0][:24])
def test_every_pain_has_an_answer_and_a_test_that_is_there(row: list[str]) -> None:
    (answer,) = [cell for cell in row if cell in ANSWERS]
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row[-1])
    assert named or answer in {"not answered", "not ours"}
    assert len(named) == row[-1].count("`test_")
    for file, test in named:
        (path,) = (ROOT / "tests").rglob(file)
        assert re.search(rf"^(?:async )?def {test}\(", path.read_text(), re.MULTILINE), test


def test_no_pain_is_left_out() -> None:
    numbers = [int(row[0]) for row in rows_of(ROOT / "docs" / "pains.md") if row[0].isdigit()]
    assert numbers == list(range(1, 62))


def test_the_page_on_installing_names_all_that_lies_in_homeports_folder() -> None:
    cells = " ".join(row[0] for row in rows_of(ROOT / "docs" / "installing.md"))
    assert set(re.findall(r"`([\w.-]+)`", cells)) == home._OURS


def test_the_readme_counts_the_checks_that_there_are() -> None:
    assert re.findall(r"(\d+) checks of what", (ROOT / "README.md").read_text()) == [str(len(CHECKS))]
