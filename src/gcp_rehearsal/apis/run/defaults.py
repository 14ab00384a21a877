"""What Google fills in where a service or a job says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_rehearsal.apis.run.quota import most_instances
from gcp_rehearsal.apis.run.sizes import limits, size_of
from gcp_rehearsal.apis.run.status import number_of, segments
from gcp_rehearsal.facts import cloud_run
from gcp_rehearsal.json_types import Json, JsonObject

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
BY_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
_ENUMS = frozenset(("ingress", "launchStage", "executionEnvironment", "egress", "medium", "type", "scalingMode",
                    "functionalType", "encryptionKeyRevocationAction"))  # fmt: skip


def fill_service(cloud: Cloud, name: str, body: JsonObject) -> None:
    """Set a service's defaults; `body` has been checked."""
    project, region, _ = segments(name)
    _without_unspecified(body)
    body.setdefault("ingress", "INGRESS_TRAFFIC_ALL")
    body.setdefault("launchStage", "GA")
    template = body["template"]
    containers = template["containers"]
    if len(containers) == 1:
        containers[0].setdefault("ports", [])
        if not containers[0]["ports"]:
            containers[0]["ports"] = [{"containerPort": 8080}]
    for container in containers:
        _fill_container(container, serves=bool(container.get("ports")))
    _fill_runtime(cloud, project, region, template)
    template.setdefault("timeout", "300s")
    scaling = template.setdefault("scaling", {})
    if not scaling.get("maxInstanceCount"):
        scaling["maxInstanceCount"] = most_instances(cloud, region, template)
    if not template.get("maxInstanceRequestConcurrency"):
        template["maxInstanceRequestConcurrency"] = (
            cloud_run.service_limits().default_concurrency if size_of(containers).cpu >= 1000 else 1
        )
    _fill_traffic(body)


def fill_job(cloud: Cloud, name: str, body: JsonObject) -> None:
    """Set a job's defaults; `body` has been checked."""
    project, region, _ = segments(name)
    _without_unspecified(body)
    body.setdefault("launchStage", "GA")
    execution = body["template"]
    execution["taskCount"] = execution.get("taskCount") or 1
    task = execution["template"]
    for container in task["containers"]:
        _fill_container(container, serves=False)
        if container["resources"].pop("cpuIdle", None):
            container["resources"].pop("startupCpuBoost", None)
    _fill_runtime(cloud, project, region, task)
    task.setdefault("timeout", "600s")
    task.setdefault("maxRetries", 3)
    task.setdefault("executionEnvironment", "EXECUTION_ENVIRONMENT_GEN2")


def default_account(cloud: Cloud, project: str) -> str:
    """Return the account that it runs as where nobody says."""
    return f"{number_of(cloud, project)}-compute@developer.gserviceaccount.com"


def network_of(project: str, value: str) -> str:
    """Return the name in the store of a network as people write it: short, whole, or as a URL."""
    short = value.partition("/compute/v1/")[2] or value
    return short if "/" in short else f"projects/{project}/global/networks/{short}"


def subnetwork_of(project: str, region: str, value: str) -> str:
    """Return the name in the store of a subnetwork as people write it."""
    short = value.partition("/compute/v1/")[2] or value
    return short if "/" in short else f"projects/{project}/regions/{region}/subnetworks/{short}"


def _fill_container(container: JsonObject, *, serves: bool) -> None:
    has = limits(container)
    resources = container.setdefault("resources", {"cpuIdle": True})
    resources["limits"] = dict(has)
    if not resources.get("cpuIdle", True):
        del resources["cpuIdle"]
    if serves:
        port = container["ports"][0]
        port.setdefault("name", "http1")
        port.setdefault("containerPort", 8080)
        container.setdefault(
            "startupProbe",
            {"timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1, "tcpSocket": {}},
        )
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        if kind in container:
            _fill_probe(container, container[kind], startup=kind == "startupProbe")


def _fill_probe(container: JsonObject, probe: JsonObject, *, startup: bool) -> None:
    port = (container.get("ports") or [{}])[0].get("containerPort", 8080)
    if startup and not {"httpGet", "tcpSocket", "grpc"} & set(probe):
        probe["tcpSocket"] = {}
    for action in ("httpGet", "tcpSocket", "grpc"):
        if action in probe and not probe[action].get("port"):
            probe[action]["port"] = port
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("failureThreshold", 3)):
        if not probe.get(key):
            probe[key] = value


def _fill_runtime(cloud: Cloud, project: str, region: str, template: JsonObject) -> None:
    if not template.get("serviceAccount"):
        template["serviceAccount"] = default_account(cloud, project)
    access = template.get("vpcAccess")
    if not access:
        template.pop("vpcAccess", None)
        return
    access.setdefault("egress", "PRIVATE_RANGES_ONLY")
    for interface in access.get("networkInterfaces", ()):
        _fill_interface(cloud, project, region, interface)


def _fill_interface(cloud: Cloud, project: str, region: str, interface: JsonObject) -> None:
    network, subnetwork = interface.get("network"), interface.get("subnetwork")
    if network and not subnetwork:
        interface["subnetwork"] = network.rpartition("/")[2]
    elif subnetwork and not network:
        stored = cloud.store.get("compute", subnetwork_of(project, region, subnetwork))
        interface["network"] = stored.body["network"].rpartition("/")[2] if stored else "default"


def _fill_traffic(body: JsonObject) -> None:
    if not body.get("traffic"):
        body["traffic"] = [{"type": LATEST, "percent": 100}]
    for target in body["traffic"]:
        target.setdefault("type", BY_REVISION if target.get("revision") else LATEST)
        if not target.get("percent"):
            target.pop("percent", None)


def _without_unspecified(value: Json) -> None:
    if isinstance(value, dict):
        for key in _ENUMS & set(value):
            if str(value[key]).endswith("_UNSPECIFIED"):
                del value[key]
        for item in value.values():
            _without_unspecified(item)
    elif isinstance(value, list):
        for item in value:
            _without_unspecified(item)
