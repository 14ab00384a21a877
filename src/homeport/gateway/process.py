"""
The gateway's process: `python -m homeport.gateway.process --port P --upstream URL …`, before an engine that runs, or

    … --host H --port P --engine-port N -- COMMAND …

with the engine as its child, which alone knows the port and the key that it listens with: `N` in the command is replaced by
a free port of loopback. Both end together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeport.addresses import LOOPBACK, is_loopback
from homeport.child_environment import inherited
from homeport.free_ports import free_port
from homeport.gateway.settings import METRICS_VARIABLE
from homeport.secret import Secret

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.gateway.app import GatewayApp
    from homeport.gateway.counting import CountingApp
    from homeport.gateway.metrics import GatewayMetrics

_END_S = 5.0
"""As long may the engine take to end when it is asked to."""


@dataclass(slots=True)
class EngineChild:
    """The engine, as a child of this process."""

    process: subprocess.Popen[bytes]
    port: int
    key: Secret | None

    async def ended(self) -> int:
        """Wait until it ends; return its exit code as a shell has it."""
        code = await asyncio.to_thread(self.process.wait)
        return code if code >= 0 else 128 - code

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def begin(command: Sequence[str], placeholder: str, *, keyed: bool, takes: Iterable[str] = ()) -> EngineChild:
    """
    Start the engine on a free port of loopback, with a key of its own where it asks for one.

    Of the environment it gets what every engine takes and what `takes` names, as without a gateway. Raises `OSError`.
    """
    from homeport.door import new_key

    port = free_port(LOOPBACK)
    key = new_key() if keyed else None
    variables = {name: _put(value, placeholder, port) for name, value in inherited(takes).items()}
    process = subprocess.Popen(
        [_put(word, placeholder, port) for word in command], stdin=subprocess.PIPE, env=variables
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin:
        if key is not None:
            process.stdin.write(json.dumps({"api_key": key.reveal()}).encode() + b"\n")
    return EngineChild(process, port, key)


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """Serve until asked to end, or until the engine ends; return the exit code."""
    from homeport.errors import HomeportError

    options, command = _options(arguments)
    key = _key() if options.keyed else None
    child = None
    try:
        takes = options.engine_takes.split(",")
        child = begin(command, options.engine_port, keyed=options.keyed, takes=takes) if command else None
        return asyncio.run(_serve(options, env, key, child))
    except HomeportError as error:
        sys.stderr.write(f"{error}\n   do: {error.hint}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{command[0] if command else 'the gateway'}: {error.strerror or error}\n")
        return 1
    finally:
        if child is not None:
            child.stop()


async def _serve(
    options: argparse.Namespace, env: Mapping[str, str], key: Secret | None, child: EngineChild | None
) -> int:
    from homeport.gateway.metrics import GatewayMetrics, without_metrics
    from homeport.relay.served import served

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    metrics = GatewayMetrics(options.model, callers=options.callers)
    app = await _app(options, env, key, child, metrics)
    front = without_metrics(app) if options.metrics_inside else app
    ended = asyncio.ensure_future(child.ended() if child else asyncio.Event().wait())
    try:
        async with (
            served(front, _listen(options.host, options.port)),
            _serve_metrics(metrics, _metrics_port(options, env)),
        ):
            return int(await ended)
    except asyncio.CancelledError:
        return 0
    finally:
        ended.cancel()
        await app.aclose()


async def _app(
    options: argparse.Namespace,
    env: Mapping[str, str],
    key: Secret | None,
    child: EngineChild | None,
    metrics: GatewayMetrics,
) -> GatewayApp | CountingApp:
    from homeport.gateway import settings as gateway_settings
    from homeport.gateway.app import GatewayApp
    from homeport.gateway.counting import CountingApp
    from homeport.gateway.entrance import Entrance
    from homeport.gateway.screener import Screener
    from homeport.gateway.screens.registry import make
    from homeport.gateway.spans import Spans
    from homeport.gateway.trace_variables import ADDRESS

    upstream = f"http://{LOOPBACK}:{child.port}" if child else options.upstream
    engine = _endpoint(options.model, upstream, child.key if child else None)
    spans = Spans(env, model=options.model, engine=options.engine) if env.get(ADDRESS) else None
    if options.unscreened:
        return CountingApp(engine, metrics, spans)
    settings = gateway_settings.read(options.settings or env.get(gateway_settings.VARIABLE, "{}"))
    screener = Screener(await make(settings, env), settings)
    return GatewayApp(
        engine,
        screener=screener,
        entrance=Entrance(key=key, own_names_only=options.own_names_only),
        metrics=metrics,
        pulse=(options.pulse, options.busy) if options.pulse else None,
        spans=spans,
    )


def _metrics_port(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Return where what was counted is told; 0 for nowhere."""
    return int(env[METRICS_VARIABLE]) if options.metrics_inside else int(options.metrics_port)


def _endpoint(model: str, upstream: str, key: Secret | None) -> Endpoint:
    from homeport.endpoint import Endpoint

    return Endpoint(name="engine", base_url=f"{upstream}/v1", model=model, api_key=key)


@asynccontextmanager
async def _serve_metrics(metrics: GatewayMetrics, port: int) -> AsyncIterator[None]:
    """Serve what was counted at `/metrics` of a port of loopback, where one is named."""
    if not port:
        yield
        return
    from homeport.gateway.metrics import MetricsApp
    from homeport.relay.served import served

    async with served(MetricsApp(metrics), _listen(LOOPBACK, port)):
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows that it is TCP, and sends small pieces at once.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(1024)
    return listening


def _options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="homeport.gateway.process")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--model", default="")
    parser.add_argument("--engine", default="")
    parser.add_argument("--upstream", default="")
    parser.add_argument("--engine-port", default="")
    parser.add_argument("--engine-takes", default="")
    parser.add_argument("--settings", default="")
    parser.add_argument("--metrics-port", type=int, default=0)
    parser.add_argument("--pulse", default="")
    parser.add_argument("--busy", default="")
    parser.add_argument("--keyed", action="store_true")
    parser.add_argument("--any-name", action="store_true")
    parser.add_argument("--unscreened", action="store_true")
    parser.add_argument("--metrics-inside", action="store_true")
    parser.add_argument("--callers", action="store_true")
    options = parser.parse_args(arguments[:split])
    options.own_names_only = is_loopback(options.host) and not options.any_name
    return options, arguments[split + 1 :]


def _key() -> Secret:
    return Secret(str(json.loads(sys.stdin.readline())["api_key"]))


def _put(word: str, placeholder: str, port: int) -> str:
    """Return a word of the command with the port in it, where it is the placeholder or ends in it behind a colon."""
    if not placeholder or not word.endswith(placeholder):
        return word
    before = word.removesuffix(placeholder)
    return f"{before}{port}" if not before or before.endswith(":") else word


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
