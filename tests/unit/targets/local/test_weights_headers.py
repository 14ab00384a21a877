"""Adapters on this machine are judged by the model that they are for, and by nothing else that happens to lie about."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from brought import adapter, checkpoint
from homeport import spec
from homeport.catalog import described as catalog_described
from homeport.engines.vllm import engine as vllm
from homeport.errors import MemoryTooSmall, NetworkError, SpecError
from homeport.fit import subject as fit_subject
from homeport.home import Home
from homeport.targets.local import target as local_target
from homeport.targets.local.plan import plan_of
from homeport.targets.local.target import LocalTarget
from homeport.targets.local.weights_headers import ensure_adapters
from places import TAUGHT
from requests_to_engines import installed
from typist import Typist

QUERY = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
SHAPES = {f"{QUERY}A.weight": (8, 640), f"{QUERY}B.weight": (1024, 8)}
"""Of Gemma 3 270M: the taught model's has other ones."""


def target(folder: Path, model: str) -> LocalTarget:
    """A file that serves an adapter beside a model, with vLLM taken to be here."""
    lora = {"name": "tone", "source": "file:./tone"}
    wanted = spec.parse(
        {"name": "home", "model": model, "engine": {"kind": "vllm", "context": 1024, "lora": [lora]}}
    )
    made = LocalTarget(spec=wanted, spec_file=folder / "homeport.toml", home=Home(folder / "home"))
    made.__dict__["engine"] = (vllm, installed("vllm"))
    return made


def doubts(of: LocalTarget) -> list[str]:
    return ensure_adapters(of.engine[0], of.adapters, of.weights, of.spec_file.parent)


def test_a_plan_beside_another_models_weights_refuses_no_adapter_of_a_model_that_is_not_here_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(tmp_path / "tone", SHAPES, base_model_name_or_path="google/gemma-3-270m")
    checkpoint(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert doubts(target(tmp_path, "gemma-3-270m-pt")) == []
    shutil.move(tmp_path / "elsewhere", tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="does not fit the model"):
        doubts(target(tmp_path, "file:./m"))


def test_a_plan_refuses_an_adapter_of_zeros_which_can_do_nothing(tmp_path: Path) -> None:
    file = adapter(tmp_path / "tone", SHAPES) / "adapter_model.safetensors"
    assert not any("zeros" in one for one in doubts(target(tmp_path, "gemma-3-270m-pt")))
    whole = file.read_bytes()
    file.write_bytes(whole.rstrip(b"\x01").ljust(len(whole), b"\0"))
    with pytest.raises(SpecError, match="tone changes nothing: its weights are zeros"):
        asyncio.run(plan_of(target(tmp_path, "gemma-3-270m-pt")))


def test_a_plan_warns_of_an_adapter_that_says_it_was_trained_on_another_model(tmp_path: Path) -> None:
    adapter(tmp_path / "tone", SHAPES)
    plan = asyncio.run(plan_of(target(tmp_path, "gemma-3-270m-pt")))
    (warning,) = [one for one in plan.warnings if "trained on" in one]
    assert "it was trained on some-org/base" in warning


def test_the_command_plan_tells_what_is_doubtful_of_an_adapter_and_ends_well(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "find", lambda: installed("vllm"))
    typist.write(
        'name = "home"\nmodel = "gemma-3-270m-pt"\n[engine]\nkind = "vllm"\ncontext = 1024\n'
        '[[engine.lora]]\nname = "tone"\nsource = "file:./tone"\n'
    )
    adapter(typist.folder / "tone", SHAPES)
    assert "it was trained on some-org/base" in " ".join(typist.run("plan").out.split())
    told = typist.run("plan", "--json").out
    assert any("trained on some-org/base" in one for one in json.loads(told)["warnings"])
    shutil.rmtree(typist.folder / "tone")
    adapter(typist.folder / "tone", SHAPES, base_model_name_or_path="google/gemma-3-270m")
    assert "it was trained on" not in typist.run("plan").out


def test_a_plan_says_that_the_hub_was_not_reached_and_what_is_not_known_for_it(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreached(source: object, *_: object, **__: object) -> None:
        raise NetworkError(f"{source} cannot be fetched: no route to host")

    monkeypatch.setattr(catalog_described, "of_hub", unreached)
    typist.write('model = "hf:org/small-GGUF"\n[engine]\nkind = "llamacpp"\n')
    (warning,) = json.loads(typist.run("plan", "--json").out)["warnings"]
    assert "cannot be fetched: no route to host; whether an engine here can load it" in warning
    assert "no route to host" in typist.run("plan").out


def test_weights_of_ones_own_take_the_same_memory_in_a_plan_before_and_after_they_are_in_the_store(
    typist: Typist,
) -> None:
    shutil.copyfile(TAUGHT, typist.folder / TAUGHT.name)
    typist.write(f'model = "file:./{TAUGHT.name}"\n[engine]\nkind = "llamacpp"\ncontext = 512\n')
    before = typist.run("plan", "--json").json["facts"]["fits"]["needs_bytes"]
    typist.run("weights", "fetch", f"./{TAUGHT.name}")
    after = typist.run("plan", "--json").json["facts"]["fits"]["needs_bytes"]
    assert abs(after - before) < 2**20, "the header of the file, at most"
    assert before > TAUGHT.stat().st_size


def test_weights_of_ones_own_that_do_not_fit_are_refused_before_they_are_in_the_store(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(TAUGHT, typist.folder / TAUGHT.name)
    typist.write(f'model = "file:./{TAUGHT.name}"\n[engine]\nkind = "llamacpp"\ncontext = 512\n')
    read = fit_subject.published_as
    monkeypatch.setattr(
        local_target,
        "published_as",
        lambda found: replace(read(found), size=2**50, parts=None, repacked=None),
    )
    assert "does not fit this machine" in typist.run("plan", code=MemoryTooSmall.exit_code).err
