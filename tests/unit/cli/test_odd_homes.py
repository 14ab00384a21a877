"""Every command where homes are none: one error that says so and what to do, and never a mistake of homeport's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from homeport.cli import cli
from homeport.errors import StateError
from homeport.weights import hub_token
from typist import Typist

_GIVEN = {
    "agent eval": ("--anyway",),
    "agent run": ("hi", "--anyway"),
    "bench compare": ("one.json", "two.json"),
    "chat": ("hi",),
    "cold-start calibrate": ("report.json",),
    "cost": ("gemma-4-e2b",),
    "down": ("--yes",),
    "export": ("prometheus",),
    "fit": ("gemma-4-e2b",),
    "models show": ("gemma-4-e2b",),
    "rehearse": ("plan",),
    "swap": ("smollm2-135m", "--yes"),
    "up": ("--yes",),
    "weights fetch": ("smollm2-135m",),
    "weights remove": ("smollm2-135m",),
}
"""What the commands are given that would otherwise ask for more words."""

_SERVE = frozenset(("console", "rehearse serve"))
"""What goes on until it is ended, and wants no home for it."""


def commands(of: click.Command, name: str = "") -> Iterator[str]:
    """The names of all commands that do something, as they are typed."""
    if not isinstance(of, click.Group):
        yield name
        return
    context = click.Context(of)
    for each in of.list_commands(context):
        one = of.get_command(context, each)
        assert one is not None
        yield from commands(one, f"{name} {each}".strip())


@pytest.fixture(params=["a file", "a folder that nobody can make"])
def homeless(request: pytest.FixtureRequest, typist: Typist, monkeypatch: pytest.MonkeyPatch) -> Typist:
    """Somebody whose home is none."""
    home = Path("/proc/homeport-here")  # Not even root makes one there.
    if request.param == "a file":
        home = typist.folder / "home-that-is-a-file"
        home.write_text("")
    typist.write('name = "w"\nmodel = "gemma-3-270m-pt"\n')
    monkeypatch.setenv("PATH", str(typist.folder))  # No gcloud is asked.
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HOMEPORT_HOME", str(home))
    return typist


@pytest.mark.parametrize("command", [one for one in commands(cli) if one not in _SERVE])
def test_a_home_that_is_none_is_no_mistake_of_homeports(homeless: Typist, command: str) -> None:
    ran = homeless.run(*command.split(), *_GIVEN.get(command, ()), code=None)
    assert ran.code != 1, ran.err
    assert "Traceback" not in ran.err
    if ran.code == StateError.exit_code:
        assert ran.err.count("error: ") == 1
        assert "   do: " in ran.err


@pytest.mark.parametrize(
    ("kind", "why"),
    [("a folder", "Is a directory"), ("UTF-16", "it is no UTF-8"), ("below a file", "Not a directory")],
)
def test_a_token_of_the_hub_that_cannot_be_read_is_told(
    typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, why: str
) -> None:
    token = tmp_path / "token"
    if kind == "a folder":
        token.mkdir()
    elif kind == "UTF-16":
        token.write_text("hf_abc", "utf-16")
    else:
        token.write_text("")
        token /= "token"
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(token))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(StateError, match=f"^the hub's token cannot be read from .*token: {why}$"):
        hub_token.find(None)
    found = typist.run("doctor", code=14).out
    assert f"token: {why}\n" in found
    assert "`hf auth login` writes it anew" in found
