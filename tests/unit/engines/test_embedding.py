"""`task = "embed"` is told to each engine in its own words, and counted as it is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport import catalog, spec
from homeport.catalog.served_for import served_for, untrained
from homeport.engines.base import Installation, LaunchRequest
from homeport.engines.footprint import Device, Footprint, Sizing
from homeport.engines.llamacpp import engine as llamacpp
from homeport.engines.ollama import engine as ollama
from homeport.engines.registry import module, published
from homeport.engines.vllm import engine as vllm
from homeport.errors import SpecError
from homeport.hardware import Gpu, Machine
from homeport.spec import Engine

CPU = Device(name="this machine", memory=16 * 2**30, gpu=False)
L4 = Device(name="L4", memory=24 * 2**30, gpu=True)


def request_of(folder: Path, model: str, *, context: int = 2048) -> LaunchRequest:
    found = catalog.find(model)
    assert found is not None
    return LaunchRequest(
        model=served_for(found, "embed"),
        settings=Engine(context=context),
        machine=Machine(cores=2, memory=2**34, memory_available=2**34, gpus=(Gpu(name="L4", memory=24 * 2**30),)),
        weights=folder / "weights", footprint=None, adapters={}, host="127.0.0.1", port=8383, keyed=False,
        folder=folder,
    )  # fmt: skip


def installed(engine: str) -> Installation:
    return Installation(engine=engine, version="1", executable=engine)


def sized(model: str, engine: str, device: Device, *, task: str = "embed", context: int = 2048) -> Footprint:
    found = catalog.find(model)
    assert found is not None
    size = module(engine).footprint(
        Sizing(
            model=served_for(found, "embed" if task == "embed" else "generate"),
            weights=published(found, engine)[0],
            settings=Engine(context=context),
            device=device,
        )
    )
    assert size is not None
    return size


def test_vllm_pools_and_batches_a_whole_text(tmp_path: Path) -> None:
    said = " ".join(vllm.launch(request_of(tmp_path, "gemma-4-e2b", context=8192), installed("vllm")).command)
    assert "--runner pooling --convert embed" in said
    assert "--max-num-batched-tokens 8192" in said
    assert not any(
        word in said for word in ("--tool-call-parser", "--reasoning-parser", "--structured-outputs")
    )


def test_llamacpp_pools_by_the_mean_unless_the_weights_say_how(tmp_path: Path) -> None:
    launch = llamacpp.launch(request_of(tmp_path, "gemma-3-270m-pt"), installed("llamacpp"))
    assert launch.command[launch.command.index("--embed") + 1] == "mean"
    assert launch.task == "embed"
    assert launch.as_json()["task"] == "embed"


def test_ollama_is_asked_for_a_vector_and_not_for_a_token(tmp_path: Path) -> None:
    launch = ollama.launch(request_of(tmp_path, "embeddinggemma-300m"), installed("ollama"))
    assert launch.task == "embed"
    assert not launch.tools


def test_embeddinggemma_has_no_cache_in_llamacpp() -> None:
    size = sized("embeddinggemma-300m", "llamacpp", CPU)
    assert size.cache.sequence_bytes == 768 * 4
    assert size.sequences > 1000


def test_a_model_that_writes_text_is_counted_with_the_logits_that_it_throws_away() -> None:
    text = sized("gemma-3-270m-pt", "llamacpp", CPU, task="generate")
    embeds = sized("gemma-3-270m-pt", "llamacpp", CPU)
    assert embeds.fixed_bytes - text.fixed_bytes > (2048 - 4) * 262_144 * 4


def test_a_pooling_batch_of_vllm_is_as_long_as_the_context() -> None:
    assert (
        sized("gemma-4-e2b", "vllm", L4, context=16_384).fixed_bytes
        > sized("gemma-4-e2b", "vllm", L4).fixed_bytes
    )


def test_a_model_that_writes_text_embeds_with_a_warning() -> None:
    text, made = catalog.find("gemma-3-270m-pt"), catalog.find("embeddinggemma")
    assert text is not None
    assert made is not None
    assert "was made to write text" in untrained(text, "embed")
    assert not untrained(made, "embed")
    assert not untrained(text, "generate")


@pytest.mark.parametrize(
    "more", [{"agent": {}}, {"engine": {"tool_parser": "gemma4"}}, {"engine": {"chat_template": "a.jinja"}}]
)
def test_what_is_for_text_is_refused_beside_embed(more: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="is for a model that writes text"):
        spec.parse({"name": "home", "task": "embed", **more})
