"""What commands print with `--json` is what its schema says, on either target."""

from __future__ import annotations

import json
import shutil
from typing import Any

import jsonschema
import pytest

from homeport.resources.local.process_tree import free_port
from places import ROOT, TAUGHT
from user import User

HERE = """name = "mine"
model = "file:./gemma-4-taught.gguf"
[engine]
context = 512
[local]
port = 0
"""
BOTH = f"{HERE}[cloudrun]\nproject = 'my-project'\ngpu = 'nvidia-l4'\n"


def ensure_valid(name: str, printed: Any) -> None:  # Any: JSON
    """Raise where `printed` is not what the schema of `name` says."""
    made = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator(made).validate(printed)


@pytest.fixture
def folder(user: User) -> User:
    """A user whose folder has a small model, and a file for both targets."""
    shutil.copyfile(TAUGHT, user.folder / TAUGHT.name)
    user.write(BOTH)
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


def test_every_command_on_cloud_run_prints_what_its_schema_says(folder: User) -> None:
    port = str(free_port("127.0.0.1"))
    rehearse = ("rehearse", "--port", port)
    try:
        ensure_valid("plan", folder.run(*rehearse, "plan", "--json").json)
        ensure_valid("up", folder.run(*rehearse, "up", "--yes", "--json").json)
        ensure_valid("status", folder.run(*rehearse, "status", "--json").json)
        ensure_valid("down", folder.run(*rehearse, "down", "--yes", "--purge", "--json").json)
    finally:
        folder.run("rehearse", "stop", code=None)
