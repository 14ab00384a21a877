"""
What the gateway of `[guard]` costs: time to the first byte and requests a second, through it, through its rival and directly.

The service behind is that of benchmarks/proxy.py: a loop that answers at once. `only counting`, the gateway of `[observe]`, sends every
byte on as it is; `without a screen` reads, judges nothing and
writes anew; `local screen` asks the screen for development about prompts and answers, and so holds streams back until its first
window or the end. The rival is an Envoy that asks a processor which lets all pass (benchmarks/ext_proc.py); both are on one core. A
processor in another language would be faster than this one in Python: `plain Envoy`, without any, is the least that it could be.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from common import free_port
from ext_proc import envoy_with_processor
from homeport.gateway.settings import GatewaySettings
from proxy import InTheWay, envoy, envoy_config, measure, pinned, started, stay_apart
from reaped import reaped
from scoreboard import board

OFF = GatewaySettings(screen="local", prompts=False, answers=False, tool_results=False)
LOCAL = GatewaySettings(screen="local")


def gateway(port: int, to: str, settings: GatewaySettings | None) -> list[str]:
    """Return the command of a gateway on loopback, as `homeport up` begins it before an engine; without settings it only counts."""
    command = [sys.executable, "-P", "-m", "homeport.gateway.process", "--port", f"{port}", "--model", "m"]
    how = ["--settings", settings.line()] if settings else ["--unscreened"]
    return pinned([*command, "--upstream", to, *how])


def main() -> None:
    """Start them, measure, end them."""
    with board("gateway") as told, ExitStack() as stack:
        stay_apart()
        service, counting, off, local, plain, asking, processor = (free_port() for _ in range(7))
        here = Path(__file__).parent
        begun = [sys.executable, str(here / "proxy.py"), "service", f"{service}"]
        ways = {"direct": stack.enter_context(started(service, begun))}
        to = f"http://127.0.0.1:{service}"
        ways["only counting"] = stack.enter_context(started(counting, gateway(counting, to, None)))
        ways["without a screen"] = stack.enter_context(started(off, gateway(off, to, OFF)))
        ways["local screen"] = stack.enter_context(started(local, gateway(local, to, LOCAL)))
        process = pinned([sys.executable, str(here / "ext_proc.py"), f"{processor}"])
        judge = stack.enter_context(started(processor, process))
        if (
            one := stack.enter_context(envoy(asking, envoy_with_processor(asking, service, processor)))
        ) is not None:
            ways["Envoy that asks"] = InTheWay(one.port, (*one.pids, *judge.pids))
        if (one := stack.enter_context(envoy(plain, envoy_config(plain, service)))) is not None:
            ways["plain Envoy"] = one
        measure(told, ways, ours="without a screen", rival="Envoy that asks")


if __name__ == "__main__":
    reaped()
    main()
