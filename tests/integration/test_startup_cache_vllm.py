"""
Real vLLM compiles on the CPU, is ended, and starts again with what it left: nothing is compiled a second time.

`make test-vllm` runs this; how much sooner it starts is measured by benchmarks/cold.py, and not by a test.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from homeport.backoff import Backoff
from homeport.engines.registry import module
from homeport.free_ports import free_port
from homeport.startup_cache import script
from places import ROOT, VLLM_PYTHON

pytestmark = [pytest.mark.vllm, pytest.mark.lasts(120)]

VLLM = VLLM_PYTHON.with_name("vllm")
MODEL = ROOT / "tests" / "models" / "gemma-4-tools"
FINGERPRINT = "f" * 32
SERVE = ("--host", "127.0.0.1", "--served-model-name", "m", "--dtype", "bfloat16", "--max-model-len", "256", "--max-num-seqs", "1", "--kv-cache-memory-bytes", f"{2**26}")  # fmt: skip
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_HOST_IP": "127.0.0.1",
    # What vLLM 0.32 makes ahead of time it cannot load again on a CPU.
    "VLLM_USE_AOT_COMPILE": "0",
}


@contextmanager
def vllm(cache: Path, *before: str) -> Iterator[tuple[str, str]]:
    """What a vLLM with its cache there answers, and its log so far."""
    kept, port = module("vllm").STARTUP_CACHE, free_port("127.0.0.1")
    assert kept is not None
    log = cache.with_name("log")
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*before, str(VLLM), "serve", str(MODEL), "--port", f"{port}", *SERVE],
            env={**os.environ, **SETTINGS, **kept.environment(str(cache))},
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _answer(process, port, log), log.read_text(errors="replace")
        finally:
            process.terminate()
            process.wait()


def _answer(process: subprocess.Popen[bytes], port: int, log: Path) -> str:
    body = {"model": "m", "prompt": "What", "max_tokens": 8, "temperature": 0}
    wait = Backoff(what="vLLM", within=900, first=0.5)
    while True:
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            came = httpx2.post(f"http://127.0.0.1:{port}/v1/completions", json=body, timeout=300, trust_env=False, verify=False)  # fmt: skip
            if came.is_success:
                return str(came.json()["choices"][0]["text"])
        except httpx2.TransportError:
            pass
        assert wait.sleep(), log.read_text(errors="replace")[-3000:]


def compiled(cache: Path) -> set[str]:
    """The kernels that were compiled there."""
    return {one.relative_to(cache).as_posix() for one in cache.rglob("*.so")}


def _worked() -> float:
    """Processor seconds of all that was started and has ended: what a busy machine does not change much."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_what_vllm_compiled_once_is_not_compiled_again(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cache, pack = tmp_path / "cache", tmp_path / "pack"
    begun = _worked()
    with vllm(cache) as (first, log):
        made = compiled(cache)
    record_property("cold, processor seconds", round((cold := _worked()) - begun))
    assert len(made) > 5
    assert module("vllm").start_times(log)["warm-up"] > 0

    digest = script.keep(cache, pack, FINGERPRINT)
    cache.rename(tmp_path / "gone")
    restore = [sys.executable, "-I", script.__file__, "restore", "--from", str(pack), "--to", str(cache)]
    restore += ["--fingerprint", FINGERPRINT, "--manifest", digest, "--"]
    with vllm(cache, *restore) as (second, log):
        assert "MB, checked and in place after" in log
        assert compiled(cache) == made
    record_property("kept, processor seconds", round(_worked() - cold))
    assert second == first
