"""What clients send and read beside a deployment: sources of builds, cleanup policies, log buckets."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from cloud import Raw, act, enable
from gcp_rehearsal.apis.cloudbuild.step import Ran, Step
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.runtime.build.steps import Worked
from gcp_rehearsal.schema import in_protobufs_form


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "artifactregistry")
    return cloud


def packed(**files: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def built(cloud: Cloud, tmp_path: Path, source: bytes) -> Ran:
    """What `docker build .` comes to, with this source in a bucket."""
    raw = Raw(cloud)
    place = "storage.googleapis.com"
    act(raw.send("POST", f"{place}/storage/v1/b?project=rehearsal", {"name": "sources-of-builds"}))
    upload = f"{place}/upload/storage/v1/b/sources-of-builds/o?uploadType=media&name=source.tgz"
    assert act(raw.send("POST", upload, content=source, content_type="application/gzip")).status == 200
    step = Step(number=0, id="", image="gcr.io/cloud-builders/docker", args=("build", "-t", "here/app:1", "."),
                build="b", source=("sources-of-builds", "source.tgz"))  # fmt: skip
    ran = Worked(url="", folder=tmp_path).run(cloud, step)
    assert isinstance(ran, Ran)
    return ran


def test_docker_builds_what_was_submitted(cloud: Cloud, tmp_path: Path) -> None:
    dockerfile = 'FROM python:3.12\nCOPY app.py /app.py\nCMD ["python", "/app.py"]\n'
    ran = built(cloud, tmp_path, packed(Dockerfile=dockerfile, **{"app.py": "print('hello')"}))
    assert (ran.code, ran.lines[-1]) == (0, "Successfully tagged here/app:1")
    assert (tmp_path / "b" / "image-0" / "root" / "app.py").read_text() == "print('hello')"


@pytest.mark.parametrize("source", [b"no archive", packed(**{"../outside": "x"})])
def test_a_source_that_cannot_be_unpacked_fails_the_step(cloud: Cloud, tmp_path: Path, source: bytes) -> None:
    ran = built(cloud, tmp_path, source)
    assert (ran.code, "failed to fetch the source" in ran.lines[0]) == (1, True)
    assert not (tmp_path / "b" / "outside").exists()


def test_cleanup_policies_are_taken_in_any_case(cloud: Cloud) -> None:
    raw, place = (
        Raw(cloud),
        "artifactregistry.googleapis.com/v1/projects/rehearsal/locations/us-central1/repositories",
    )
    policy = {
        "old": {"id": "old", "action": "Delete", "condition": {"tagState": "untagged", "olderThan": "86400s"}}
    }
    body = {"format": "DOCKER", "cleanupPolicies": policy}
    assert act(raw.send("POST", f"{place}?repositoryId=images", body)).status == 200
    kept = act(raw.send("GET", f"{place}/images")).body["cleanupPolicies"]["old"]
    assert (kept["action"], kept["condition"]["tagState"]) == ("DELETE", "UNTAGGED")
    assert act(raw.send("POST", f"{place}?repositoryId=other", {**body, "format": "docker"})).status == 400


def test_every_project_has_its_log_buckets(cloud: Cloud) -> None:
    raw, place = Raw(cloud), "logging.googleapis.com/v2/projects/rehearsal/locations/global/buckets"
    names = [one["name"].rpartition("/")[2] for one in act(raw.send("GET", place)).body["buckets"]]
    assert names == ["_Default", "_Required"]
    assert act(raw.send("GET", f"{place}/_Default")).body["retentionDays"] == 30
    assert act(raw.send("GET", f"{place}/none")).status == 404


@given(st.from_regex(r"-?[0-9]{1,11}(\.[0-9]{1,9})?s", fullmatch=True))
def test_a_duration_is_answered_as_protobuf_writes_it(sent: str) -> None:
    judge = Duration()
    judge.FromJsonString(sent)
    assert in_protobufs_form(sent) == judge.ToJsonString()
