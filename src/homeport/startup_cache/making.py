"""
Makes an engine's startup cache: a script of the standard library alone, for the engine's container.

It starts the engine, waits until it answers, asks it once, ends it, and then becomes the script that keeps what the
engine left in its folders. Where any of that fails nothing is kept.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from types import FrameType

SAYS = "homeport: no startup cache: "
"""How the line begins in which it says why it gives up."""
LOOKS_EVERY_S = 1.0
_ANSWERS_WITHIN_S = 300.0
_ENDS_WITHIN_S = 60.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The engine is in this container: no proxy stands between."""


class NothingToKeep(Exception):
    """Why no cache can be made, in words that end a line of a log."""


def main(arguments: Sequence[str]) -> None:
    """Run the engine behind `--` until it has answered, and keep what it left."""
    parser = argparse.ArgumentParser(prog="homeport-make-startup-cache")
    parser.add_argument("--url", required=True, help="where the engine listens")
    parser.add_argument("--health", required=True, help="the path that it answers once it can serve")
    parser.add_argument("--ask", required=True, help="the path of one question")
    parser.add_argument("--body", required=True, help="the question, as JSON")
    parser.add_argument("--within", type=float, required=True, help="seconds until it must answer")
    parser.add_argument(
        "--keep", required=True, help="the script that keeps, with its own arguments until --"
    )
    parser.add_argument("--kept-by", action="append", default=[], help="an argument of that script")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    engine = subprocess.Popen(options.command)

    def cut_short(number: int, _: FrameType | None) -> None:
        engine.terminate()
        os._exit(128 + number)  # Nothing is kept of such a start.

    signal.signal(signal.SIGTERM, cut_short)
    try:
        _wait_until_it_serves(engine, f"{options.url}{options.health}", options.within)
        _ask(f"{options.url}{options.ask}", options.body.encode())
    except NothingToKeep as why:
        _say(f"{why}")
        _end(engine)
        sys.exit(1)
    if not _end(engine):
        _say("the engine did not end when it was asked to, and may have been writing")
        sys.exit(1)
    os.execv(sys.executable, [sys.executable, options.keep, *options.kept_by])  # noqa: S606 - it takes this process's place


def _wait_until_it_serves(engine: subprocess.Popen[bytes], url: str, within_s: float) -> None:
    until = time.monotonic() + within_s
    while not _answers(url):
        try:
            code = engine.wait(LOOKS_EVERY_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() < until:
                continue
            raise NothingToKeep(f"the engine does not answer within {within_s:g} s") from None
        raise NothingToKeep(f"the engine ended with {code}")


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _ask(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})  # noqa: S310 - of this container
    try:
        with _DIRECT.open(request, timeout=_ANSWERS_WITHIN_S) as response:
            response.read()
    except urllib.error.HTTPError as refused:
        raise NothingToKeep(f"the engine refused a question with {refused.code}") from refused
    except OSError as error:
        raise NothingToKeep(f"the engine did not answer a question: {error}") from error


def _end(engine: subprocess.Popen[bytes]) -> bool:
    """Ask the engine to end, and say whether it did; else it is ended without asking."""
    engine.terminate()
    try:
        engine.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
        return False
    return True


def _say(line: str) -> None:
    sys.stderr.write(f"{SAYS}{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
