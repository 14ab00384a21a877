"""A template that was tried is not tried again, unless it, or what tries it, is another one, or it could not be tried."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from homeport.chat_template import kept
from homeport.chat_template.bounded import unchecked
from homeport.chat_template.finding import TemplateFinding

TOOLS = TemplateFinding(kind="tools", text="it ignores the tools of a request")
ENDLESS = TemplateFinding(kind="endless", text="rendering it takes more than 2 s")


class Trial:
    """Stands for the process that tries a template, and counts."""

    def __init__(self, *found: TemplateFinding) -> None:
        self.found, self.asked = found, list[tuple[str, str]]()

    def __call__(self, source: str, for_tools: str = "") -> Sequence[TemplateFinding]:
        self.asked.append((source, for_tools))
        return self.found


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    one = Trial(TOOLS)
    monkeypatch.setattr(kept, "tried_within_bounds", one)
    return one


def test_a_template_is_tried_once(tmp_path: Path, trial: Trial) -> None:
    for _ in range(3):
        assert kept.tried_once("{{ a }}", "", tmp_path) == (TOOLS,)
    assert len(trial.asked) == 1


def test_that_nothing_was_found_is_kept_as_well(tmp_path: Path, trial: Trial) -> None:
    trial.found = ()
    for _ in range(2):
        assert kept.tried_once("{{ a }}", "", tmp_path) == ()
    assert len(trial.asked) == 1


def test_another_template_is_tried_also_where_its_parts_come_to_the_same(
    tmp_path: Path, trial: Trial
) -> None:
    for given in (("ab", ""), ("a", "b"), ("", "ab"), ("ab", "")):
        kept.tried_once(*given, tmp_path)
    assert trial.asked == [("ab", ""), ("a", "b"), ("", "ab")]


def test_another_jinja_tries_it_again(tmp_path: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.tried_once("{{ a }}", "", tmp_path)
    monkeypatch.setattr("homeport.chat_template.kept.metadata.version", lambda _: "0.0")
    kept.tried_once("{{ a }}", "", tmp_path)
    assert len(trial.asked) == 2


def test_another_line_in_any_module_that_tries_it_tries_it_again(
    tmp_path: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "chat_template"
    shutil.copytree(Path(kept.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kept, "__file__", str(folder / "kept.py"))
    modules = sorted(folder.glob("*.py"))
    assert {"trial.py", "environment.py", "bounded.py"} <= {module.name for module in modules}
    kept.tried_once("{{ a }}", "", tmp_path)
    for number, module in enumerate(modules, start=2):
        module.write_text(module.read_text(encoding="utf-8") + "# Another one.\n", encoding="utf-8")
        for _ in range(2):
            kept.tried_once("{{ a }}", "", tmp_path)
        assert len(trial.asked) == number, module.name


@pytest.mark.parametrize("found", [unchecked("no time"), ENDLESS], ids=["not tried", "not to its end"])
def test_what_could_not_be_tried_to_its_end_is_tried_again(
    tmp_path: Path, trial: Trial, found: TemplateFinding
) -> None:
    trial.found = (TOOLS, found)
    for _ in range(2):
        assert kept.tried_once("{{ a }}", "", tmp_path) == (TOOLS, found)
    assert len(trial.asked) == 2


@pytest.mark.parametrize(
    "text",
    ["", "{", "7", "[7]", "null", '[["tools"]]', '[["made up", "x"]]', '[["tools", 7]]', '["ab"]', "\0"],
)
def test_a_file_that_holds_something_else_is_written_anew(tmp_path: Path, trial: Trial, text: str) -> None:
    kept.tried_once("{{ a }}", "", tmp_path)
    (file,) = (tmp_path / kept.FOLDER).iterdir()
    right = file.read_text()
    file.write_text(text)
    assert kept.tried_once("{{ a }}", "", tmp_path) == (TOOLS,)
    assert len(trial.asked) == 2
    assert file.read_text() == right


def test_what_is_kept_is_for_its_user_alone(tmp_path: Path, trial: Trial) -> None:
    kept.tried_once("{{ a }}", "", tmp_path)
    (file,) = (tmp_path / kept.FOLDER).iterdir()
    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_without_homeports_folder_or_where_nothing_can_be_written_it_is_tried_each_time(
    tmp_path: Path, trial: Trial
) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / kept.FOLDER).write_text("in the way")
    for root in (tmp_path / "not there", tmp_path / "file"):
        for _ in range(2):
            assert kept.tried_once("{{ a }}", "", root) == (TOOLS,)
    assert len(trial.asked) == 4
    assert not (tmp_path / "not there").exists()
