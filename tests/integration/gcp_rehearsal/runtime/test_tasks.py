"""A rehearsed Cloud Run job really runs: a process to its end, which writes to buckets where its account may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crypto_keys import disable, make_key
from gcp_rehearsal.apis.storage.objects import content_of, find
from gcp_rehearsal.runtime import mount_namespace
from patience import until
from processes_of import lives
from rehearsed import REGION, Running, image, rehearsing

JOB = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("hello from", os.environ["CLOUD_RUN_JOB"], "K_SERVICE" in os.environ, "PORT" in os.environ, *sys.argv[1:], flush=True)
kept = pathlib.Path("/kept/run")
if kept.is_dir():
    print("found", *sorted(one.name for one in kept.iterdir()), flush=True)
try:
    kept.mkdir(exist_ok=True)
    (kept / "first").write_text("one")
    (kept / "last.part").write_text("two")
    (kept / "last.part").rename(kept / "last")
except OSError as error:
    print("not written", error.errno, flush=True)
    sys.exit(3)
time.sleep(float(os.environ.get("FOR", "0")))
sys.exit(int(os.environ.get("CODE", "0")))
"""
KEY = "projects/rehearsal/locations/us/keyRings/r/cryptoKeys/k"
WRITER = "writer@rehearsal.iam.gserviceaccount.com"


@pytest.fixture
def running() -> Iterator[Running]:
    with rehearsing() as made:
        made.api("POST", "/storage/v1/b?project=rehearsal", {"name": "kept"}, host="storage")
        yield made


def may(running: Running, role: str) -> None:
    policy = {"bindings": [{"role": role, "members": [f"serviceAccount:{WRITER}"]}]}
    made = {"accountId": "writer"}
    running.api("POST", "/v1/projects/rehearsal/serviceAccounts", made, host="iam")
    running.api("PUT", "/storage/v1/b/kept/iam", policy, host="storage")


def begun(
    running: Running, *, timeout: str = "600s", read_only: bool = False, retries: int = 0, **env: str
) -> str:
    """The operation of an execution."""
    reference = image(running.cloud, "job", {"/srv/job.py": JOB}, entrypoint=["python3", "/srv/job.py"])
    container = {
        "image": reference,
        "args": ["--port", "8080", "--at", "http://127.0.0.1:8080"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumeMounts": [{"name": "kept", "mountPath": "/kept"}],
    }
    bucket = {"bucket": "kept", **({"readOnly": True} if read_only else {})}
    task = {
        "containers": [container], "serviceAccount": WRITER, "timeout": timeout, "maxRetries": retries,
        "volumes": [{"name": "kept", "gcs": bucket}],
    }  # fmt: skip
    place = f"/v2/{REGION}/jobs"
    running.api("POST", f"{place}?jobId=once", {"template": {"template": task}})
    return str(running.api("POST", f"{place}/once:run", {})["name"])


def ended(running: Running, name: str) -> Any:  # Any: JSON
    return until(lambda: running.api("GET", f"/v2/{name}"), lambda op: op.get("done"))


def test_a_task_runs_to_its_end_and_what_it_wrote_lies_in_the_bucket(running: Running) -> None:
    may(running, "roles/storage.objectUser")
    operation = ended(running, begun(running))
    assert operation["response"]["succeededCount"] == 1, running.logs()
    said = running.logs()
    (hello,) = [line for line in said if line.startswith("hello from once False False --port")]
    assert "8080" not in hello, "it shares this machine's ports"
    assert said.count("Container called exit(0).") == 1
    for name, text in (("run/first", b"one"), ("run/last", b"two")):
        kept = find(running.cloud, "kept", name)
        assert kept is not None
        assert content_of(kept).read() == text
    assert find(running.cloud, "kept", "run/last.part") is None
    assert running.instances() == []
    again = ended(running, str(running.api("POST", f"/v2/{REGION}/jobs/once:run", {})["name"]))
    assert again["response"]["succeededCount"] == 1
    assert "found first last" in running.logs()


def test_a_code_is_a_failure_and_is_tried_again(running: Running) -> None:
    may(running, "roles/storage.objectUser")
    operation = ended(running, begun(running, CODE="7", retries=1))
    assert "has failed to complete" in operation["error"]["message"]
    assert running.logs().count("Container called exit(7).") == 2


def test_what_a_task_wrote_to_a_bucket_whose_key_was_disabled_meanwhile_ends_it_in_google_s_words(
    running: Running,
) -> None:
    may(running, "roles/storage.objectUser")
    make_key(running.cloud, KEY)
    running.api("PATCH", "/storage/v1/b/kept", {"encryption": {"defaultKmsKeyName": KEY}}, host="storage")
    disable(running.cloud, KEY)
    operation = ended(running, begun(running))
    assert "has failed to complete" in operation["error"]["message"]
    refused = f"Cloud KMS error: {KEY}/cryptoKeyVersions/1 is not enabled, current state is: DISABLED."
    assert f"What was written to the bucket kept could not be kept there: {refused}" in running.logs(), (
        running.logs()
    )
    assert find(running.cloud, "kept", "run/first") is None
    assert running.instances() == []
    bucket = running.api("GET", "/storage/v1/b/kept", host="storage")
    assert bucket["encryption"]["defaultKmsKeyName"] == KEY, "the rehearsal goes on answering"


@pytest.mark.skipif(bool(mount_namespace.works()), reason="without a view of its own it owns the folder")
@pytest.mark.parametrize("how", ["not granted", "mounted read-only"])
def test_who_may_not_write_writes_nothing(running: Running, how: str) -> None:
    granted = how != "not granted"
    may(running, "roles/storage.objectUser" if granted else "roles/storage.objectViewer")
    operation = ended(running, begun(running, read_only=granted))
    assert "error" in operation
    assert any(line.startswith("not written") for line in running.logs())
    assert find(running.cloud, "kept", "run/first") is None


def test_a_task_that_takes_too_long_is_ended_and_so_is_one_that_is_cancelled(running: Running) -> None:
    may(running, "roles/storage.objectUser")
    operation = ended(running, begun(running, timeout="2s", FOR="600"))
    assert "error" in operation
    assert "The configured timeout was reached." in running.logs()
    job = f"/v2/{REGION}/jobs/once"
    second = running.api("POST", f"{job}:run", {"overrides": {"timeout": "900s"}})
    (instance,) = until(running.instances, bool)
    running.api("DELETE", job)
    assert ended(running, str(second["name"]))["error"]["message"] == "Execution was cancelled."
    until(lambda: lives(instance["pid"]), lambda there: not there)
