"""What llama.cpp is expected to take, held against what a real one reports when it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from homeport.catalog import Published, described, inspect
from homeport.catalog.gguf_header import read
from homeport.engines.footprint import Device, Sizing
from homeport.engines.gguf import repacked_bytes
from homeport.engines.llamacpp import memory
from homeport.free_ports import free_port
from homeport.spec import Engine
from places import ROOT, TAUGHT

pytestmark = pytest.mark.long

SERVER = ROOT / "src" / "homeport" / "engines" / "llamacpp" / "server" / "homeport_llamacpp.py"
MIB = 2**20
MACHINE = Device(name="this machine", memory=24 * 2**30, gpu=False)
TOLERANCE = 0.02


def reported(weights: Path, *arguments: str) -> dict[str, float]:
    """MiB of the buffers that a real llama.cpp reports, summed by their kind."""
    buffers: dict[str, float] = {}
    for line in told(weights, *arguments):
        found = re.search(r"(model|KV|compute|output) buffer size = +([\d.]+) MiB", line)
        if found:
            buffers[found[1]] = buffers.get(found[1], 0) + float(found[2])
    return buffers


def told(weights: Path, *arguments: str) -> list[str]:
    """Return the lines of a real llama.cpp until it has loaded the model."""
    command = [sys.executable, str(SERVER), "--model", str(weights), "--alias", "a", "--host", "127.0.0.1"]
    command += ["--port", str(free_port("127.0.0.1")), "--threads", "2", "--set", "verbosity=4", *arguments]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            lines.append(line)
            if "initializing, n_slots" in line:
                break
        server.kill()
    return lines


def sizing(weights: Path, **settings: object) -> Sizing:
    model = inspect.from_gguf(weights, name="x")
    header = read(weights)
    published = Published(
        source="x",
        size=weights.stat().st_size,
        quantization=model.quantization,
        repacked=repacked_bytes(header),
    )
    return Sizing(model=model, weights=published, settings=Engine.model_validate(settings), device=MACHINE)


@pytest.mark.parametrize("name", ["gemma-3-270m-pt", "smollm2-135m", "gemma-4-taught"])
@pytest.mark.parametrize(
    ("context", "parallel", "kv_dtype"),
    [(4096, 4, "auto"), (1000, 3, "auto"), (600, 1, "q8_0"), (8192, 2, "auto")],
)
def test_the_kv_cache_is_as_large_as_llamacpp_reports(
    real_weights: Mapping[str, Path], name: str, context: int, parallel: int, kv_dtype: str
) -> None:
    weights = real_weights.get(name, TAUGHT)
    arguments = ["--context", str(context), "--parallel", str(parallel)]
    arguments += ["--kv-dtype", kv_dtype] if kv_dtype != "auto" else []
    budget = memory.footprint(sizing(weights, context=context, parallel=parallel, kv_dtype=kv_dtype))
    assert budget is not None
    expected = budget.cache.bytes_for(parallel) / MIB
    assert expected == pytest.approx(reported(weights, *arguments)["KV"], rel=TOLERANCE)


@pytest.mark.parametrize("name", ["gemma-3-270m-pt", "smollm2-135m", "gemma-4-taught"])
def test_the_weights_and_the_graph_take_what_llamacpp_reports(
    real_weights: Mapping[str, Path], name: str
) -> None:
    weights = real_weights.get(name, TAUGHT)
    budget = memory.footprint(sizing(weights, context=1024, parallel=2))
    assert budget is not None
    terms = {term.what: term.size / MIB for term in budget.fixed}
    real = reported(weights, "--context", "1024", "--parallel", "2")
    # llama.cpp counts the tensors that it maps, and those among them that it copies a second time.
    tensors = read(weights).tensor_bytes / MIB
    assert tensors + terms["repacked matrices"] == pytest.approx(real["model"], rel=TOLERANCE)
    assert terms["graph"] >= real["compute"], "an upper limit"
    assert terms["graph"] < 4 * real["compute"] + 32


def test_on_a_gpu_the_embeddings_of_every_layer_stay_beside_it() -> None:
    what = sizing(TAUGHT)
    parts = described.of_path(TAUGHT, name="x").parts
    assert parts.per_layer_embedding > 0
    on_gpu = replace(what, device=replace(MACHINE, gpu=True), weights=replace(what.weights, parts=parts))
    budget = memory.footprint(on_gpu)
    assert budget is not None
    assert budget.weights == parts.total - parts.per_layer_embedding


def test_a_model_is_read_once_where_there_is_nothing_but_a_processor(
    real_weights: Mapping[str, Path],
) -> None:
    lines = told(real_weights["gemma-3-270m-pt"], "--context", "512", "--parallel", "1")

    assert any("loading model" in line for line in lines)
    assert not [line for line in lines if "fitting params" in line]
