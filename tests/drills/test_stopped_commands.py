"""
Real commands that are killed, or stopped by Ctrl-C, again and again: the next one goes on from there, and at the end nothing is left.

With CHAOS=all for graphs behind Identity-Aware Proxy, in two regions, with one of Google's roads and with a key of one's own, each in every way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from behind_edges import EDGE
from commands_on_cloudrun import FILE
from crypto_keys import make_key
from edges import write_certificate
from interrupting import How, StoppedCommands, interrupting
from through_iap import DEPLOYER, GUARDED, PROGRAM
from user import User

FIRST, SECOND = "europe-west4", "us-central1"
KEY = f"projects/vault/locations/{FIRST}/keyRings/ring/cryptoKeys/own"
REGIONS = EDGE.replace("[edge]", f'[cloudrun]\nregion = "{FIRST}"\n[edge]') + f'regions = ["{SECOND}"]\n'
ROAD = """
[guard]
where = "traffic-extension"
unscreened = ["streams", "apis", "choices", "texts", "media", "long", "names"]
"""
REGIONAL = EDGE.replace("[edge]\n", '[edge]\nkind = "regional"\n').replace("requests_per_minute = 600\n", "")
FILES = {
    "proxy": GUARDED.replace(PROGRAM, DEPLOYER) + EDGE,
    "regions": FILE + REGIONS,
    "road": FILE + REGIONAL + ROAD,
    "key": FILE.replace("[access]\n", f'[access]\nencryption_key = "{KEY}"\n'),
}
ALL = os.environ.get("CHAOS") == "all"
HOWS: tuple[How, ...] = ("killed", "ctrl-c", "ctrl-c twice")
CASES = [(graph, how) for graph in FILES for how in HOWS] if ALL else [("key", "killed")]
EVERY = 12 if ALL else 10


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[StoppedCommands]:
    write_certificate(user.folder)
    with interrupting(tmp_path) as (there, served):
        made = StoppedCommands(user, served)
        made.cloud = there
        yield made


def begin(cloud: StoppedCommands, graph: str) -> set[str]:
    """What is there before the first command, when all is there that the file takes for granted."""
    make_key(cloud.cloud, KEY)
    if graph == "proxy":
        cloud.has_accounts()
        cloud.account = DEPLOYER
    cloud.user.write(FILES[graph])
    return cloud.cloud.there()


@pytest.mark.drill
@pytest.mark.lasts(60)
@pytest.mark.parametrize(("graph", "how"), CASES)
def test_what_was_stopped_goes_on_and_nothing_is_left(cloud: StoppedCommands, graph: str, how: How) -> None:
    before = begin(cloud, graph)
    cloud.insists(how, "up", "--yes", every=EVERY)
    cloud.run("plan", "--detailed-exitcode", code=0)
    cloud.insists(how, "swap", "file:./second.gguf", "--yes", every=3 if ALL else 2)
    cloud.run("plan", "--detailed-exitcode", code=0)
    assert cloud.status["model"] == "second"
    if graph == "road":
        cloud.run("rollback", code=21)  # The extension names the model that serves, and no other.
    elif cloud.stopped(how, "rollback", nth=1) and cloud.status["model"] != "first":
        cloud.run("rollback")
    assert cloud.status["model"] == ("second" if graph == "road" else "first")
    cloud.insists(how, "down", "--yes", "--purge", every=EVERY)
    assert cloud.cloud.there() - before == set()


@pytest.mark.drill
@pytest.mark.lasts(20)
@pytest.mark.parametrize("graph", FILES if ALL else ["key"])
def test_two_who_bring_it_up_at_once_have_one_and_nothing_twice(cloud: StoppedCommands, graph: str) -> None:
    before = begin(cloud, graph)
    both = [cloud.user.begin("up", "--yes", "--on", "cloudrun", **cloud.environment()) for _ in range(2)]
    said = [process.communicate(timeout=cloud.patience_s) for process in both]
    assert "Traceback" not in str(said), said
    if any(process.returncode for process in both):
        cloud.run("up", "--yes")
    cloud.run("plan", "--detailed-exitcode", code=0)
    assert cloud.status["model"] == "first"
    cloud.run("down", "--yes", "--purge")
    assert cloud.cloud.there() - before == set()
