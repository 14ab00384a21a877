"""A rehearsed Cloud Run really serves: real processes, behind a front end as Cloud Run's."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cloud import enable
from gcp_rehearsal.apis.iam.tokens import id_token, verify_id_token
from gcp_rehearsal.apis.storage.objects import content_of, find
from gcp_rehearsal.cloud import OWNER, Cloud
from gcp_rehearsal.runtime import fuse, mount_namespace
from patience import until
from places import ROOT
from processes_of import lives
from rehearsed import REGION, SMALL_SERVER, Running, image, rehearsing

GGUF = ROOT / "tests" / "models" / "gemma-4-taught.gguf"
STRANGER = "stranger@example.com"


@pytest.fixture
def running() -> Iterator[Running]:
    with rehearsing() as made:
        yield made


@pytest.fixture
def small(running: Running) -> str:
    return image(
        running.cloud, "small", {"/srv/app.py": SMALL_SERVER}, entrypoint=["python3", "/srv/app.py"], cmd=["--weights=/srv/none"],
        env={"FROM_IMAGE": "yes", "WHERE": "/srv/app.py"},
    )  # fmt: skip


def test_a_service_runs_its_very_command_and_environment(running: Running, small: str) -> None:
    said = _said_by_a_service(running, small)
    here = "/srv/app.py" if mount_namespace.works() == "" else "/root/srv/app.py"
    assert said["argv"] == ["--file", said["env"]["WHERE"]]
    assert said["argv"][1].endswith(here)


def test_without_a_view_of_its_own_a_process_is_told_where_its_files_are(
    running: Running, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mount_namespace, "works", lambda: "it may not")
    said = _said_by_a_service(running, small)
    assert said["argv"][1].endswith("/root/srv/app.py")
    (instance,) = running.instances()
    assert {"path", "PORT", "WHERE"} <= {row["what"] for row in instance["changes"]}
    assert "it may not" in instance["files"]


def _said_by_a_service(running: Running, small: str) -> Any:  # Any: JSON
    container = {"args": ["--file", "/srv/app.py"], "env": [{"name": "OWN", "value": '{"a": 1}'}]}
    assert "response" in running.deploy(small, container=container)
    said = running.call("/").json()
    assert (said["env"]["OWN"], said["env"]["FROM_IMAGE"], said["env"]["K_SERVICE"]) == (
        '{"a": 1}',
        "yes",
        "home",
    )
    assert said["headers"]["authorization"].endswith(".SIGNATURE_REMOVED_BY_GOOGLE")
    (instance,) = running.instances()
    assert instance["pid"] == said["pid"]
    assert any(line.startswith("hello from home-00001") for line in running.logs())
    return said


def test_an_image_without_files_and_volumes_runs_as_well(running: Running) -> None:
    reference = image(running.cloud, "bare", {}, entrypoint=["python3", "-c", SMALL_SERVER])
    assert "response" in running.deploy(reference)
    assert running.call("/").status_code == 200


def test_a_trace_begins_at_the_front_and_is_the_clients_where_it_has_one(
    running: Running, small: str
) -> None:
    running.deploy(small)
    assert re.fullmatch(
        r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", running.call("/").json()["headers"]["traceparent"]
    )
    own = f"00-{'a' * 32}-{'b' * 16}-01"
    assert running.call("/", headers={"traceparent": own}).json()["headers"]["traceparent"] == own


def test_nobody_gets_403_a_bad_token_401_and_a_stranger_403(running: Running, small: str) -> None:
    running.deploy(small)
    came = running.call("/", who="")
    assert came.status_code == 403
    assert "Your client does not have permission" in came.text
    bad = running.call("/", who="", headers={"authorization": "Bearer made.up.token"})
    assert (bad.status_code, "invalid_token" in bad.headers["www-authenticate"]) == (401, True)
    assert running.call("/", who=STRANGER).status_code == 403
    assert running.call("/").status_code == 200
    assert running.call("/", host="other.a.run.app").status_code == 404


def test_whoever_was_let_in_may_call(running: Running, small: str) -> None:
    running.deploy(small)
    for member, who in ((f"user:{STRANGER}", STRANGER), ("allUsers", "")):
        policy = {"policy": {"bindings": [{"role": "roles/run.invoker", "members": [member]}]}}
        running.api("POST", f"/v2/{REGION}/services/home:setIamPolicy", policy)
        assert running.call("/", who=who).status_code == 200


def test_it_scales_to_zero_and_back(running: Running, small: str) -> None:
    running.deploy(small)
    first = running.call("/").json()["pid"]
    until(running.logs, bool)
    running.cloud.clock.jump(901)
    until(running.instances, lambda found: not found)
    until(lambda: lives(first), lambda there: not there)
    assert running.call("/").json()["pid"] != first


@pytest.mark.long
def test_an_instance_finds_nothing_that_an_earlier_one_left(running: Running, small: str) -> None:
    """As in the cloud: a compiler that keeps its work among passing files compiles anew after each start from zero."""
    running.deploy(small)
    places = []
    for _ in range(2):
        env = running.call("/").json()["env"]
        places.append([Path(env["HOME"]), Path(env["TMPDIR"])])
        for folder in places[-1]:
            assert list(folder.iterdir()) == []
            (folder / "left").touch()
        running.cloud.clock.jump(901)
        until(running.instances, lambda found: not found)
    assert not set(places[0]) & set(places[1])
    until(lambda: [one for one in places[0] if one.exists()], lambda left: not left)


def test_more_requests_start_more_instances_up_to_the_most(
    running: Running, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcp_rehearsal.runtime.request_queue._SHORTEST_S", 120.0)
    running.deploy(small, maxInstanceRequestConcurrency=1, scaling={"maxInstanceCount": 2})
    over = tmp_path / "over"
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(running.call, f"/until={over}") for _ in range(6)]
        until(lambda: list(tmp_path.glob("over.*")), lambda began: len(began) == 2)
        over.touch()
        came = [one.result() for one in asked]
    assert {one.status_code for one in came} == {200}
    assert len({one.json()["pid"] for one in came}) == 2


def test_with_nothing_free_in_time_a_request_gets_429(
    running: Running, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcp_rehearsal.runtime.request_queue._SHORTEST_S", 0.2)
    monkeypatch.setattr("gcp_rehearsal.runtime.request_queue._STARTUPS", 0.0)
    running.deploy(small, maxInstanceRequestConcurrency=1, scaling={"maxInstanceCount": 1})
    over = tmp_path / "over"
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(running.call, f"/until={over}") for _ in range(3)]
        refused = list(islice(as_completed(asked), 2))  # The third is answered for as long as it takes.
        over.touch()
    assert [one.result().status_code for one in refused] == [429, 429]
    assert Counter(one.result().status_code for one in asked) == {200: 1, 429: 2}


def test_a_large_body_gets_413_and_a_slow_answer_504(running: Running, small: str) -> None:
    running.deploy(small, timeout="1s")
    assert running.call("/", verb="POST", content=b"x" * (32 * 2**20 + 1)).status_code == 413
    assert running.call("/slow?s=3").status_code == 504


def test_traffic_is_split_and_a_tag_reaches_a_revision_without_any(running: Running, small: str) -> None:
    running.deploy(small, revision="home-one")
    both: list[dict[str, object]] = [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "home-one", "percent": 100},
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "home-two", "tag": "next"},
    ]
    running.deploy(small, change=True, revision="home-two", traffic=both)
    service = running.service()
    tagged = next(one["uri"] for one in service["trafficStatuses"] if one.get("tag")).removeprefix("https://")
    assert running.call("/", host=tagged).json()["env"]["K_REVISION"] == "home-two"
    assert {running.call("/").json()["env"]["K_REVISION"] for _ in range(10)} == {"home-one"}
    both[0]["percent"] = both[1]["percent"] = 50
    running.deploy(small, change=True, revision="home-two", traffic=both)
    assert {running.call("/").json()["env"]["K_REVISION"] for _ in range(40)} == {"home-one", "home-two"}


def test_a_process_that_dies_fails_the_revision_and_its_last_words_are_in_the_logs(
    running: Running, small: str
) -> None:
    op = running.deploy(small, container={"env": [{"name": "DIE", "value": "1"}]})
    assert "failed to start and listen on the port" in op["error"]["message"]
    assert {"the weights are not there", "Container called exit(1)."} <= set(running.logs())
    assert running.instances() == []


def test_a_secret_reaches_the_process_and_no_report(running: Running, small: str) -> None:
    running.api(
        "POST",
        "/v1/projects/rehearsal/secrets?secretId=key",
        {"replication": {"automatic": {}}},
        "secretmanager",
    )
    running.api(
        "POST",
        "/v1/projects/rehearsal/secrets/key:addVersion",
        {"payload": {"data": "aHVzaA=="}},
        "secretmanager",
    )
    source = {"secretKeyRef": {"secret": "key", "version": "1"}}
    account = running.cloud.projects[0].number + "-compute@developer.gserviceaccount.com"
    policy = {
        "bindings": [{"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{account}"]}]
    }
    running.api(
        "POST", "/v1/projects/rehearsal/secrets/key:setIamPolicy", {"policy": policy}, "secretmanager"
    )
    op = running.deploy(small, container={"env": [{"name": "KEY", "valueSource": source}]})
    assert "response" in op, op
    assert running.call("/").json()["env"]["KEY"] == "hush"
    assert "hush" not in str(running.instances())


def test_llama_cpp_stands_in_for_ollama_and_answers(running: Running) -> None:
    reference = image(
        running.cloud, "ollama", {"/models/model.gguf": GGUF}, base="ollama/ollama:1", entrypoint=["/bin/ollama"], cmd=["serve"],
        env={"OLLAMA_HOST": "0.0.0.0:8080", "OLLAMA_CONTEXT_LENGTH": "512", "OLLAMA_NUM_PARALLEL": "2"},
        labels={"homeport.model": "taught", "homeport.gguf": "/models/model.gguf"},
    )  # fmt: skip
    assert "response" in running.deploy(reference)
    asked = {"model": "taught", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    came = running.call("/v1/chat/completions", verb="POST", json=asked)
    assert (came.status_code, came.json()["usage"]["completion_tokens"] > 0) == (200, True)
    streamed = running.call("/v1/chat/completions", verb="POST", json={**asked, "stream": True})
    assert streamed.text.rstrip().endswith("data: [DONE]")
    assert "llama.cpp" in running.instances()[0]["standIn"]


def test_an_image_that_is_not_here_is_pretended_and_says_so(running: Running) -> None:
    running.deploy("example.com/elsewhere")
    came = running.call("/")
    assert (came.status_code, "not run here" in came.text) == (503, True)


def test_a_bucket_is_mounted_read_only(running: Running, small: str) -> None:
    instance, said = _with_a_bucket(running, small)
    assert said["text"] == "1"
    if fuse.works() == "":
        assert instance["buckets"].startswith("mounted through FUSE")
    if mount_namespace.works() == fuse.works() == "":
        assert (said["refused"], "written" in said) == ("Read-only file system", False)


def test_without_fuse_a_bucket_is_a_copy_and_its_own_bytes_are_safe(
    running: Running, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuse, "works", lambda _: "it may not")
    monkeypatch.setattr(mount_namespace, "works", lambda: "it may not")
    instance, said = _with_a_bucket(running, small)
    assert said["text"] == "1"
    assert instance["buckets"].endswith("it may not")
    kept = find(running.cloud, "weights", "m/one.txt")
    assert kept is not None
    assert content_of(kept).read() == b"1"


def test_a_bucket_that_cannot_be_mounted_fails_the_revision(
    running: Running, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuse, "works", lambda _: "")
    monkeypatch.setattr(fuse, "rclone", lambda _: shutil.which("false"))
    op = _deploy_with_a_bucket(running, small)
    assert "mounting volume 'w' of type Cloud Storage failed: nothing was mounted" in op["error"]["message"]
    assert running.instances() == []


def _with_a_bucket(running: Running, small: str) -> tuple[Any, Any]:  # Any: JSON
    """What the rehearsal says of the instance, and what its process can do with a file of the bucket."""
    op = _deploy_with_a_bucket(running, small)
    assert "response" in op, op
    there = running.call("/").json()["argv"][0]
    (instance,) = running.instances()
    return instance, running.call(f"/file={there}").json()


def _deploy_with_a_bucket(running: Running, small: str) -> Any:  # Any: JSON
    running.api(
        "POST", "/storage/v1/b?project=rehearsal", {"name": "weights", "location": "us-central1"}, "storage"
    )
    headers = {"host": "storage.googleapis.com", "authorization": f"Bearer {running.cloud.token(OWNER)}"}
    put = running.client.post(
        "/upload/storage/v1/b/weights/o?uploadType=media&name=m/one.txt", content=b"1", headers=headers
    )
    assert put.status_code == 200
    account = running.cloud.projects[0].number + "-compute@developer.gserviceaccount.com"
    policy = {"bindings": [{"role": "roles/storage.objectViewer", "members": [f"serviceAccount:{account}"]}]}
    running.api("PUT", "/storage/v1/b/weights/iam", policy, "storage")
    return running.deploy(
        small, volumes=[{"name": "w", "gcs": {"bucket": "weights", "readOnly": True, "mountOptions": ["only-dir=m"]}}],
        container={"args": ["/mnt/w/one.txt"], "volumeMounts": [{"name": "w", "mountPath": "/mnt/w"}]},
    )  # fmt: skip


def test_an_instance_has_a_metadata_server_and_reads_its_buckets_as_its_own_account(
    running: Running, small: str
) -> None:
    _deploy_with_a_bucket(running, small)
    number = running.cloud.containers._address(1)  # type: ignore[attr-defined]
    own = f"/rehearsal/v1/instances/{number}"
    account = running.cloud.projects[0].number + "-compute@developer.gserviceaccount.com"
    about = running.client.get(f"{own}/computeMetadata/v1/instance/service-accounts/default/?recursive=true")
    token = running.client.get(f"{own}/computeMetadata/v1/instance/service-accounts/default/token").json()
    assert (about.json()["email"], token["access_token"]) == (account, running.cloud.token(account))
    identity = f"{own}/computeMetadata/v1/instance/service-accounts/default/identity"
    claims = verify_id_token(running.cloud, running.client.get(f"{identity}?audience=https://x.example").text)
    assert (claims["email"], claims["aud"]) == (account, "https://x.example")
    assert running.client.get(identity).status_code == 400
    assert running.client.get(f"{own}/storage/v1/b/weights/o/m%2Fone.txt?alt=media").text == "1"
    refused = running.client.get(f"{own}/storage/v1/b/weights")
    assert (refused.status_code, "storage.buckets.get" in refused.text) == (403, True)
    assert running.client.get("/rehearsal/v1/instances/2/storage/v1/b/weights").status_code == 404


_ASKS = """
import http.server, os, urllib.error, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urllib.request.Request(os.environ["HOMEPORT_GOOGLE_URL"], headers={"host": self.headers["x-asks"]})
        try:
            status = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked).status
        except urllib.error.HTTPError as error:
            status = error.code
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.parametrize(
    ("egress", "status"), [("ALL_TRAFFIC", 403), ("PRIVATE_RANGES_ONLY", 404), ("", 404)]
)
def test_what_an_instance_sends_through_a_network_comes_from_within_and_nothing_else_does(
    running: Running, small: str, egress: str, status: int
) -> None:
    """A closed service answers it: with 403, since no token is sent; to whom it does not see, with 404."""
    running.deploy(small)
    closed = {"ingress": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"}
    begun = running.api("PATCH", f"/v2/{REGION}/services/home?updateMask=ingress", closed)
    until(lambda: running.api("GET", f"/v2/{begun['name']}"), lambda operation: operation.get("done"))
    assert running.call("/").status_code == 404
    base = {"base": "docker.io/library/python:3.12-slim", "entrypoint": ["python3", "-c", _ASKS]}
    enable(running.cloud, "compute")
    network = {"name": "office", "autoCreateSubnetworks": True}
    running.api("POST", "/compute/v1/projects/rehearsal/global/networks", network, host="compute")
    through = {"egress": egress, "networkInterfaces": [{"network": "office"}]}
    more: dict[str, Any] = {"vpcAccess": through} if egress else {}  # Any: JSON
    deployed = running.deploy(image(running.cloud, "asks", {}, **base), name="asks", **more)
    assert "response" in deployed, deployed
    host = running.service()["uri"].removeprefix("https://")
    asks = running.service("asks")["uri"]
    headers = {
        "host": asks.removeprefix("https://"),
        "x-asks": host,
        "authorization": f"Bearer {id_token(running.cloud, OWNER, asks)}",
    }
    assert running.client.get("/", headers=headers).status_code == status


def test_nothing_is_left_when_it_ends() -> None:
    with rehearsing() as made:
        reference = image(
            made.cloud, "small", {"/srv/app.py": SMALL_SERVER}, entrypoint=["python3", "/srv/app.py"]
        )
        made.deploy(reference)
        pid = made.call("/").json()["pid"]
        assert os.getpgid(pid) == pid
    assert not lives(pid)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_what_the_server_started_ends_with_it_even_where_it_is_killed(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from cloud import enable
from gcp_rehearsal import server
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.runtime.processes import Engines
from gcp_rehearsal.cloud import Cloud
from rehearsed import SMALL_SERVER, image
cloud = Cloud(delays=AT_ONCE, containers=Engines(), folder=Path(sys.argv[2]), secret="known")
enable(cloud, "run")
print(image(cloud, "small", {"/srv/app.py": SMALL_SERVER}, entrypoint=["python3", "/srv/app.py"]))
with server.listen(0) as listening:
    print(listening.getsockname()[1], flush=True)
    server.serve(cloud, listening)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(ROOT / "tests" / "support"), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        reference, port = process.stdout.readline().strip(), int(process.stdout.readline())
        running = Running(Cloud(secret="known"), port)
        running.deploy(reference)
        (instance,) = running.instances()
        running.client.close()
        assert lives(instance["pid"])
        process.send_signal(sent)
        assert process.wait(120) == code
    until(lambda: lives(instance["pid"]), lambda there: not there)
