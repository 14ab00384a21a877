"""
With real vLLM on a rehearsed Cloud Run: a job compiles once, and each start of the service uses what it left.

`make test-vllm` runs this. Both starts compile for a CPU; how much sooner the second is stands in docs/cold-start.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from commands_on_cloudrun import OnCloudRun
from gcloud import served
from gcp_rehearsal.runtime import mount_namespace
from homeport.engines.registry import module
from places import TAUGHT_FOLDER
from user import User

pytestmark = [pytest.mark.vllm, pytest.mark.lasts(120)]

FILE = """
name = "demo"
model = "file:./first"
[engine]
kind = "vllm"
context = 512
parallel = 2
dtype = "float32"
[cloudrun]
project = "rehearsal"
startup_cache = "auto"
"""


class Cached(OnCloudRun):
    """A user whose starts use what an earlier one compiled."""

    patience_s = 1700.0

    def asked(self, api: str, verb: str, path: str, body: Any = None) -> httpx2.Response:  # Any: JSON
        """What the rehearsal answers its owner."""
        headers = {"host": f"{api}.googleapis.com", "authorization": f"Bearer {self.rehearsal.token()}"}
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, verify=False, timeout=60) as client:
            return client.request(verb, path, json=body, headers=headers)

    def log_of(self, kind: str) -> str:
        """The whole log of what is a `cloud_run_job` or a `cloud_run_revision`."""
        body = {
            "resourceNames": ["projects/rehearsal"],
            "filter": f'resource.type="{kind}"',
            "pageSize": 1000,
        }
        lines: list[str] = []
        while True:
            page = self.asked("logging", "POST", "/v2/entries:list", body).json()
            lines += [entry.get("textPayload", "") for entry in page.get("entries", ())]
            if not page.get("nextPageToken"):
                return "\n".join(lines)
            body["pageToken"] = page["nextPageToken"]

    def kernels_kept(self) -> set[str]:
        """The compiled files that lie in the bucket, by the manifest."""
        objects = "/storage/v1/b/rehearsal-demo-caches/o"
        (name,) = (
            one["name"]
            for one in self.asked("storage", "GET", objects).json()["items"]
            if one["name"].endswith("/manifest.json")
        )
        text = self.asked("storage", "GET", f"{objects}/{quote(name, safe='')}?alt=media").text
        return {one["path"] for one in json.loads(text)["files"] if one["path"].endswith(".so")}

    def kernels_there(self) -> set[str]:
        """The compiled files that the running instance has."""
        (instance,) = self.asked("run", "GET", "/rehearsal/v1/instances").json()["instances"]
        folder = Path(f"/proc/{instance['pid']}/root/homeport-kept/startup")
        return {one.relative_to(folder).as_posix() for one in folder.rglob("*.so")}


@pytest.fixture
def cloud(user: User, tmp_path: Path, rehearsed_vllm: None) -> Iterator[Cached]:
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = Cached(user, rehearsal)
        shutil.copytree(TAUGHT_FOLDER, user.folder / "first")
        user.write(FILE)
        yield made


def test_a_job_compiles_once_and_the_service_starts_with_what_it_left(
    cloud: Cached, record_property: Callable[[str, object], None]
) -> None:
    planned = cloud.run("plan", "--json").json
    assert planned["facts"]["startup_cache"]["state"] == "to be made"
    came = cloud.run("up", "--yes", "--json").json
    assert came["report"]["passed"], came["report"]

    kept = cloud.kernels_kept()
    assert len(kept) > 5
    if mount_namespace.works() == "":
        assert cloud.kernels_there() == kept, "nothing is compiled a second time"
    made, used = cloud.log_of("cloud_run_job"), cloud.log_of("cloud_run_revision")
    (line,) = [line for line in used.splitlines() if line.startswith("homeport: startup cache: ")]
    assert "checked and in place after" in line, line
    record_property("restored", line)
    for what, log in (("made", made), ("used", used)):
        record_property(what, module("vllm").start_times(log))
    assert cloud.status["startup_cache"].startswith("sha256:")

    after = cloud.run("plan", "--json").json
    assert after["changes_pending"] is False
    assert after["facts"]["startup_cache"]["state"] == "there"
    gone = cloud.run("down", "--yes").out
    assert "bucket of startup caches" in gone
