"""`homeport bench --on cloudrun` on a rehearsed Cloud Run: its price first, a question, and nothing measured without a yes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from commands_on_cloudrun import FILE, OnCloudRun
from gcloud import served
from gcp_rehearsal import credentials
from homeport.bench.price import BESIDE_S
from homeport.catalog import cloudrun
from homeport.cli.rehearse_background import Background
from schemas import ensure_valid
from user import HOMEPORT, Ran, User

SHORT = ("--profile", "users", "--users", "2", "--input", "48", "--output", "8", "--seconds", "4", "--repetitions", "1")  # fmt: skip


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[OnCloudRun]:
    with served(tmp_path, "--inside", "0") as rehearsal:
        found = OnCloudRun(user, rehearsal)
        user.write(f"{FILE}[scaling]\nmax = 2\n")
        yield found


def asked(cloud: OnCloudRun, answer: bytes) -> tuple[int, str]:
    """What whoever sits at a terminal is shown, having given an answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*HOMEPORT, "bench", "--on", "cloudrun", *SHORT],
        cwd=cloud.user.folder, env={**os.environ, **cloud.environment()}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, answer)
    code = process.wait(600)
    os.close(ours)
    return code, " ".join(shown.decode().split())


def rehearsed(cloud: OnCloudRun, *words: str) -> Ran:
    """`homeport rehearse …` of the user, whose home knows the rehearsal as one that was begun from it; nothing of a login is in the environment."""
    port = int(cloud.rehearsal.url.rpartition(":")[2])
    (serving,) = [one for one in psutil.Process().children() if _serves(one)]
    known = Background(pid=serving.pid, created=serving.create_time(), port=port, project="rehearsal")
    cloud.user.home.mkdir(exist_ok=True)
    (cloud.user.home / f"rehearsal-{port}.json").write_text(json.dumps(asdict(known)))
    credentials.keep(cloud.user.home, port, cloud.rehearsal.secret)
    return cloud.user.run("rehearse", "--port", str(port), *words, code=None, timeout=cloud.patience_s)


def _serves(process: psutil.Process) -> bool:
    """Whether a child of the tests is a rehearsal; one that has ended and was not waited for yet is none."""
    try:
        return "serve" in process.cmdline()
    except psutil.NoSuchProcess:  # A zombie's, too.
        return False


def answers(cloud: OnCloudRun) -> int:
    """How many answers the engine has written of in its log."""
    return cloud.run("logs", "--all").out.count("print_timing")


def price_is_right(said: str, hourly: float) -> None:
    """One instance for the seconds, what is beside them and the idle time; twice that where both may start."""
    one = (4 + BESIDE_S + cloudrun.limits().idle_s) / 3600 * hourly
    found = re.search(r"about \$([\d.]+) for one instance at \$([\d.]+) an hour, up to \$([\d.]+) if", said)
    assert found, said
    assert [*map(float, found.groups())] == pytest.approx([one, hourly, 2 * one], abs=0.0051)


@pytest.mark.long
def test_a_bench_on_cloud_run_tells_its_price_and_measures_nothing_without_a_yes(cloud: OnCloudRun) -> None:
    assert "demo is not deployed" in cloud.run("bench", *SHORT, "--yes", code=32).err
    cloud.run("up", "--yes")
    (listed,) = cloud.run("list", "--json").json["endpoints"]
    before = answers(cloud)

    nobody = cloud.run("bench", *SHORT, code=23)
    assert "nobody can be asked here" in nobody.err
    assert "--yes" in nobody.err
    price_is_right(nobody.err, listed["usd_per_hour"])
    for answer in (b"n\n", b"\n", b"\x04"):  # Enter is no yes to money.
        code, shown = asked(cloud, answer)
        assert code == 23
        price_is_right(shown, listed["usd_per_hour"])
    assert answers(cloud) == before
    assert cloud.user.run("bench", "list", "--json").json == []

    measured = rehearsed(cloud, "bench", *SHORT, "--yes", "--json")
    assert "this is a rehearsal: nothing is made on Google Cloud" in measured.err
    assert measured.code in {0, 3}, measured.err  # A busy machine's is no result, and is told.
    price_is_right(measured.err, listed["usd_per_hour"])
    printed = measured.json
    ensure_valid("bench", printed)
    assert (printed["setting"]["on"], printed["setting"]["max_instances"]) == ("cloudrun", 2)
    (level,) = printed["levels"]
    assert level["requests"]["answered"] > 0
    assert level["requests"]["failed"] == {}
    assert answers(cloud) >= before + level["requests"]["answered"]
    (kept,) = cloud.user.run("bench", "list", "--json").json
    assert (kept["endpoint"], kept["on"], kept["rehearsed"]) == ("demo", "cloudrun", True)
    cloud.run("down", "--yes", "--purge")
