"""What vLLM is expected to make of memory, held against real vLLM. `make test-vllm` runs this."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from homeport import catalog
from homeport.catalog import Architecture, inspect
from homeport.catalog.families import DEFAULTS
from homeport.engines.vllm.memory import kv_cache
from places import ROOT, VLLM_PYTHON

pytestmark = pytest.mark.vllm

MODELS = ROOT / ".cache" / "models"
GEMMA, SMOLLM = MODELS / "gemma-3-270m-safetensors", MODELS / "smollm2-135m-safetensors"
TINY = ROOT / "tests" / "models" / "gemma-4-tiny"
"""The architecture of a small Gemma 4; vLLM gives it random weights."""
GIB = 2**30

BOOTS = [
    (GEMMA, 2048, GIB),
    (GEMMA, 32_768, GIB // 2),
    (SMOLLM, 2048, GIB),
    (SMOLLM, 8192, 3 * GIB // 4),
    (TINY, 2048, GIB),
    (TINY, 8192, GIB // 8),
]


def says(what: str, cases: list[dict[str, Any]], timeout: float) -> tuple[list[dict[str, Any]], str]:
    """What `vllm_says.py` answers to `cases`, and all that vLLM logged meanwhile."""
    command = [str(VLLM_PYTHON), str(ROOT / "tests" / "support" / "vllm_says.py"), what]
    ran = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, timeout=timeout, check=False
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    answers: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    return answers, ran.stdout


def architecture_of(folder: Path) -> Architecture:
    found = inspect.from_folder(folder, name="x").architecture
    assert found is not None
    return found


def test_real_vllm_logs_the_tokens_that_were_worked_out() -> None:
    cases = [
        {
            "model": str(model),
            "context": context,
            "cache": cache,
            "load_format": "dummy" if model == TINY else "auto",
        }
        for model, context, cache in BOOTS
    ]
    kept, log = says("boot", cases, timeout=600)
    logged = re.findall(r"KV cache size: ([\d,]+) tokens, Maximum concurrency .*?: ([\d.]+)x", log)
    assert [int(tokens.replace(",", "")) for tokens, _ in logged] == [case["tokens"] for case in kept]
    for (model, context, cache), real in zip(BOOTS, kept, strict=True):
        ours = kv_cache(architecture_of(model), context=context, element_bytes=2, block=128, in_flight=2048)
        print(f"{model.name} {context} {cache / GIB} GiB: vLLM {real}, worked out {ours.tokens(cache)}")
        assert ours.tokens(cache) == real["tokens"]
        assert ours.concurrency(cache) == pytest.approx(real["concurrency"])


def test_what_a_config_leaves_out_is_what_transformers_fills_in() -> None:
    code = (
        "import json, sys; from transformers import CONFIG_MAPPING\n"
        "asked = json.load(sys.stdin)\n"
        "print(json.dumps({kind: {key: getattr(CONFIG_MAPPING[kind](), key) for key in keys} for kind, keys in asked.items()}))"
    )
    asked = {kind: list(values) for kind, values in DEFAULTS.items()}
    ran = subprocess.run(
        [str(VLLM_PYTHON), "-c", code],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == DEFAULTS


def test_vllms_own_cache_manager_comes_to_the_same_for_every_model_of_the_catalog_on_a_gpu() -> None:
    cases, ours = [], []
    for model in catalog.models():
        assert model.architecture is not None
        for context in {min(context, model.context) for context in (500, 4096, 32_768, 262_144)}:
            for element_bytes in (1, 2):
                for cache in (3 * GIB, 40 * GIB):
                    case = {"context": context, "cache": cache, "block": 16, "in_flight": 4096}
                    case |= {"element_bytes": element_bytes}
                    size = kv_cache(
                        model.architecture,
                        context=context,
                        element_bytes=element_bytes,
                        block=16,
                        in_flight=4096,
                    )
                    if size.sequence_bytes > cache:
                        continue  # vLLM refuses to start
                    cases.append({**case, "layers": layers(model.architecture), "model": str(GEMMA)})
                    ours.append((model.name, size.tokens(cache), size.concurrency(cache)))
    manager, _ = says("manager", cases, timeout=300)
    assert len(ours) > 100
    for (name, tokens, concurrency), real in zip(ours, manager, strict=True):
        assert tokens == real["tokens"], name
        assert concurrency == pytest.approx(real["concurrency"]), name


def layers(architecture: Architecture) -> list[dict[str, Any]]:
    """One entry for each layer that owns a KV cache."""
    windows = (architecture.sliding_window, None)
    return [
        {"kv_heads": heads, "head_dim": width, "window": window}
        for count, heads, width, window in zip(
            architecture.kv_layers, architecture.kv_heads, architecture.head_dim, windows, strict=True
        )
        for _ in range(count)
    ]


def test_the_parts_of_the_catalog_are_what_the_networks_of_transformers_have() -> None:
    ran = subprocess.run(
        [str(VLLM_PYTHON), str(ROOT / "scripts" / "model_parts.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    printed = dict(re.findall(r"# (\S+): ([\d,]+) bytes", ran.stdout))
    known = {model.name: f"{model.parts.total:,}" for model in catalog.models() if model.parts}
    assert printed == known
