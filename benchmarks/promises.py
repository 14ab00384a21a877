"""
What the scripts here measure: parts, what each promises, and about how many minutes it takes on two quiet cores.

Whatever is promised here and was not measured is said to be not measured, by the script and by `make bench`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Others(Enum):
    """What other programs at work do to a figure."""

    NOTHING = auto()
    """It is of the processor's time or of a clock that jumps; or the script tells by itself how noisy it was."""
    LENGTHEN = auto()
    """It is of the wall's clock: beside other programs it can only be longer, so that what is kept is kept."""
    MOVE = auto()
    """It compares two times of the wall's clock: beside other programs it tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One figure: what it is, within which bounds it must be, and in what it is written; without bounds it is only told."""

    what: str
    most: float | None = None
    least: float | None = None
    unit: str = "×"
    others: Others = Others.NOTHING

    @property
    def bounds(self) -> str:
        """Return the bounds in words; '' for none."""
        if self.most is not None and self.least is not None:
            if self.most == self.least:
                return f"exactly {self._bound(self.most)}"
            if self.most == -self.least:
                return f"within {self._bound(self.most)}"
        ends = (("at most", self.most), ("at least", self.least))
        return ", ".join(f"{words} {self._bound(end)}" for words, end in ends if end is not None)

    def written(self, value: float) -> str:
        """Return a figure as it is read."""
        if self.unit == "%":
            share = round(100 * value, 1) or 0.0  # No minus before a zero.
            return f"{share:+.1f} %" if self.least is not None and self.least < 0 else f"{share:.1f} %"
        return (
            f"{value} {self.unit}".rstrip() if isinstance(value, int) else f"{value:.2f} {self.unit}".rstrip()
        )

    def _bound(self, end: float) -> str:
        return (
            f"{100 * end:g} %"
            if self.unit == "%"
            else f"{end:.2f}".rstrip("0").rstrip(".") + f" {self.unit}".rstrip()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A script here, with what it promises by the names under which it tells them."""

    title: str
    command: Sequence[str]
    minutes: float
    promises: Mapping[str, Promise]
    prepare: Sequence[Sequence[str]] = ()
    """Commands that make what it needs, at the root of the checkout."""


def _within(what: str, share: float) -> Promise:
    return Promise(what=what, most=share, least=-share, unit="%")


def _of_replicas(count: int, load: float) -> Iterator[tuple[str, Promise]]:
    """Yield what is promised of one load."""
    id_, words = f"{count}x{load:g}", f"{count} replicas at {load:.0%}:"
    yield id_, _within(f"{words} TTFT and E2E, p50 and p95: the furthest", 0.05)
    yield f"{id_}-tokens", _within(f"{words} output tokens a second", 0.03)
    yield f"{id_}-way", Promise(what=f"{words} what front end and HTTP take", most=30, least=-30, unit="ms")
    if load > 1:
        yield f"{id_}-429", _within(f"{words} requests turned away, of all", 0.02)


ENVOY = (("sh", "scripts/locked_env.sh", ".cache/envoy", "locks/envoy.txt"),)
GENERATORS = {"vllm": "vllm bench serve", "aiperf": "aiperf", "guidellm": "guidellm"}
LOADS, REPLICAS = (0.5, 0.8, 1.7), (2, 4)
RATES = (0.5, 2.0, 3.0)
_WAY = {
    "added": Promise(what="time added to the first byte, to Envoy's", most=2),
    "throughput": Promise(what="requests a second, to Envoy's", least=1 / 3),
    "work": Promise(what="processor time a request, to Envoy's"),
}
PARTS: Mapping[str, Part] = {
    "startup": Part(title="`homeport up` on this machine", command=("startup.py",), minutes=1.5, promises={
        "more": Promise(what="`up` to the first token, beyond the bare engine", most=0.3, unit="s", others=Others.MOVE),
        "first": Promise(what="the same, to the bare engine's", others=Others.MOVE),
        "usual": Promise(what="the same, to that of the bare engine unless told otherwise", others=Others.MOVE),
        "again": Promise(what="a second `up`, its token included", most=0.45, unit="s", others=Others.LENGTHEN),
        "help": Promise(what="`homeport --help`", most=0.3, unit="s", others=Others.LENGTHEN),
        "fit": Promise(what="`homeport fit gemma-4-31b`", most=1, unit="s", others=Others.LENGTHEN),
    }),
    "direct": Part(title="Requests straight to the engine", command=("direct.py",), minutes=2, promises={
        "first": Promise(what="time to first token, to the bare engine's", others=Others.MOVE),
        "throughput": Promise(what="throughput, to the bare engine's", others=Others.MOVE),
    }),
    "apply": Part(title="Google Cloud, rehearsed: of a clock that jumps", command=("apply.py",), minutes=0.5, promises={
        "path": Promise(what="`up`, to the critical path of its graph", most=1.15),
        "sequence": Promise(what="`up`, to one thing after the other"),
        "plan": Promise(what="a plan that changes nothing, to one call", most=4),
        "vllm-path": Promise(what="vLLM with published durations, to its critical path", most=1.15),
        "vllm-lab": Promise(what="vLLM, to the lab's sequence", most=0.5),
        "baked-path": Promise(what="Ollama, baked, to its critical path", most=1.15),
        "baked-lab": Promise(what="Ollama, baked, to the lab's sequence", most=0.5),
        "prebuilt-path": Promise(what="Ollama, prebuilt, to its critical path", most=1.15),
        "prebuilt-lab": Promise(what="Ollama, prebuilt, to the lab's sequence", most=0.5),
    }),
    "rehearsal": Part(title="The rehearsal itself", command=("rehearsal.py",), minutes=0.5, promises={
        "requests": Promise(what="1,500 requests, a third of them writes", most=1, unit="s", others=Others.LENGTHEN),
        "client": Promise(what="the same through an HTTP client", most=1, unit="s", others=Others.LENGTHEN),
        "start": Promise(what="`rehearse serve` to its first answer", most=0.5, unit="s", others=Others.LENGTHEN),
    }),
    "proxy": Part(title="`homeport proxy`, beside Envoy on one core", command=("proxy.py",), minutes=1, prepare=ENVOY, promises=_WAY),
    "proxy-tls": Part(
        title="The same, TLS to the service", command=("proxy.py", "--tls"), minutes=1, prepare=ENVOY, promises=_WAY,
    ),
    "gateway": Part(
        title="The gateway, beside an Envoy that asks a processor", command=("gateway.py",), minutes=2.5, prepare=ENVOY, promises={
            "ms": Promise(what="added to the first byte, without a screen", most=3, unit="ms"),
            "added": Promise(what="the same, to what that Envoy adds", most=2),
            "throughput": Promise(what="requests a second, to that Envoy's"),
            "work": Promise(what="processor time a request, to that Envoy's"),
            "counting": Promise(what="added to the first byte where `[observe]` only counts", unit="ms"),
        },
    ),
    "simulation": Part(title="How fast capacity is simulated, on one core", command=("capacity.py",), minutes=2, promises={
        "million": Promise(what="a million requests, 16 at once", most=60, unit="s"),
        "day": Promise(what="a day of 50 instances at 20 requests a second", most=60, unit="s"),
    }),
    "judges": Part(
        title="`homeport bench` beside other load generators, against a server on a clock", command=("judges.py",), minutes=9,
        prepare=(("sh", "scripts/bench_env.sh", ".cache/judges", ".venv-vllm"),), promises={
            "pace": _within("TTFT, TPOT and E2E, to the server's clock: the furthest", 0.03),
            "tokens": _within("output tokens a second, to the server's clock", 0.03),
            "lost": Promise(what="requests that failed", most=0, least=0, unit="%"),
            **{key: promise for name, words in GENERATORS.items() for key, promise in {
                name: _within(f"TTFT, TPOT and E2E, to {words}'s: the furthest", 0.03),
                f"{name}-work": Promise(what=f"processor time per 1,000 requests, to {words}'s", most=0.5),
                f"{name}-lost": Promise(what=f"requests that {words} lost", most=0.02, least=0, unit="%"),
            }.items()},
        },
    ),
    "engine": Part(
        title="What capacity simulates, to one real llama.cpp on one thread", command=("one_engine.py",), minutes=5, promises={
            "latency": _within("TTFT and E2E, p50 and p95, medians of five runs: the furthest", 0.25),
            "tokens": _within("output tokens a second, the median of five runs", 0.25),
        },
    ),
    "steps": Part(
        title="What capacity takes from a bench, to a server with known steps", command=("steps_from_a_bench.py",), minutes=2.5, promises={
            "ttft": _within("median TTFT of traffic of other lengths", 0.1),
            "e2e": _within("mean E2E of the same", 0.1),
        },
    ),
    "closed-forms": Part(title="What capacity simulates, to closed forms", command=("closed_forms.py",), minutes=0.2, promises={
        "wait": _within("mean wait to that of M/M/c, seven queues: the furthest", 0.1),
        "chance": _within("share that waits, less Erlang's: the furthest", 0.01),
        "fixed": _within("mean wait of answers of one length, to Pollaczek and Khinchine's", 0.08),
        "recursion": Promise(what="each request's end, to Kiefer and Wolfowitz's: the furthest", most=1, unit="µs"),
        "little": Promise(what="all time spent there, to Little's law", most=1, unit="in 10⁹"),
        "lost": Promise(what="requests of 2,000 neither answered nor turned away", most=0, least=0, unit=""),
    }),
    "inference-lab": Part(
        title="One engine as capacity simulates it, to inference-lab", command=("inference_lab.py",), minutes=0.2,
        prepare=(("sh", "scripts/inference_lab.sh", ".cache/inference-lab"),), promises={key: promise for rate in RATES for key, promise in {
            f"{rate:g}": _within(f"{rate:g} requests a second: TTFT and E2E, p50 and p95: the furthest", 0.05),
            f"{rate:g}-tokens": _within(f"{rate:g} requests a second: output tokens a second", 0.03),
        }.items()},
    ),
    "replicas": Part(
        title="What capacity simulates, to what paced replicas behind the rehearsed front end give", command=("replicas.py",),
        minutes=20, promises={key: promise for count in REPLICAS for load in LOADS for key, promise in _of_replicas(count, load)},
    ),
}  # fmt: skip
"""In the order in which `make bench` runs them, by the names by which one is chosen."""
