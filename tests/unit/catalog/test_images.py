"""Images that serve: what goes into them, and the builds that make them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from homeport.engines.image import Gguf, ImageContents, Recipe
from homeport.engines.llamacpp import engine as llamacpp
from homeport.engines.ollama import engine as ollama
from homeport.engines.vllm import engine as vllm
from homeport.errors import SpecError
from homeport.google import Google
from homeport.targets.cloudrun.images import machine_for
from serving_images import FILE, GEMMA, of


def tag(recipe: Recipe) -> str:
    google = object.__new__(Google)
    google.project = "rehearsal"
    return of(google, recipe).tag


@pytest.mark.parametrize(
    ("size", "machine"), [(3 * 2**30, "E2_HIGHCPU_8"), (9 * 2**30, "E2_HIGHCPU_32"), (0, "E2_HIGHCPU_32")]
)
def test_the_builds_machine_can_load_the_model_and_is_no_larger_than_that(size: int, machine: str) -> None:
    assert machine_for(ollama.image(replace(GEMMA, weights_bytes=size)).loads) == machine


def test_a_build_that_loads_no_weights_takes_the_default_machine_which_every_project_may_use() -> None:
    assert machine_for(vllm.image(ImageContents(base="vllm/vllm-openai:v1")).loads) == ""


def test_an_engine_for_this_machine_alone_has_no_image() -> None:
    with pytest.raises(SpecError, match="llamacpp is for this machine alone"):
        llamacpp.image(GEMMA)


@pytest.mark.parametrize(
    "other",
    [
        {"base": "ollama/ollama:0.33.2"},
        {"model_name": "gemma-2"},
        {"weights": "gemma4:e2b"},
        {"weights": Gguf(origin="gs://tiny/1", file=FILE)},
        {"files": {"/homeport/serve.sh": "other"}},
    ],
)
def test_whatever_goes_into_an_image_changes_its_tag(other: dict[str, Any]) -> None:
    assert tag(ollama.image(GEMMA)) == tag(ollama.image(replace(GEMMA)))
    assert tag(ollama.image(GEMMA)) != tag(ollama.image(replace(GEMMA, **other)))


def test_values_of_more_than_one_line_are_refused() -> None:
    with pytest.raises(SpecError, match="more than one line"):
        ollama.image(replace(GEMMA, model_name="1\nRUN evil"))
