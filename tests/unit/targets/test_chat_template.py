"""What a plan tells of a model: of a template that homeport brings, only where the engine is given it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployers import Deployer
from deployment import google_for
from homeport import catalog, spec
from homeport.engines.names import NAMES
from homeport.engines.registry import module
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.chat_template import noted
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.plan import plan_of
from typist import Typist

NEVER_TAUGHT = "Pretrained: it continues text and was never taught to follow instructions."
OURS = "A template of ours makes it answer short everyday questions"
NOT_GIVEN = f"{NEVER_TAUGHT} Ollama is not given the template of ours that makes it answer questions."


def pretrained() -> catalog.Model:
    """The catalog's model for which homeport brings a template."""
    model = catalog.find("gemma-3-270m-pt")
    assert model is not None
    return model


@pytest.mark.parametrize("name", NAMES)
def test_what_a_template_of_ours_does_is_told_of_engines_that_are_given_it(name: str) -> None:
    (text,) = noted(pretrained(), spec.parse({"model": "gemma-3-270m-pt"}), module(name))
    assert text.startswith(NEVER_TAUGHT)
    assert (OURS in text) is (name != "ollama")
    assert (text == NOT_GIVEN) is (name == "ollama")


@pytest.mark.parametrize("besides", [{"engine": {"chat_template": "mine.jinja"}}, {"task": "embed"}])
def test_where_it_is_not_taken_nothing_is_told_of_it(besides: dict[str, Any]) -> None:  # Any: as in a file
    wanted = spec.parse({"model": "gemma-3-270m-pt", **besides})
    assert noted(pretrained(), wanted, module("llamacpp")) == [NEVER_TAUGHT]


def test_a_plan_on_this_machine_tells_it_of_llama_cpp(typist: Typist) -> None:
    typist.write('model = "gemma-3-270m-pt"\n')
    assert OURS in " ".join(typist.run("plan").out.split())


def test_a_plan_on_cloud_run_does_not_tell_it_of_ollama() -> None:
    deployer = Deployer("ollama")
    wanted = deployer.wanted()
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

    async def warnings() -> tuple[str, ...]:
        async with google_for(deployer.cloud) as google:
            plan, _ = await plan_of(deployer.target(google, replace(chosen, model=pretrained()), wanted))
            return plan.warnings

    told = act(warnings())
    assert NOT_GIVEN in told
    assert not any(OURS in one for one in told)
