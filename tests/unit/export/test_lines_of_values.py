"""Which lines of a module's values are told to be taken out: those of variables that nothing in the folder declares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeport.export import earlier

MODULE = {"main.tf": 'variable "image" {\n  type = string\n}\n\nvariable "back_door" {\n}\n'}
OF_EARLIER = "# Made by `homeport export terraform` from homeport.toml.\n"
VALUES = """
image = "europe-docker.pkg.dev/p/r/image@sha256:1"   # image_gone = 1
// gone_by_comment = 1
/* gone_by_comment = 2
gone_by_comment = 3 */
image_gone="x = { y"
team = {
  owner = "me"
  list = [
    { name = "a" }, {
    deep = 1 }
  ]
}
text = <<-END
  within = 1
  } and } more
  END
cost-centre = 7
folded
  = ("a")
back_door = null
"""


def told(folder: Path, files: dict[str, str], values: str = VALUES) -> list[str]:
    """What is told of a folder with these files, once the module is there, too."""
    for name, text in {**files, **MODULE, "image.auto.tfvars": values}.items():
        (folder / name).write_text(text)
    return earlier.notes("terraform", MODULE, folder)


def one_note(*names: str) -> list[str]:
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else names[0]
    return [f"take {listed} out of image.auto.tfvars, which this module does not have any more"]


def test_a_key_within_a_value_a_text_and_a_comment_are_no_variable(tmp_path: Path) -> None:
    assert told(tmp_path, {}) == one_note("image_gone", "team", "text", "cost-centre", "folded")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("my.tf", 'variable "team" {\n  type = any\n}\n'),
        ("my.tf", "variable team { default = {} }\n"),
        ("my.tf.json", json.dumps({"variable": {"team": {}}})),
        ("my.tf.json", json.dumps({"variable": [{"other": {}}, {"team": {}}]})),
    ],
)
def test_a_variable_of_ones_own_file_stays(file: str, text: str, tmp_path: Path) -> None:
    assert told(tmp_path, {file: text}) == one_note("image_gone", "text", "cost-centre", "folded")


def test_all_may_stay_that_somebody_declares(tmp_path: Path) -> None:
    mine = "".join(f'variable "{name}" {{}}\n' for name in ("team", "image_gone", "text", "cost-centre", "folded"))  # fmt: skip
    assert told(tmp_path, {"my.tf": mine}) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("my.tf.json", "{oops"),
        ("my.tf.json", '["variable"]'),
        ("my.tf.json", '{"variable": "team"}'),
        ("my.tf.json", "[" * 100_000),
        ("notes.txt", 'variable "team" {}'),
    ],
)
def test_what_declares_nothing_changes_nothing(file: str, text: str, tmp_path: Path) -> None:
    assert told(tmp_path, {file: text}) == one_note("image_gone", "team", "text", "cost-centre", "folded")


def test_a_network_that_stays_declares_and_what_is_to_be_deleted_does_not(tmp_path: Path) -> None:
    declares = f'{OF_EARLIER}\nvariable "team" {{\n}}\n'
    values = 'team = "a"\n'
    assert told(tmp_path, {"edge.tf": declares}, values) == one_note("team")
    (tmp_path / "edge.tf").rename(tmp_path / "network.tf")
    assert all("image.auto.tfvars" not in note for note in told(tmp_path, {}, values))
