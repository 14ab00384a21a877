"""What a plan says of the engine that it would start: the same before the weights are here as after."""

from __future__ import annotations

import shutil

import pytest

from places import TAUGHT
from typist import Typist


def planned(typist: Typist) -> str:
    """The line of the engine's process in a plan."""
    lines = [line.strip() for line in typist.run("plan").out.splitlines()]
    (line,) = (line for line in lines if line.startswith("+ process/"))
    return line


@pytest.mark.parametrize("written", ["file:./{}", "./{}"])
def test_a_plan_names_engine_and_model_whether_the_weights_are_here_or_not(
    typist: Typist, written: str
) -> None:
    shutil.copyfile(TAUGHT, typist.folder / TAUGHT.name)
    typist.write(f'name = "w"\nmodel = "{written.format(TAUGHT.name)}"\n')
    before = planned(typist)
    assert before.startswith("+ process/w: llamacpp ")
    assert before.endswith(f"serving {TAUGHT.stem} on 127.0.0.1:8383")
    typist.run("weights", "fetch", f"./{TAUGHT.name}")
    assert planned(typist) == before


def test_a_model_of_the_catalogs_is_called_as_clients_will_call_it(typist: Typist) -> None:
    typist.write('name = "w"\nmodel = "gemma-3-270m-pt"\n')
    assert planned(typist).endswith("serving gemma-3-270m-pt on 127.0.0.1:8383")
