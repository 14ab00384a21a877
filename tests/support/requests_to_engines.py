"""What an engine is asked to serve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from homeport import catalog
from homeport.catalog import Published
from homeport.engines.base import Installation, LaunchRequest
from homeport.engines.footprint import Sizing
from homeport.engines.vllm import engine as vllm
from homeport.fit.devices import this
from homeport.hardware import Machine
from homeport.spec import Engine

CPU = Machine(cores=2, memory=24 * 2**30, memory_available=20 * 2**30)


def request_of(
    tmp_path: Path, name: str = "gemma-4-e2b", machine: Machine = CPU, **settings: object
) -> LaunchRequest:
    model = catalog.find(name)
    assert model is not None
    weights = tmp_path / "weights"
    weights.mkdir(exist_ok=True)
    (weights / "model.safetensors").write_bytes(b"\0" * 1000)
    chosen = Engine.model_validate(settings)
    return LaunchRequest(
        model=model,
        settings=chosen,
        machine=machine,
        weights=weights,
        footprint=vllm.footprint(
            Sizing(
                model=model,
                weights=Published(source="here", size=1000, quantization="bfloat16"),
                settings=chosen,
                device=this(machine, "vllm").device,
            )
        ),
        adapters={},
        host="127.0.0.1",
        port=8383,
        keyed=False,
        folder=tmp_path,
    )


def installed(name: str) -> Installation:
    return Installation(engine=name, version="1.0", executable=f"/bin/{name}")


def gguf(request: LaunchRequest) -> LaunchRequest:
    file = request.folder / "model.gguf"
    file.write_bytes(b"\0" * 1000)
    return replace(request, weights=file)
