"""An engine's process as it is begun."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping


def begin(command: list[str], environment: Mapping[str, str], api_key: str | None) -> subprocess.Popen[bytes]:
    """Start the engine in a session of its own, with its output where ours goes; the key goes to its standard input."""
    engine = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno(),
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    assert engine.stdin is not None
    try:
        if api_key is not None:
            engine.stdin.write(json.dumps({"api_key": api_key}).encode() + b"\n")
        engine.stdin.close()
    except BrokenPipeError:
        pass  # It ended at once; the caller that waits for it will see why.
    return engine
