"""Starts the engine first, and loads what it takes to watch it afterwards."""

from __future__ import annotations

import json
import os
import sys

from homeport.supervisor.child import begin

# As a type checker sees it; the module `typing` need not be loaded before the engine starts.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

    from homeport.json_types import JsonObject


def main() -> int:
    """Do what the line on standard input says; return when the engine is ended, or given up."""
    line = sys.stdin.readline()
    if not line:
        return 1  # The process that began this one died before it could say what for.
    order: JsonObject = json.loads(line)  # See order.py.
    engine: subprocess.Popen[bytes] | None = None
    reply: JsonObject = {"pid": (order["adopt"] or {}).get("pid")}
    if order["adopt"] is None:
        try:
            engine = begin(order["command"], order["environment"], order["api_key"])
            reply = {"pid": engine.pid}
        except OSError as error:
            reply = {"error": f"{order['command'][0]}: {error.strerror or error}"}
    try:  # noqa: SIM105 - contextlib is not loaded before the engine starts
        os.write(sys.stdout.fileno(), json.dumps(reply).encode() + b"\n")
    except OSError:
        pass  # Nobody waits for it any more: the endpoint goes on, and the next `up` finds it.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if "error" in reply:
        return 1
    from homeport.supervisor.order import Order
    from homeport.supervisor.watch import Watch

    return Watch(Order(**order), engine).run()


if __name__ == "__main__":
    sys.exit(main())
