"""Several files, several endpoints: brought up by one command, with a real llama.cpp each."""

from __future__ import annotations

import pytest

from places import TAUGHT
from schemas import ensure_valid
from user import User


def write(user: User, name: str, more: str = "", port: int = 0) -> None:
    (user.folder / f"{name}.toml").write_text(
        f'name = "{name}"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 512\n{more}[local]\nport = {port}\n'
    )


@pytest.mark.long
def test_two_files_are_two_endpoints_and_a_second_run_has_nothing_to_do(user: User) -> None:
    write(user, "one")
    write(user, "two")
    came = user.run("up", "one.toml", "two.toml", "--yes", "--no-verify", "--json")
    ensure_valid("up", came.json)
    assert [one["endpoint"]["name"] for one in came.json] == ["one", "two"]
    assert len({one["endpoint"]["base_url"] for one in came.json}) == 2
    assert [one["state"] for one in user.run("status", "one", "--json").json] == ["ready"]
    assert [one["state"] for one in user.run("status", "two", "--json").json] == ["ready"]
    again = user.run("up", "one.toml", "two.toml", "--yes", "--no-verify", "--json").json
    assert [one["changed"] for one in again] == [[], []]
    # The third cannot start: those before it stay.
    write(user, "three", 'lora = [{ name = "tone", source = "file:./none.gguf" }]\n')
    refused = user.run("up", "one.toml", "three.toml", "--yes", "--no-verify", code=None)
    assert refused.code not in {0, 3}
    assert [one["state"] for one in user.run("status", "one", "--json").json] == ["ready"]
    for name in ("one", "two"):
        user.run("down", "--yes", name)


def test_what_does_not_go_together_is_refused_before_any_starts(user: User) -> None:
    write(user, "one", port=18101)
    write(user, "two", port=18101)
    assert "have one local.port, 18101" in user.run("up", "one.toml", "two.toml", "--yes", code=10).err
    assert user.run("list", "--json").json["endpoints"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("one.toml", "-f", "two.toml"), "name the file once"),
        (("one.toml", "two.toml", "--port", "0"), "--port is for one file"),
        (("one.toml", "two.toml", "--on", "cloudrun"), "on this machine alone"),
    ],
)
def test_what_is_for_one_file_is_refused_of_several(user: User, words: tuple[str, ...], said: str) -> None:
    write(user, "one")
    write(user, "two")
    assert said in user.run("up", *words, "--yes", code=64).err


def test_a_file_may_be_named_without_a_flag(user: User) -> None:
    assert "nowhere.toml" in user.run("up", "nowhere.toml", "--yes", code=10).err
