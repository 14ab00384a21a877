"""
What commands print with `--json` is what its schema says.

On Cloud Run that is judged where a life of an endpoint is lived anyway: test_on_cloudrun.py.
"""

from __future__ import annotations

import shutil

import pytest

from places import TAUGHT
from schemas import ensure_valid
from user import User

HERE = """name = "mine"
model = "file:./gemma-4-taught.gguf"
[engine]
context = 512
[local]
port = 0
"""


@pytest.fixture
def folder(user: User) -> User:
    """A user whose folder has a small model, and a file."""
    shutil.copyfile(TAUGHT, user.folder / TAUGHT.name)
    user.write(HERE)
    return user


@pytest.mark.long
def test_every_command_here_prints_what_its_schema_says(folder: User) -> None:
    ensure_valid("plan", folder.run("plan", "--json").json)
    up = folder.run("up", "--yes", "--json").json
    ensure_valid("up", up)
    for command in ("status", "list", "verify", "doctor"):
        ensure_valid(command, folder.run(command, "--json", code=None).json)
    ensure_valid("plan", folder.run("plan", "--json").json)
    ensure_valid("down", folder.run("down", "--yes", "--json").json)


@pytest.mark.parametrize(
    "arguments",
    [
        ("gemma-4-e2b",),
        ("gemma-4-31b", "--gpu", "nvidia-l4"),
        ("smollm2-135m", "--engine", "llamacpp"),
        ("gemma-3-270m", "--region", "europe-west1", "--context", "4096"),
    ],
)
def test_what_fit_finds_or_does_not_is_what_its_schema_says(arguments: tuple[str, ...], user: User) -> None:
    ensure_valid("fit", user.run("fit", *arguments, "--json", code=None).json)


@pytest.mark.parametrize("more", [(), ("--tokens-per-day", "1M", "--tokens-per-second", "100")])
def test_what_cost_estimates_is_what_its_schema_says(more: tuple[str, ...], user: User) -> None:
    ensure_valid("cost", user.run("cost", "gemma-4-e2b", *more, "--json").json)


def test_an_error_is_what_its_schema_says(user: User) -> None:
    ensure_valid("error", user.run("plan", "--json", "-f", "none.toml", code=10).json)
