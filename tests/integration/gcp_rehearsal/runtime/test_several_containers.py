"""A rehearsed instance has several containers, and goes as a whole where one of them ends or is deaf."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from homeport.targets.cloudrun import service_spec
from patience import until
from processes_of import lives
from rehearsed import REGION, SMALL_SERVER, Running, image, rehearsing

FRONT = """
import os, urllib.request
seen = os.path.exists(os.environ["SHARED"])
print("front began", flush=True)
""" + SMALL_SERVER.replace(
    'said = {"pid"',
    'beside = urllib.request.urlopen(os.environ["BESIDE"]).read().decode()\n'
    '        said = {"seen": seen, "beside": beside, "pid"',
)  # fmt: skip
BESIDE = """
import http.server, json, os, sys, time
print("sidecar began", flush=True)
time.sleep(1)
open(os.environ["SHARED"], "w").close()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"pid": os.getpid(), "has_port": "PORT" in os.environ, "own": os.environ.get("OWN")}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
MOUNT = [{"name": "shared", "mountPath": "/shared"}]
VOLUME = {"name": "shared", "emptyDir": {"medium": "MEMORY", "sizeLimit": "8Mi"}}
ALIVE = {"httpGet": {"path": "/"}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 5}


@pytest.fixture
def running() -> Iterator[Running]:
    with rehearsing() as made:
        yield made


def front(running: Running, **more: Any) -> dict[str, Any]:  # Any: JSON
    reference = image(
        running.cloud, "front", {"/srv/front.py": FRONT}, entrypoint=["python3", "/srv/front.py"]
    )
    env = [
        {"name": "BESIDE", "value": "http://localhost:9090/"},
        {"name": "SHARED", "value": "/shared/ready"},
    ]
    return {
        "name": "front", "image": reference, "ports": [{"containerPort": 8080}], "env": env, "volumeMounts": MOUNT,
        "dependsOn": ["beside"], **more,
    }  # fmt: skip


def beside(running: Running, **more: Any) -> dict[str, Any]:  # Any: JSON
    reference = image(running.cloud, "beside", {"/srv/b.py": BESIDE}, entrypoint=["python3", "/srv/b.py"])
    env = [{"name": "SHARED", "value": "/shared/ready"}, {"name": "OWN", "value": "mine"}]
    return {
        "name": "beside", "image": reference, "args": ["--port", "9090"], "env": env, "volumeMounts": MOUNT,
        "startupProbe": {"tcpSocket": {"port": 9090}, "periodSeconds": 1, "failureThreshold": 200}, **more,
    }  # fmt: skip


def deploy(running: Running, *containers: dict[str, Any]) -> Any:  # Any: JSON
    return running.deploy("", containers=list(containers), volumes=[VOLUME])


def test_all_containers_run_in_their_order_share_loopback_and_memory_and_are_told_apart_in_the_logs(
    running: Running,
) -> None:
    op = deploy(running, front(running), beside(running))
    assert "response" in op, op
    said = running.call("/").json()
    assert said["seen"], "the container that it depends on had started before it"
    assert '"has_port": false, "own": "mine"' in said["beside"]
    (instance,) = running.instances()
    assert [one["name"] for one in instance["containers"]] == ["front", "beside"]
    asked = {"resourceNames": ["projects/rehearsal"], "pageSize": 1000}
    entries = until(
        lambda: running.api("POST", "/v2/entries:list", asked, host="logging").get("entries", []),
        lambda found: any(one.get("textPayload") == "front began" for one in found),
    )
    named = {one["textPayload"]: one["labels"]["container_name"] for one in entries if one.get("labels")}
    assert (named["sidecar began"], named["front began"]) == ("beside", "front")
    probed = [one["textPayload"] for one in entries if "probe succeeded" in one["textPayload"]]
    assert any('"beside-1" on port 9090' in line for line in probed)


def test_an_instance_goes_with_any_of_its_containers_and_the_next_request_starts_another(
    running: Running,
) -> None:
    deploy(running, front(running), beside(running))
    (instance,) = running.instances()
    one, other = (container["pid"] for container in instance["containers"])
    os.kill(other, signal.SIGKILL)
    until(running.instances, lambda found: not found)
    until(lambda: lives(one), lambda there: not there)
    assert running.call("/").json()["pid"] != one


@pytest.mark.long
def test_two_containers_cannot_listen_on_one_port(running: Running) -> None:
    taking = beside(running, args=["--port", "8080"], startupProbe={"tcpSocket": {"port": 8080}})
    deploy(running, front(running), taking)
    until(running.logs, lambda said: any("Address already in use" in line for line in said))


def test_a_container_whose_image_is_not_here_is_left_out_and_that_is_said(running: Running) -> None:
    small = image(
        running.cloud, "small", {"/srv/app.py": SMALL_SERVER}, entrypoint=["python3", "/srv/app.py"]
    )
    serves = {"name": "small", "image": small, "ports": [{"containerPort": 8080}]}
    op = running.deploy("", containers=[serves, {"name": "metrics", "image": "example.com/elsewhere"}])
    assert "response" in op, op
    assert running.instances()[0]["leftOut"] == ["metrics"]
    assert any('"metrics" is not run here' in line for line in running.logs())


@pytest.mark.long
def test_the_deaf_are_shut_down_and_replaced_and_the_busy_are_not(running: Running) -> None:
    """With the liveness probe that homeport sets, thirty times as fast."""
    pace = 30
    probe = {
        "httpGet": {"path": "/"},
        "periodSeconds": service_spec._ALIVE_PERIOD_S // pace,
        "timeoutSeconds": service_spec._ALIVE_TIMEOUT_S // pace,
        "failureThreshold": service_spec._ALIVE_ATTEMPTS,
    }
    small = image(
        running.cloud, "small", {"/srv/app.py": SMALL_SERVER}, entrypoint=["python3", "/srv/app.py"]
    )
    assert "response" in running.deploy(small, container={"name": "serving", "livenessProbe": probe})
    first = running.call("/").json()["pid"]
    lasting = service_spec._ALIVE_PERIOD_S // pace * (service_spec._ALIVE_ATTEMPTS + 1)
    assert running.call(f"/slow?s={lasting}").json()["pid"] == first, (
        "it was busy for longer than the deaf may live"
    )
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(running.call, "/slow?s=50")
        until(lambda: running.call("/").json()["pid"], lambda pid: pid == first)
        os.kill(first, signal.SIGSTOP)
        assert waiting.result().status_code == 503
    second = until(running.instances, lambda found: found and found[0]["pid"] != first)[0]["pid"]
    assert running.call("/").json()["pid"] == second, "it was started before anybody asked"
    assert not lives(first)
    told = 'LIVENESS HTTP probe failed 5 times consecutively for container "serving-1" on port 8080 path "/"'
    assert any(line.startswith(told) and line.endswith("has been shut down.") for line in running.logs())


@pytest.mark.long
def test_a_deaf_sidecar_takes_its_instance_with_it(running: Running) -> None:
    alive = {**ALIVE, "httpGet": {"path": "/", "port": 9090}}
    deploy(running, front(running), beside(running, livenessProbe=alive))
    (instance,) = running.instances()
    one, other = (container["pid"] for container in instance["containers"])
    os.kill(other, signal.SIGSTOP)
    until(running.instances, lambda found: found and found[0]["pid"] != one)
    until(lambda: lives(one) or lives(other), lambda there: not there)


def test_what_cannot_run_together_is_refused_before_anything_starts(running: Running) -> None:
    one, other = front(running), beside(running)

    def refused(*containers: dict[str, Any]) -> Any:  # Any: JSON
        body = {"template": {"containers": list(containers), "volumes": [VOLUME]}}
        headers = {
            "host": "run.googleapis.com",
            "authorization": f"Bearer {running.cloud.token('you@example.com')}",
        }
        came = running.client.post(f"/v2/{REGION}/services?serviceId=home", json=body, headers=headers)
        assert came.status_code in {400, 501}, came.text
        return came.json()["error"]["message"]

    unprobed = {key: value for key, value in other.items() if key != "startupProbe"}
    assert "Dependent container 'beside' must have startup probe specified" in refused(one, unprobed)
    assert "form a cycle" in refused(one, {**other, "dependsOn": ["front"]})
    assert "exactly one container with an exposed port" in refused(
        one, {**other, "ports": [{"containerPort": 1}]}
    )
    assert "must have a name" in refused({**one, "dependsOn": []}, {**other, "name": ""})
    many = [{**other, "name": f"beside-{number}"} for number in range(10)]
    assert "at most 10 containers" in refused({**one, "dependsOn": []}, *many)
    assert "grpc" in refused(one, {**other, "startupProbe": {"grpc": {"port": 1}}})


def test_knative_shows_the_containers_that_version_2_made_and_makes_the_same(running: Running) -> None:
    deploy(running, front(running), beside(running))
    made = running.service()["template"]["containers"]
    path = "/apis/serving.knative.dev/v1/namespaces/rehearsal/services/home"
    shown = running.api("GET", path, host="europe-west4-run")
    assert [one["name"] for one in shown["spec"]["template"]["spec"]["containers"]] == ["front", "beside"]
    notes = shown["spec"]["template"]["metadata"]["annotations"]
    assert notes["run.googleapis.com/container-dependencies"] == '{"front":["beside"]}'
    shown["spec"]["template"]["metadata"].pop("name", None)
    running.api("PUT", path, shown, host="europe-west4-run")
    assert running.service()["template"]["containers"] == made
