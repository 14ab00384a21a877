"""
The engine alone, as `capacity` simulates it, against another simulator: `@doublewordai/inference-lab` 0.2.1, of npm.

4 billion parameters of two bytes, 300 GB/s, 100 TFLOPS, 16 requests at once, prompts of 512 tokens and answers of 128: Poisson
requests as inference-lab drew them, told by when each was done and how long it took. Both take the longer of memory and
arithmetic for a step. Two things differ there, and are converted:

- A step that reads the end of a prompt yields no token there: the first comes with the step behind it. So ours has an answer of a token
  more, and the time to its first token a token's time more.
- Every token of a prompt looks at the whole of it, and not at those before it alone: a pair takes twice as long.

It looks for new requests once a millisecond while it has none.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common import ROOT
from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import request_table
from homeport.capacity.scaled_service import ScaledService, ServiceSettings
from homeport.capacity.step_time import StepTime
from homeport.traffic import Arrival
from promises import RATES
from reaped import reaped
from scoreboard import Scoreboard, board, furthest

PACKAGE = ROOT / ".cache" / "inference-lab" / "node_modules" / "@doublewordai" / "inference-lab"
PROGRAM = """
import fs from "node:fs";
const folder = process.argv[1];
const lab = await import(folder + "/inference_lab.js");
lab.initSync({ module: fs.readFileSync(folder + "/inference_lab_bg.wasm") });
const told = lab.run_simulation(fs.readFileSync(0, "utf8")).latency_samples;
console.log(JSON.stringify([told.ttft_samples, told.e2e_samples, told.e2e_timestamps]));
"""
PARAMETERS, BYTES, BANDWIDTH, FLOPS = 4_000_000_000, 2, 3e11, 1e14
LAYERS, WIDTH, HEADS, KV_HEADS = 36, 2560, 20, 4
SEQUENCES, STEP_TOKENS, INPUT, OUTPUT, REQUESTS = 16, 2048, 512, 128, 2000
CACHE_BYTES = 40_000_000_000
TOKEN_BYTES = 2 * LAYERS * KV_HEADS * (WIDTH // HEADS) * BYTES
STEPS = StepTime(
    overhead_s=0.0,
    weights_s=lambda _: PARAMETERS * BYTES / BANDWIDTH,
    cached_token_s=TOKEN_BYTES / BANDWIDTH,
    window_s=0.0,
    token_s=2 * PARAMETERS / FLOPS,
    pair_s=2 * 4 * LAYERS * WIDTH / FLOPS,
    how="the roofline that inference-lab takes",
)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Seconds of each request, and when each came and was done."""

    ttft: Sequence[float]
    e2e: Sequence[float]
    arrived: Sequence[float]
    ended: Sequence[float]

    def figures(self) -> Mapping[str, float]:
        """Return what is compared."""
        times = {"ttft": sorted(self.ttft), "e2e": sorted(self.e2e)}
        found = {
            f"{name} p{p}": each[math.ceil(len(each) * p / 100) - 1]
            for name, each in times.items()
            for p in (50, 95)
        }
        return {**found, "tokens": len(self.e2e) * OUTPUT / (max(self.ended) - min(self.arrived))}


def theirs(rate: float) -> Simulated:
    """Return what inference-lab makes of so many requests a second."""
    settings = {
        "hardware": {
            "name": "made up", "compute_flops": FLOPS, "memory_bandwidth": BANDWIDTH,
            "memory_capacity": 2 * CACHE_BYTES, "kv_cache_capacity": CACHE_BYTES, "bytes_per_param": BYTES,
        },
        "model": {
            "name": "made up", "num_parameters": PARAMETERS, "num_layers": LAYERS, "hidden_dim": WIDTH,
            "num_heads": HEADS, "num_kv_heads": KV_HEADS, "max_seq_len": 8192,
        },
        "scheduler": {
            "max_num_batched_tokens": STEP_TOKENS, "max_num_seqs": SEQUENCES, "policy": "fcfs", "enable_chunked_prefill": True,
            "long_prefill_token_threshold": STEP_TOKENS, "max_num_partial_prefills": SEQUENCES, "block_size": 16,
        },
        "workload": {
            "arrival_pattern": "poisson", "arrival_rate": rate, "num_requests": REQUESTS, "seed": 42,
            "input_len_dist": {"type": "fixed", "value": INPUT}, "output_len_dist": {"type": "fixed", "value": OUTPUT},
        },
        "simulation": {"log_interval": 100},
    }  # fmt: skip
    node = shutil.which("node")
    if node is None or not PACKAGE.is_dir():
        raise RuntimeError(
            "inference-lab is not here: `make bench PARTS=inference-lab` brings it where there are npm and node"
        )
    command = [node, "--input-type=module", "-e", PROGRAM, str(PACKAGE)]
    ran = subprocess.run(command, input=json.dumps(settings), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"inference-lab exited with {ran.returncode}: {ran.stderr[-1000:]}")
    ttft, e2e, ended = json.loads(ran.stdout)
    arrived = [end - took / 1000 for end, took in zip(ended, e2e, strict=True)]
    return Simulated(
        ttft=[one / 1000 for one in ttft], e2e=[one / 1000 for one in e2e], arrived=arrived, ended=ended
    )


def ours(arrived: Sequence[float]) -> Simulated:
    """Return what `capacity` makes of the same requests, by the other's notion of a first token."""
    begins = min(arrived)
    traffic = request_table(Arrival(at - begins, INPUT, OUTPUT + 1) for at in sorted(arrived))
    alone = ServiceSettings(concurrency=10**6, least=1, most=1, scales=False)
    limits = BatchLimits(
        sequences=SEQUENCES, step_tokens=STEP_TOKENS, cache_tokens=CACHE_BYTES // TOKEN_BYTES
    )
    table = ScaledService(traffic, alone, STEPS, limits).run().traffic
    spans = list(zip(table.arrived, table.first, table.ended, strict=True))
    return Simulated(
        ttft=[first - at + (end - first) / OUTPUT for at, first, end in spans],
        e2e=[end - at for at, _, end in spans],
        arrived=table.arrived,
        ended=table.ended,
    )


def measure(told: Scoreboard, rate: float) -> None:
    """Tell by how much ours is off theirs at so many requests a second."""
    other = theirs(rate)
    seen, found = other.figures(), ours(other.arrived).figures()
    off = {name: found[name] / value - 1 for name, value in seen.items()}
    told.measured(f"{rate:g}-tokens", off.pop("tokens"))
    worst = furthest(told.promises[f"{rate:g}"], off, dict.fromkeys(off, 0.0))
    said = ", ".join(f"{name} {100 * value:+.1f}" for name, value in off.items())
    told.measured(f"{rate:g}", off[worst], note=f"{said} %")


def main() -> None:
    """Compare at each rate."""
    with board("inference-lab") as told:
        for rate in RATES:
            measure(told, rate)


if __name__ == "__main__":
    reaped()
    main()
