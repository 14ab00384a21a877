"""
Hold what homeport predicts of a GPU against a real one: `python scripts/gpu_check.py gemma-4-e4b > gpu-check.json`.

It wants an NVIDIA GPU, vLLM (`pip install 'homeport[vllm]'`, or a `vllm` on the PATH) and homeport in this Python. It starts
the model, measures it for about a minute, takes it down, and prints JSON: docs/fit.md explains it. Weights are fetched
first where they are not here, and are kept. Without a GPU it runs on the CPU, and says of most that it cannot tell.

Exit code: 0 where everything holds, 1 where something does not, 3 where nothing is off and something cannot be told,
2 where nothing could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from homeport import deployment, spec
from homeport.bench import BenchOptions, BenchResult, bench
from homeport.bench.bench import Served
from homeport.capacity.roofline import PACES, step_time
from homeport.catalog import cloudrun
from homeport.engines.footprint import Footprint
from homeport.engines.registry import module
from homeport.engines.vllm import startup
from homeport.engines.vllm.memory_log import LoggedMemory, parse_memory_log
from homeport.errors import EngineMissing, HomeportError, SpecError
from homeport.fit import Fit, fit
from homeport.fit.cold_start import expected
from homeport.fit.devices import of_shape, this
from homeport.fit.subject import subject
from homeport.hardware import Machine, this_machine
from homeport.home import find_home
from homeport.json_types import JsonObject
from homeport.progress import Silent
from homeport.spec import Spec
from homeport.targets.base import OpenOptions, UpOptions

VERSION = 1
GIB = 2**30
ROUNDED = GIB // 100
"""The log's bytes are rounded so."""
MOST_SECONDS = 3600
CACHES = startup.STARTUP_CACHE.folders
"""Empty at each check: what an earlier start compiled would make this one too good."""
MOST_UNPROMISED = 2.5 * GIB
"""What published logs had left beyond what was promised: the allowances are from the GPU that lacked most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One prediction, and what came."""

    kind: str
    what: str
    unit: str
    predicted: float | None
    low: float | None
    """Between `low` and `high` the prediction holds."""
    high: float | None
    measured: float | None
    why: str = ""
    """Why it cannot be told, or what to know of it."""

    @property
    def holds(self) -> bool | None:
        """Tell whether it holds; None where that cannot be told."""
        if self.measured is None or self.low is None or self.high is None:
            return None
        return self.low <= self.measured <= self.high

    def as_json(self) -> JsonObject:
        """Return it as it is printed."""
        return {**asdict(self), "holds": self.holds}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one start of the engine showed."""

    log: str
    start_s: float | None
    """From the start of its process to the first token."""
    bench: BenchResult


def memory(size: Fit, log: str) -> Iterator[Compared]:
    """Yield what was predicted of memory, beside what the log says."""
    said, budget = parse_memory_log(log), size.footprint
    if budget is None:
        yield _unknown("memory", "all of it", "bytes", None, "the architecture of the model is not known")
        return
    if budget.weights < GIB // 4:
        why = "the log has hundredths of a GiB, which is too coarse for weights so small"
        yield _unknown("memory", "weights", "bytes", said.weights, why, predicted=budget.weights)
    else:
        near = 0.03 * budget.weights + ROUNDED
        yield Compared(
            kind="memory", what="weights", unit="bytes", predicted=budget.weights,
            low=budget.weights - near, high=budget.weights + near, measured=said.weights,
        )  # fmt: skip
    yield from _cache_on_a_gpu(budget, said) if size.place.device.gpu else _cache_on_a_cpu(size, budget, said)


def _cache_on_a_cpu(size: Fit, budget: Footprint, said: LoggedMemory) -> Iterator[Compared]:
    told = budget.cache.tokens(budget.cache.bytes_for(size.what.settings.parallel))
    given = "on a CPU the cache is given its size, and nothing is profiled"
    yield _unknown("memory", "left for the KV cache", "bytes", said.left, given)
    yield Compared(
        kind="memory", what="tokens of the KV cache", unit="tokens", predicted=told, low=told, high=told,
        measured=said.tokens, why="of the cache that homeport gave it",
    )  # fmt: skip


def _cache_on_a_gpu(budget: Footprint, said: LoggedMemory) -> Iterator[Compared]:
    left = budget.cache_bytes
    yield Compared(
        kind="memory", what="left for the KV cache", unit="bytes", predicted=left, low=left - ROUNDED,
        high=left + MOST_UNPROMISED, measured=said.left, why="no less than is promised; others had up to 2.5 GiB more",
    )  # fmt: skip
    if said.left is None:
        why = "the log does not say what was left"
        yield _unknown("memory", "tokens of the KV cache", "tokens", said.tokens, why)
    else:
        low, held, high = (budget.cache.tokens(said.left + near) for near in (-ROUNDED, 0, ROUNDED))
        yield Compared(
            kind="memory", what="tokens of the KV cache", unit="tokens", predicted=held, low=0.99 * low,
            high=1.01 * high, measured=said.tokens, why="of the bytes that vLLM says were left",
        )  # fmt: skip
    graphs = next((term.size for term in budget.fixed if term.what == "CUDA graphs"), None)
    yield Compared(
        kind="memory", what="CUDA graphs", unit="bytes", predicted=graphs, low=0, high=graphs,
        measured=said.graphs, why="an allowance, which is to be enough",
    )  # fmt: skip


def throughput(size: Fit, found: BenchResult) -> Iterator[Compared]:
    """Yield what was predicted of speed at each number of users, beside what was measured."""
    shape = _shape(size.place.device.name) if size.place.device.gpu else None
    for level in found.levels:
        users, rate = level.users or 1, level.rates["output_tokens"].mean
        what = f"output tokens a second, {level.load}"
        if not level.valid:
            yield _unknown("throughput", what, "tokens/s", rate, f"no result: {'; '.join(level.doubts)}")
            continue
        if shape is None:
            why = f"how fast {size.place.device.name} is, is not in the catalog: it has {_known()}"
            yield _unknown("throughput", what, "tokens/s", rate, why)
            continue
        try:
            slow, likely, fast = _rates(replace(size, place=of_shape(shape)), users, found)
        except SpecError as error:
            yield _unknown("throughput", what, "tokens/s", rate, str(error))
            continue
        yield Compared(
            kind="throughput", what=what, unit="tokens/s", predicted=likely, low=slow, high=fast, measured=rate,
            why="from bandwidth and arithmetic, with the shares of step_time.toml",
        )  # fmt: skip


def start(size: Fit, seen: Seen) -> Iterator[Compared]:
    """Yield what was predicted of each part of a start, beside what the log says. Weights come from a disk, which has no term."""
    engine = module(size.what.engine)
    parts = engine.start_times(seen.log)
    rest = seen.start_s - sum(parts.values()) if seen.start_s is not None and parts else None
    measured: dict[tuple[str, ...], float | None] = {("engine", "first-token"): rest}
    if "compile" in parts:
        measured |= {("compile",): parts["compile"], ("warm-up",): parts.get("warm-up")}
    else:
        measured |= {("compile", "warm-up"): parts.get("warm-up")}
    predicted = expected(
        engine=size.what.engine, delivery=engine.USUAL_DELIVERY or "", weights_bytes=size.what.weights.size
    )
    for names, took in measured.items():
        terms = [term for name in names if (term := predicted.term(name)) is not None]
        if not size.place.device.gpu:
            yield _unknown("start", " and ".join(names), "s", took, "what is predicted is of a GPU")
            continue
        yield Compared(
            kind="start", what=" and ".join(names), unit="s", predicted=sum(term.likely for term in terms),
            low=sum(term.low for term in terms), high=sum(term.high for term in terms), measured=took,
            why="the log does not say" if took is None else "",
        )  # fmt: skip


def report(size: Fit, seen: Seen, *, machine: Machine, engine_version: str, seconds: float) -> JsonObject:
    """Return all of it as it is printed."""
    rows = [*memory(size, seen.log), *throughput(size, seen.bench), *start(size, seen)]
    off = [one.what for one in rows if one.holds is False]
    untold = [one.what for one in rows if one.holds is None]
    return {
        "version": VERSION,
        "homeport": version("homeport"),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "machine": {
            "cores": machine.cores,
            "memory": machine.memory,
            "gpus": [{"name": one.name, "memory": one.memory} for one in machine.gpus],
        },
        "engine": {"name": size.what.engine, "version": engine_version},
        "model": size.what.model.name,
        "weights": size.what.weights.source,
        "context": size.what.settings.context,
        "parallel": size.what.settings.parallel,
        "input": seen.bench.setting.input,
        "output": seen.bench.setting.output,
        "verdict": "off" if off else "cannot tell" if untold else "holds",
        "off": list(off),
        "cannot_tell": list(untold),
        "compared": [one.as_json() for one in rows],
        "start_s": seen.start_s,
        "start_parts_s": dict(module(size.what.engine).start_times(seen.log)),
        "fit": size.as_json(),
    }


def _unknown(
    kind: str, what: str, unit: str, measured: float | None, why: str, *, predicted: float | None = None
) -> Compared:
    return Compared(
        kind=kind, what=what, unit=unit, predicted=predicted, low=None, high=None, measured=measured, why=why
    )


def _rates(size: Fit, users: int, found: BenchResult) -> list[float]:
    """Return the output tokens a second of `users` at each pace: each waits for the prompts of all, then for its steps."""
    tokens_in, tokens_out = found.setting.input, found.setting.output
    assert tokens_in is not None  # Only a trace has none, and none is measured here.
    assert tokens_out is not None
    rates = []
    for pace in PACES:
        times = step_time(size, pace)
        cached = users * (tokens_in + tokens_out // 2)
        fixed, per_token, _ = times.decode(users, cached)
        prompt = times.prefill(tokens_in, tokens_in**2 / 2, 0, 0)
        answer = users * prompt + (tokens_out - 1) * (fixed + per_token * cached)
        rates.append(users * tokens_out / answer)
    return rates


def _shape(gpu: str) -> cloudrun.Shape | None:
    """Return the smallest shape of Cloud Run with this GPU; a longer name may be of another: an L40S is no L4."""
    for known in cloudrun.gpus():
        if gpu == known.title or gpu.startswith(f"{known.title} "):
            return known.shapes[0]
    return None


def _known() -> str:
    return " and ".join(known.title for known in cloudrun.gpus())


async def check(file: Spec, size: Fit, options: BenchOptions, engine_version: str) -> Seen:
    """Return what a start of `file` showed. It is taken down whatever happens. Raises what `up` and `bench` raise."""
    opened = OpenOptions(env=os.environ, home=find_home())
    async with deployment.opened(file, options=opened) as one:
        await one.down()  # What an earlier check left, had it been killed, would not start again.
        try:
            came = await one.up(UpOptions(verify=False), progress=Noted())
            served = Served(on="local", engine=size.what.engine, version=engine_version)
            measured = await bench(came.endpoint, options, served=served, say=Noted().note)
            log = "".join([piece async for piece in one.logs()])
            timeline = {name: took for name, took in came.timeline.items() if name != "fetch"}
            return Seen(log=log, start_s=sum(timeline.values()) if timeline else None, bench=measured)
        finally:
            await one.down()


class Noted(Silent):
    """Says on standard error what goes on."""

    def started(self, key: str, what: str) -> None:
        """Say that it began."""
        self.note(what)

    def note(self, text: str) -> None:
        """Say it."""
        print(text, file=sys.stderr, flush=True)


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument(
        "model", help="a model of the catalog, hf:ORG/NAME, or file: and a folder of safetensors"
    )
    parser.add_argument("--weights", help="a source in place of the catalog's")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument(
        "--parallel", type=int, default=8, help="requests at once, and users of the second load"
    )
    parser.add_argument("--input", type=int, default=256)
    parser.add_argument("--output", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0, help="of measuring, start excluded")
    wanted = parser.parse_args(given)
    if wanted.input < 1 or wanted.output < 1 or not 1 <= wanted.seconds <= MOST_SECONDS:
        parser.error(f"--input and --output are at least 1, --seconds from 1 to {MOST_SECONDS}")
    if wanted.input + wanted.output > wanted.context:
        parser.error(f"--input and --output together are more than --context {wanted.context}")
    return wanted


def _file(wanted: argparse.Namespace) -> Spec:
    settings: Mapping[str, object] = {"kind": "vllm", "context": wanted.context, "parallel": wanted.parallel}
    source = {"weights": wanted.weights} if wanted.weights else {}
    return spec.parse(
        {"name": "gpu-check", "model": wanted.model, **source, "engine": settings, "local": {"port": 0}}
    )


def main(given: Sequence[str]) -> int:
    """Check, print, and return the exit code."""
    wanted, begun = _arguments(given), time.monotonic()
    try:
        file, machine = _file(wanted), this_machine()
        installed = module("vllm").find()
        if installed is None:
            raise EngineMissing("vllm cannot be found here", hint=module("vllm").INSTALL_HINT)
        about = subject(wanted.model, Path.cwd(), weights=wanted.weights, engine="vllm")
        if "vllm" not in about.weights:
            raise SpecError(f"{wanted.model} has no weights that vllm loads", hint="name some with --weights")
        size = fit(about.served("vllm", file.engine), this(machine, "vllm"))
        users = tuple(sorted({1, wanted.parallel}))
        options = BenchOptions(
            input=wanted.input, output=wanted.output, seconds=wanted.seconds, users=users, repetitions=2
        )
        with TemporaryDirectory(prefix="gpu-check-") as nothing_kept:
            os.environ |= {name: f"{nothing_kept}/{below}" for name, below in CACHES.items()}
            seen = asyncio.run(check(file, size, options, installed.version))
    except HomeportError as error:
        print(f"{error}\n{error.hint}".strip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the endpoint was taken down", file=sys.stderr)
        return 130
    found = report(
        size, seen, machine=machine, engine_version=installed.version, seconds=time.monotonic() - begun
    )
    print(json.dumps(found, indent=2))
    return {"holds": 0, "off": 1, "cannot tell": 3}[str(found["verdict"])]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # It takes its endpoint down as at Ctrl-C.
    raise SystemExit(main(sys.argv[1:]))
