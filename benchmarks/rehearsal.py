"""How fast the rehearsal answers and starts."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import httpx2

from common import HOMEPORT, as_installed
from gcp_rehearsal import credentials
from gcp_rehearsal.call import Request
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.testing import Rehearsed
from reaped import reaped
from scoreboard import board

ROUNDS, REQUESTS = 5, 1500
SECRET = credentials.new_secret()
CALLER = {
    "authorization": f"Bearer {credentials.token(SECRET, OWNER)}",
    "content-type": "application/json",
}
SECRETS = "/v1/projects/rehearsal/secrets"


def main() -> None:
    """Ask it, and start it."""
    cloud = Cloud(delays=AT_ONCE, secret=SECRET)
    cloud.enabled["rehearsal", "secretmanager.googleapis.com"] = 0
    with board("rehearsal") as told:
        told.measured("requests", statistics.median(asyncio.run(_bare(cloud))))
        told.measured("client", statistics.median(asyncio.run(_through_the_client(cloud))))
        told.measured("start", statistics.median(_start() for _ in range(ROUNDS)))


async def _bare(cloud: Cloud) -> list[float]:
    """Seconds for 1,500 requests given to the cloud itself."""
    taken = []
    for turn in range(ROUNDS):
        begun = time.perf_counter()
        for number in range(REQUESTS // 3):
            for verb, path, query, body in _three(turn, number):
                reply = await cloud.handle(Request(verb=verb, host="secretmanager.googleapis.com", path=path,
                                                   query=query, headers=CALLER, body=body))  # fmt: skip
                assert reply.status == 200
        taken.append(time.perf_counter() - begun)
        _forget(cloud)
    return taken


async def _through_the_client(cloud: Cloud) -> list[float]:
    """Seconds for the same, sent by httpx2 without a socket."""
    taken = []
    async with httpx2.AsyncClient(transport=Rehearsed(cloud), headers=CALLER) as client:
        for turn in range(ROUNDS):
            begun = time.perf_counter()
            for number in range(REQUESTS // 3):
                for verb, path, query, body in _three(turn, number):
                    url = f"https://secretmanager.googleapis.com{path}?{query}"
                    assert (await client.request(verb, url, content=body)).is_success
            taken.append(time.perf_counter() - begun)
            _forget(cloud)
    return taken


def _three(turn: int, number: int) -> list[tuple[str, str, str, bytes]]:
    """Do a write, a read of what it made, and a read of what there is not much of."""
    body = json.dumps({"replication": {"automatic": {}}, "labels": {"homeport": "home"}}).encode()
    name = f"s{turn}-{number}"
    return [
        ("POST", SECRETS, f"secretId={name}", body),
        ("GET", f"{SECRETS}/{name}", "", b""),
        ("GET", f"{SECRETS}/{name}", "", b""),
    ]


def _forget(cloud: Cloud) -> None:
    for kept in cloud.store.of("secretmanager"):
        cloud.forget(kept)


def _start() -> float:
    """Seconds from the command to an answer, Python's own start included."""
    begun = time.perf_counter()
    command = [*HOMEPORT, "rehearse", "serve", "--port", "0"]
    with tempfile.TemporaryDirectory() as home:
        env = {**as_installed(), "HOMEPORT_HOME": home}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
        return _answered(process, Path(home), begun)


def _answered(process: subprocess.Popen[str], home: Path, begun: float) -> float:
    try:
        assert process.stderr is not None
        found = re.search(r"http://\S+:\d+", process.stderr.readline())
        assert found
        secret = credentials.read(home, int(found[0].rpartition(":")[2]))
        headers = {"authorization": f"Bearer {credentials.token(secret, OWNER)}"}
        answer = httpx2.get(f"{found[0]}/storage/v1/b?project=rehearsal", headers=headers, trust_env=False)
        assert answer.status_code == 200
        return time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    reaped()
    main()
