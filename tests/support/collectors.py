"""A real collector of OpenTelemetry's: rotel, which `make test-observe` has fetched. It tells what spans it was given."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from homeport.free_ports import free_port
from places import ROOT

_LONGEST_S = 180.0
_LINE = re.compile(r"^ *(Trace ID|Parent ID|ID|Name|Kind|Status code) *: ?(.*)$")
_ATTRIBUTE = re.compile(r"^ *-> ([\w.]+): (\w+)\((.*)\)$")


@dataclass
class ReceivedSpan:
    """One span as the collector read it."""

    fields: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    resource: dict[str, str] = field(default_factory=dict)


@dataclass
class Collector:
    """One that runs."""

    address: str
    told: Path

    def spans(self) -> list[ReceivedSpan]:
        found: list[ReceivedSpan] = []
        resource: dict[str, str] = {}
        into: dict[str, str] = {}
        for line in self.told.read_text(errors="replace").splitlines():
            if line.startswith("Resource attributes"):
                resource = into = {}
            elif line.startswith("Span #"):
                found.append(ReceivedSpan(resource=resource))
                into = found[-1].attributes
            elif (named := _LINE.match(line)) and found:
                found[-1].fields[named[1]] = named[2]
            elif attribute := _ATTRIBUTE.match(line):
                into[attribute[1]] = attribute[3]
        return found

    def until(self, count: int) -> list[ReceivedSpan]:
        """The spans, once there are so many, and the last of them is told to its end."""
        end, told = time.monotonic() + _LONGEST_S, -1
        while len(found := self.spans()) < count or told != self.told.stat().st_size:
            assert time.monotonic() < end, self.told.read_text(errors="replace")
            told = self.told.stat().st_size
            time.sleep(0.3)
        return found


def program() -> str:
    """The path of rotel's agent."""
    found = next(iter((ROOT / ".cache" / "rotel").glob("lib/python3*/site-packages/rotel/rotel-agent")), None)
    assert found, "make test-observe fetches it"
    found.chmod(0o755)
    return str(found)


@contextmanager
def collecting(folder: Path) -> Iterator[Collector]:
    http, grpc, told = free_port("127.0.0.1"), free_port("127.0.0.1"), folder / "collected"
    command = [
        program(),
        "start",
        "--exporter",
        "blackhole",
        "--debug-log",
        "traces",
        "--debug-log-verbosity",
        "detailed",
    ]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]
    with told.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--batch-timeout", "100ms"], stdout=output, stderr=subprocess.STDOUT, cwd=folder
        )
        try:
            _wait(f"http://127.0.0.1:{http}/")
            yield Collector(f"http://127.0.0.1:{http}", told)
        finally:
            process.kill()
            process.wait()


def _wait(url: str) -> None:
    end = time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        try:
            httpx2.get(url, trust_env=False, verify=False)
        except httpx2.RequestError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no collector at {url}")
