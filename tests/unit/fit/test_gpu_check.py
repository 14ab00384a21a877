"""The script that holds predictions against a real GPU tells what holds, what is off, and what it cannot tell."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from homeport.bench import BenchResult
from homeport.engines.footprint import Device
from homeport.engines.vllm.memory_log import parse_memory_log
from homeport.fit import Fit, fit
from homeport.fit.devices import Place
from homeport.fit.subject import subject
from homeport.hardware import Machine
from homeport.spec import Engine
from paced_bench import measured
from places import ROOT

GIB = 2**30
L4 = Device(name="NVIDIA L4", memory=23_659_020_288, gpu=True)
CPU = Device(name="this machine", memory=25_276_514_304, gpu=False)
MACHINE = Machine(cores=4, memory=16 * GIB, memory_available=16 * GIB)
ON_THE_CPU = """\
(Worker pid=12792) INFO 11-29 07:13:19 [weight_utils.py:1108] Filesystem type for checkpoints: EXT4. Checkpoint size: 0.00 GiB. Available RAM: 21.70 GiB.
(Worker pid=12792) INFO 11-29 07:13:19 [default_loader.py:501] Loading weights took 0.02 seconds
(Worker pid=12792) INFO 11-29 07:13:20 [cpu_worker.py:260] Explicitly set (0.01/11.34) GiB for KV cache on node 0.
(EngineCore pid=12780) INFO 11-29 07:13:20 [kv_cache_utils.py:2327] CPU KV cache size: 4,152 tokens, Maximum concurrency for 1,024 tokens per request: 4.06x
(EngineCore pid=12780) INFO 11-29 07:13:20 [core.py:402] init engine (profile, create kv cache, warmup model) took 0.03 s
"""
"""Of vLLM 0.32 on the CPU, recorded by a run of the script."""
ON_AN_L4 = """\
(Worker pid=1) INFO [default_loader.py:501] Loading weights took 21.40 seconds
(Worker pid=1) INFO [gpu_model_runner.py:5150] Model loading took 14.8 GiB memory and 22.118000 seconds
(Worker pid=1) INFO [gpu_worker.py:760] Available KV cache memory: 3.1 GiB
(EngineCore pid=1) INFO [kv_cache_utils.py:2328] GPU KV cache size: 150,167 tokens, Maximum concurrency for 32,768 tokens per request: 4.58x
(Worker pid=1) INFO [gpu_model_runner.py:6582] Graph capturing finished in 9 secs, took 0.53 GiB
(EngineCore pid=1) INFO [core.py:402] init engine (profile, create kv cache, warmup model) took 91.00 s (compilation: 48.00 s)
"""
"""The words of vLLM 0.32's source; the cache's figures are those that somebody's L4 logged, the others are made up."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("gpu_check", ROOT / "scripts" / "gpu_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["gpu_check"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench() -> BenchResult:
    whole = measured(users=(1,))
    return replace(whole, levels=tuple(replace(one, doubts=()) for one in whole.levels))


def sized(model: str, device: Device, **settings: int) -> Fit:
    about = subject(model, ROOT, engine="vllm")
    place = Place(name="this machine", device=device, host_memory=16 * GIB)
    return fit(about.served("vllm", Engine(kind="vllm", **settings)), place)  # type: ignore[arg-type]


def at(bench: BenchResult, tokens_per_second: float) -> BenchResult:
    rates = {
        name: replace(rate, mean=tokens_per_second) if name == "output_tokens" else rate
        for name, rate in bench.levels[0].rates.items()
    }
    return replace(bench, levels=(replace(bench.levels[0], rates=rates),))


def checked(
    script: ModuleType, bench: BenchResult, *, log: str, size: Fit, start_s: float | None = 150.0
) -> tuple[dict[str, Any], dict[str, bool | None]]:
    seen = script.Seen(log=log, start_s=start_s, bench=bench)
    report = script.report(size, seen, machine=MACHINE, engine_version="0.32.0", seconds=200.0)
    return report, {row["what"]: row["holds"] for row in report["compared"]}


@pytest.fixture(scope="module")
def l4() -> Fit:
    return sized("gemma-4-e4b", L4, context=32_768, parallel=4)


def test_all_holds_on_an_l4_that_does_as_is_predicted(
    script: ModuleType, bench: BenchResult, l4: Fit
) -> None:
    report, holds = checked(script, at(bench, 20.0), log=ON_AN_L4, size=l4, start_s=150.0)
    assert holds == {
        "weights": True,
        "left for the KV cache": True,
        "tokens of the KV cache": True,
        "CUDA graphs": True,
        "output tokens a second, 1 user": True,
        "engine and first-token": True,
        "compile": True,
        "warm-up": True,
    }
    assert report["verdict"] == "holds"
    assert report["start_parts_s"] == pytest.approx({"fetch": 21.4, "compile": 48.0, "warm-up": 43.0})


@pytest.mark.parametrize(
    ("said", "instead", "off"),
    [
        ("memory: 3.1 GiB", "memory: 2.4 GiB", {"left for the KV cache", "tokens of the KV cache"}),
        ("took 14.8 GiB", "took 16.1 GiB", {"weights"}),
        ("150,167 tokens", "131,072 tokens", {"tokens of the KV cache"}),
        ("took 0.53 GiB", "took 0.91 GiB", {"CUDA graphs"}),
        ("took 91.00 s", "took 991.00 s", {"warm-up", "engine and first-token"}),
    ],
)
def test_what_is_off_is_named(
    script: ModuleType, bench: BenchResult, l4: Fit, said: str, instead: str, off: set[str]
) -> None:
    assert said in ON_AN_L4
    report, _ = checked(script, at(bench, 20.0), log=ON_AN_L4.replace(said, instead), size=l4, start_s=150.0)
    assert (report["verdict"], set(report["off"])) == ("off", off)


@pytest.mark.parametrize("tokens_per_second", [2.0, 60.0])
def test_a_gpu_that_is_slower_or_faster_than_the_band_is_off(
    script: ModuleType, bench: BenchResult, l4: Fit, tokens_per_second: float
) -> None:
    _, holds = checked(script, at(bench, tokens_per_second), log=ON_AN_L4, size=l4)
    assert holds["output tokens a second, 1 user"] is False


@pytest.mark.parametrize("name", ["NVIDIA L40S", "NVIDIA A100-SXM4-80GB"])
def test_the_speed_of_a_gpu_that_the_catalog_does_not_know_cannot_be_told(
    script: ModuleType, bench: BenchResult, name: str
) -> None:
    other = sized("gemma-4-e4b", replace(L4, name=name), context=32_768, parallel=4)
    report, holds = checked(script, at(bench, 20.0), log=ON_AN_L4, size=other, start_s=150.0)
    assert holds["output tokens a second, 1 user"] is None
    assert report["verdict"] == "cannot tell"


def test_a_measurement_that_is_no_result_tells_nothing(
    script: ModuleType, bench: BenchResult, l4: Fit
) -> None:
    doubted = replace(bench, levels=(replace(bench.levels[0], doubts=("the client was late",)),))
    report, holds = checked(script, doubted, log=ON_AN_L4, size=l4)
    assert holds["output tokens a second, 1 user"] is None
    assert "the client was late" in str(report["compared"])


def test_a_log_that_says_nothing_is_not_fine(script: ModuleType, bench: BenchResult, l4: Fit) -> None:
    report, holds = checked(script, at(bench, 20.0), log="it started\n", size=l4, start_s=None)
    del holds["output tokens a second, 1 user"]
    assert set(holds.values()) == {None}
    assert report["verdict"] == "cannot tell"


def test_a_compilation_that_the_log_does_not_tell_apart_counts_with_the_warm_up(
    script: ModuleType, bench: BenchResult, l4: Fit
) -> None:
    _, holds = checked(script, bench, log=ON_AN_L4.replace(" (compilation: 48.00 s)", ""), size=l4)
    assert holds["compile and warm-up"] is True
    assert "compile" not in holds


def test_on_the_cpu_the_tokens_are_those_that_vllm_logged_and_the_rest_cannot_be_told(
    script: ModuleType, bench: BenchResult, tmp_path: Path
) -> None:
    taught = sized("file:./tests/models/gemma-4-taught", CPU, context=1024, parallel=4)
    report, holds = checked(script, bench, log=ON_THE_CPU, size=taught, start_s=44.1)
    assert holds.pop("tokens of the KV cache") is True
    assert set(holds.values()) == {None}
    assert report["verdict"] == "cannot tell"


def test_of_two_starts_in_a_log_the_last_counts() -> None:
    said = parse_memory_log(ON_AN_L4 + ON_AN_L4.replace("14.8 GiB", "15.2 GiB").replace("150,167", "99"))
    assert said.weights == pytest.approx(15.2 * GIB, abs=1)
    assert said.tokens == 99
    assert parse_memory_log(ON_THE_CPU).left is None


def test_what_cannot_be_checked_is_one_clear_error(
    script: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert script.main(["gemma-4-e4b"]) == 2
    assert "pip install" in capsys.readouterr().err
    assert script.main(["gemma-4-e4b", "--parallel", "0"]) == 2
    assert "parallel" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", ["--seconds=0", "--seconds=nan", "--input=0", "--output=-1", "--input=9999"]
)
def test_what_cannot_be_measured_is_refused_before_anything_starts(
    script: ModuleType, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(["gemma-4-e4b", wrong])
    assert ended.value.code == 2
    assert "--input and --output" in capsys.readouterr().err
