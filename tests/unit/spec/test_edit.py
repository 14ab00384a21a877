"""Keys are set in the text of a file, and nothing else of it changes."""

from __future__ import annotations

import tomllib

import pytest

from homeport.errors import SpecError
from homeport.spec import parse, template
from homeport.spec.edit import with_keys
from homeport.targets.cloudrun.lifecycle import TABLES

KEYS = [("engine", "parallel", "7"), ("scaling", "max", "5"), ("scaling", "target_concurrency", "0.8")]


def test_keys_are_set_and_comments_and_all_else_stay() -> None:
    text = '# mine\nname = "x"\n\n[engine]\nparallel = 4 # few\ncontext = 1024\n\n[cloudrun]\n# where\n'
    made = with_keys(text, KEYS)
    assert [line for line in text.splitlines() if "#" in line and "few" not in line] == [
        line for line in made.splitlines() if "#" in line
    ]
    spec = parse(tomllib.loads(made))
    assert (spec.engine.parallel, spec.engine.context) == (7, 1024)
    assert (spec.scaling.max, spec.scaling.target_concurrency) == (5, 0.8)
    assert with_keys(made, KEYS) == made


def test_what_init_wrote_can_be_set() -> None:
    for on_cloudrun in (False, True):
        spec = parse(tomllib.loads(with_keys(template(TABLES if on_cloudrun else (), name="x"), KEYS)))
        assert (spec.engine.parallel, spec.scaling.max) == (7, 5)


@pytest.mark.parametrize("text", ['engine = { kind = "auto" }\n', 'engine.context = 1024\nname = "x"\n'])
def test_a_form_in_which_it_cannot_be_done_is_said_with_what_to_do_by_hand(text: str) -> None:
    with pytest.raises(SpecError, match="cannot be set in it") as refused:
        with_keys(text, KEYS)
    assert "engine.parallel = 7" in refused.value.hint


MODEL = [("", "model", '"file:./other.gguf"')]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('# mine\nmodel = "a" \n\n[engine]\ncontext = 512\n', '# mine\nmodel = "file:./other.gguf"\n\n[engine]\ncontext = 512\n'),
        ("[engine]\ncontext = 512\n", 'model = "file:./other.gguf"\n[engine]\ncontext = 512\n'),
        ("", 'model = "file:./other.gguf"\n'),
    ],
)  # fmt: skip
def test_a_key_before_the_first_table_is_set_there(text: str, made: str) -> None:
    assert with_keys(text, MODEL) == made


@pytest.mark.parametrize("text", ['"model" = "a"\n', 'model = """\na"""\n'])
def test_a_key_written_in_another_form_is_left_to_its_writer(text: str) -> None:
    with pytest.raises(SpecError, match="cannot be set in it") as refused:
        with_keys(text, MODEL)
    assert refused.value.hint == 'set them by hand: model = "file:./other.gguf"'


def test_what_would_be_no_spec_is_not_written() -> None:
    with pytest.raises(SpecError, match="min is 9"):
        with_keys('name = "x"\n', [("scaling", "min", "9")])
