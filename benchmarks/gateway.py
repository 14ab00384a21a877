"""
What the gateway of `[guard]`, and that of `[observe]`, costs: time to the first byte and requests a second, through it and directly.

The service behind is that of benchmarks/proxy.py: a loop that answers at once. `only counting` sends every byte on as it is; `without a screen` reads, judges nothing and
writes anew; `local screen` asks the screen for development about prompts and answers, and so holds streams back until its first
window or the end. Envoy with a pass-through processor, the measure of an extension in C++, is not measured here.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from common import free_port, header
from homeport.gateway.settings import GatewaySettings
from proxy import measure, pinned, started

OFF = GatewaySettings(screen="local", prompts=False, answers=False, tool_results=False)
LOCAL = GatewaySettings(screen="local")


def gateway(port: int, to: str, settings: GatewaySettings | None) -> list[str]:
    """Return the command of a gateway on loopback, as `homeport up` begins it before an engine; without settings it only counts."""
    command = [sys.executable, "-P", "-m", "homeport.gateway.process", "--port", f"{port}", "--model", "m"]
    how = ["--settings", settings.line()] if settings else ["--unscreened"]
    return pinned([*command, "--upstream", to, *how])


def main() -> None:
    """Start them, measure, end them."""
    header()
    with ExitStack() as stack:
        service, counting, off, local = (free_port() for _ in range(4))
        proxy = [sys.executable, str(__file__).replace("gateway.py", "proxy.py")]
        ports = {"direct": stack.enter_context(started(service, [*proxy, "service", f"{service}"]))}
        to = f"http://127.0.0.1:{service}"
        ports["only counting"] = stack.enter_context(started(counting, gateway(counting, to, None)))
        ports["without a screen"] = stack.enter_context(started(off, gateway(off, to, OFF)))
        ports["local screen"] = stack.enter_context(started(local, gateway(local, to, LOCAL)))
        measure(ports, ours="without a screen")


if __name__ == "__main__":
    main()
