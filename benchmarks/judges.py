"""
Other load generators measure the same server as `homeport bench`, find the same figures, and cost more than twice as much.

The server's tokens come on a fixed clock. Definitions differ, and are converted:

| ours | vllm bench serve | aiperf | guidellm |
|---|---|---|---|
| TTFT | ttft | time_to_first_token | time_to_first_token_ms |
| TPOT | tpot | inter_token_latency | inter_token_latency_ms; its time_per_output_token_ms has the first token in it |
| E2E | e2el | request_latency | request_latency, in seconds |

Their TTFT begins when a request is sent, which in a closed loop is when ours is due. vLLM takes the first event for the
first token, whatever is in it: the server sends its role with its first token, as vLLM does. Processor time is that of all processes of a
generator; what starting costs is in a run of few requests and in one of many, and falls out.

Where our own clock was late, as it looks every 50 ms, the machine did too much besides, and nothing can be told of times.
`python benchmarks/judges.py aiperf` asks one of them alone.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common import ROOT, served
from homeport.free_ports import free_port
from reaped import reaped
from scoreboard import Scoreboard, Verdict, board, judged

SUPPORT = ROOT / "tests" / "support"
TOKENIZER = ROOT / ".cache" / "models" / "smollm2-135m-safetensors"
AIPERF = ROOT / ".cache" / "judges" / "aiperf" / "bin" / "aiperf"
GUIDELLM = ROOT / ".cache" / "judges" / "guidellm" / "bin" / "guidellm"
VLLM = Path(os.environ.get("HOMEPORT_REHEARSAL_VLLM") or ROOT / ".venv-vllm" / "bin" / "python").with_name(
    "vllm"
)
TTFT_S, ITL_S, USERS, INPUT, OUTPUT = 0.5, 0.025, 8, 64, 32
E2E_S = TTFT_S + (OUTPUT - 1) * ITL_S
FEW, MANY, STARTS = 2 * USERS, 40 * USERS, 3
WITHIN = 0.03
"""What figures may differ by, and what the clocks may be off by that nothing is told."""
ENV = {
    **os.environ,
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Figures:
    """What one generator found, in seconds and a second, and the processor time of all its processes."""

    requests: int
    lost: int
    ttft: float
    tpot: float
    e2e: float
    output_tokens: float
    cpu_s: float
    late_s: float = 0.0
    """How late the clock was at nine of ten looks, where it says so."""

    @property
    def times(self) -> Mapping[str, float]:
        """Return the medians that are compared."""
        return {"TTFT": self.ttft, "TPOT": self.tpot, "E2E": self.e2e}


PACE = Figures(
    requests=0, lost=0, ttft=TTFT_S, tpot=ITL_S, e2e=E2E_S, output_tokens=USERS * OUTPUT / E2E_S, cpu_s=0.0
)
"""What the server does."""


@contextmanager
def paced() -> Iterator[str]:
    """Yield where the paced server answers, a process of its own."""
    port = free_port("127.0.0.1")
    command = [sys.executable, str(SUPPORT / "paced_server.py"), str(port), str(TTFT_S), str(ITL_S), "1000"]
    with served(command, port) as url:
        yield url


def spent(command: list[str], folder: Path, env: Mapping[str, str] = ENV) -> tuple[float, str]:
    """Return the processor time of a command and all that it started and waited for, and what it printed."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env=dict(env))
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    if process.returncode:
        raise RuntimeError(
            f"{Path(command[0]).name} exited with {process.returncode}: {' '.join(said.split())[-300:]}"
        )
    return used.ru_utime + used.ru_stime, said


def by_homeport(url: str, requests: int, folder: Path) -> Figures:
    """Measure with `homeport bench`."""
    program = SUPPORT / "measure_paced.py"
    seconds = requests / USERS * E2E_S * 0.98
    cpu_s, said = spent(
        [sys.executable, str(program), url, *map(str, (USERS, seconds, INPUT, OUTPUT))], folder
    )
    (level,) = json.loads(said)["levels"]
    latency, counted = level["latency"], level["requests"]
    ttft, tpot, e2e = (latency[one]["p50"] for one in ("ttft", "tpot", "e2e"))
    lost, speed = sum(counted["failed"].values()), level["rates"]["output_tokens"]["mean"]
    late_s = level["client"]["delay_p90_s"]
    return Figures(counted["answered"], lost, ttft, tpot, e2e, speed, cpu_s, late_s)


def by_vllm(url: str, requests: int, folder: Path) -> Figures:
    """Measure with vLLM's own generator."""
    command = [
        str(VLLM), "bench", "serve", "--backend", "openai-chat", "--base-url", url, "--endpoint", "/v1/chat/completions",
        "--model", "paced", "--tokenizer", str(TOKENIZER), "--dataset-name", "random", "--random-input-len", str(INPUT),
        "--random-output-len", str(OUTPUT), "--num-prompts", str(requests), "--max-concurrency", str(USERS),
        "--ignore-eos", "--save-result", "--result-dir", str(folder), "--result-filename", "vllm.json",
        "--disable-tqdm", "--percentile-metrics", "ttft,tpot,itl,e2el",
    ]  # fmt: skip
    cpu_s, _ = spent(command, folder, {**ENV, "HF_HUB_OFFLINE": "1"})
    found = json.loads((folder / "vllm.json").read_text())
    ttft, tpot, e2e = (found[f"median_{one}_ms"] / 1000 for one in ("ttft", "tpot", "e2el"))
    return Figures(
        found["completed"], requests - found["completed"], ttft, tpot, e2e, found["output_throughput"], cpu_s
    )


def by_aiperf(url: str, requests: int, folder: Path) -> Figures:
    """Measure with aiperf."""
    command = [
        str(AIPERF), "profile", "-m", "paced", "--url", url, "--endpoint-type", "chat", "--streaming",
        "--tokenizer", str(TOKENIZER), "--concurrency", str(USERS), "--request-count", str(requests),
        "--isl", str(INPUT), "--osl", str(OUTPUT), "--extra-inputs", "ignore_eos:true", "--ui", "none",
        "--artifact-dir", str(folder),
    ]  # fmt: skip
    cpu_s, _ = spent(command, folder)
    found = json.loads((folder / "profile_export_aiperf.json").read_text())
    names = ("time_to_first_token", "inter_token_latency", "request_latency")
    ttft, tpot, e2e = (found[one]["p50"] / 1000 for one in names)
    answered = int(found["request_count"]["avg"])
    return Figures(
        answered, requests - answered, ttft, tpot, e2e, found["output_token_throughput"]["avg"], cpu_s
    )


def by_guidellm(url: str, requests: int, folder: Path) -> Figures:
    """Measure with guidellm."""
    # Its medians of inter-token latency count each request as often as it has tokens, which are as many in all.
    command = [
        str(GUIDELLM), "run", "--backend", f"kind=openai_http,target={url},model=paced,http2=false",
        "--profile", f"kind=concurrent,streams={USERS}", "--constraint", f"kind=max_requests,count={requests}",
        "--data", f"kind=synthetic_text,prompt_tokens={INPUT},output_tokens={OUTPUT}",
        "--tokenizer", f"kind=huggingface_auto,model={TOKENIZER}", "--disable-console",
        "--output", f"kind=json,path={folder / 'guidellm.json'}",
    ]  # fmt: skip
    cpu_s, _ = spent(command, folder, {**ENV, "HF_HUB_OFFLINE": "1"})
    (run,) = json.loads((folder / "guidellm.json").read_text())["benchmarks"]
    metrics, clock = run["metrics"], run["scheduler_metrics"]
    answered = metrics["request_totals"]["successful"]

    def median(name: str) -> float:
        return float(metrics[name]["successful"]["median"])

    tokens = metrics["output_token_count"]["successful"]["total_sum"]
    return Figures(
        answered, requests - answered, median("time_to_first_token_ms") / 1000, median("inter_token_latency_ms") / 1000,
        median("request_latency"), tokens / (clock["request_end_time"] - clock["request_start_time"]), cpu_s,
    )  # fmt: skip


Measure = Callable[[str, int, Path], Figures]


@dataclass(frozen=True)
class Generator:
    """What one generator found with many requests, and what a request costs it."""

    found: Figures
    work: float
    """Processor seconds per 1,000 requests, less what starting costs."""
    noise: float
    """By how much of these its starts differed."""


def measured_by(measure: Measure, url: str, folder: Path) -> Generator:
    """Measure with a generator: what its start costs, by few requests several times, and then many."""
    measure(url, USERS, folder)  # What only its very first start does is in no figure.
    starts = sorted((measure(url, FEW, folder) for _ in range(STARTS)), key=lambda one: one.cpu_s)
    many = measure(url, MANY, folder)
    share = 1000 / (MANY - FEW)
    work = share * (many.cpu_s - starts[STARTS // 2].cpu_s)
    return Generator(many, work, share * (starts[-1].cpu_s - starts[0].cpu_s))


GENERATORS: Mapping[str, Measure] = {"vllm": by_vllm, "aiperf": by_aiperf, "guidellm": by_guidellm}


def compared(ours: Figures, theirs: Figures) -> tuple[float, str]:
    """Return by how much the figure is off that is off most, and all of them in words."""
    off = {name: value / theirs.times[name] - 1 for name, value in ours.times.items()}
    said = [
        f"{name} {1000 * value:.1f} and {1000 * theirs.times[name]:.1f} ms"
        for name, value in ours.times.items()
    ]
    return max(off.values(), key=abs), ", ".join(said)


def measure_ours(told: Scoreboard, url: str, folder: Path) -> Generator:
    """Measure with `homeport bench`, and tell how near that is to the server's pace."""
    ours = measured_by(by_homeport, url, folder)
    off, said = compared(ours.found, PACE)
    unclear = unquiet(ours.found)
    told.measured("pace", off, note=said, unclear=unclear)
    told.measured("tokens", ours.found.output_tokens / PACE.output_tokens - 1, unclear=unclear)
    told.measured("lost", ours.found.lost / max(1, ours.found.requests))
    return ours


def measure_theirs(told: Scoreboard, name: str, url: str, ours: Generator, folder: Path) -> None:
    """Measure with another generator, and tell how near and how dear it is."""
    theirs = measured_by(GENERATORS[name], url, folder)
    many, unclear = theirs.found, unquiet(ours.found)
    if many.ttft > (1 + 2 * WITHIN) * TTFT_S >= ours.found.ttft:
        unclear = unclear or f"it was itself off the server's clock: a TTFT of {1000 * many.ttft:.0f} ms"
    off, said = compared(ours.found, many)
    told.measured(name, off, note=said, unclear=unclear)
    tell_work(told, name, ours, theirs)
    told.measured(f"{name}-lost", many.lost / MANY, note=f"{many.lost} of {MANY}, counted apart")


def tell_work(told: Scoreboard, name: str, ours: Generator, theirs: Generator) -> None:
    """Tell what a request costs both; nothing, where starts differed by so much that it may be more or less than what is promised."""
    id_ = f"{name}-work"
    note = ", ".join(f"{one.work:.1f} ± {one.noise:.1f}" for one in (ours, theirs)) + " s per 1,000 requests"
    ends = [
        judged(told.promises[id_], mine / other) if other > 0 < mine else Verdict.UNCLEAR
        for mine, other in (
            (ours.work - ours.noise, theirs.work + theirs.noise),
            (ours.work + ours.noise, theirs.work - theirs.noise),
        )
    ]
    certain = Verdict.UNCLEAR not in ends and ends[0] is ends[1]
    ratio = ours.work / theirs.work if theirs.work > 0 else math.inf
    told.measured(id_, ratio, note=note, unclear="" if certain else f"its starts differ by too much: {note}")


def unquiet(ours: Figures) -> str:
    """Return why no time can be told, '' where it can: what is allowed is hardly more than this machine's own delays."""
    return (
        f"this machine's clock was late by {1000 * ours.late_s:.0f} ms"
        if ours.late_s > WITHIN * TTFT_S / 2
        else ""
    )


def main() -> None:
    """Measure with all of them, or with those that are named."""
    with board("judges") as told, paced() as url, tempfile.TemporaryDirectory() as scratch:
        ours = measure_ours(told, url, Path(scratch))
        for name in sys.argv[1:] or GENERATORS:
            folder = Path(scratch) / name
            folder.mkdir()
            try:
                measure_theirs(told, name, url, ours, folder)
            except (OSError, RuntimeError) as error:
                for id_ in (name, f"{name}-work", f"{name}-lost"):
                    told.unmeasured(id_, str(error))


if __name__ == "__main__":
    reaped()
    main()
