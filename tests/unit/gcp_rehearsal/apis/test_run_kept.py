"""Cloud Run: what is kept and checked, and acted on by nothing: NFS, Cloud SQL, connectors, Binary Authorization."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud

PARENT = "projects/rehearsal/locations/us-central1"
SERVICES = f"run.googleapis.com/v2/{PARENT}/services"
KNATIVE = "us-central1-run.googleapis.com/apis/serving.knative.dev/v1/namespaces/rehearsal/services"
IMAGE = "us-docker.pkg.dev/cloudrun/container/hello"
SQL = {"instances": ["rehearsal:us-central1:db"]}
SHARE = {"server": "10.0.0.1", "path": "/exports/share", "readOnly": True}
CONNECTOR = f"{PARENT}/connectors/c1"
POLICY = "projects/rehearsal/platforms/cloudRun/mine"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "run", "compute")
    return cloud


def made(cloud: Cloud, template: dict[str, Any], **more: Any) -> Answer:  # Any: JSON
    container = {"image": IMAGE, **template.pop("container", {})}
    body = {"template": {"containers": [container], **template}, **more}
    return act(Raw(cloud).send("POST", f"{SERVICES}?serviceId=s", body))


def mounted(**source: Any) -> dict[str, Any]:  # Any: JSON
    """A template with a volume, mounted."""
    return {
        "volumes": [{"name": "v", **source}],
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/mnt/v"}]},
    }


@pytest.mark.parametrize(
    ("template", "more"),
    [
        (mounted(nfs=SHARE), {}),
        (mounted(cloudSqlInstance=SQL), {}),
        ({"vpcAccess": {"connector": CONNECTOR, "egress": "ALL_TRAFFIC"}}, {}),
        ({"vpcAccess": {"connector": "c1", "egress": "PRIVATE_RANGES_ONLY"}}, {}),
        ({}, {"binaryAuthorization": {"useDefault": True, "breakglassJustification": "tonight"}}),
        ({}, {"binaryAuthorization": {"policy": POLICY}}),
        ({}, {"binaryAuthorization": {"useDefault": False}}),
    ],
)
def test_it_is_kept_and_the_service_serves(cloud: Cloud, template: Any, more: Any) -> None:  # Any: JSON
    assert made(cloud, {**template}, **more).status == 200
    read = act(Raw(cloud).send("GET", f"{SERVICES}/s")).body
    assert read["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    assert {key: read[key] for key in more} == more
    for key in {"volumes", "vpcAccess"} & set(template):
        assert read["template"][key] == template[key]


@pytest.mark.parametrize(
    ("template", "more", "said"),
    [
        (mounted(nfs={"path": "/x"}), {}, "nfs.server"),
        (mounted(nfs={"server": "10.0.0.1", "path": "x"}), {}, "nfs.path"),
        (mounted(cloudSqlInstance={"instances": ["db"]}), {}, "cloud_sql_instance"),
        (mounted(cloudSqlInstance=SQL, nfs=SHARE), {}, "one volume source"),
        ({"vpcAccess": {"connector": CONNECTOR.replace("us-central1", "us-east4")}}, {}, "connector"),
        ({"vpcAccess": {"connector": "c1", "networkInterfaces": [{"network": "n"}]}}, {}, "vpc_access"),
        ({}, {"binaryAuthorization": {"policy": "mine"}}, "binary_authorization"),
        ({}, {"binaryAuthorization": {"breakglassJustification": "x"}}, "breakglass"),
    ],
)
def test_what_cannot_be_is_refused(cloud: Cloud, template: Any, more: Any, said: str) -> None:  # Any: JSON
    refused = made(cloud, {**template}, **more)
    assert refused.status == 400
    assert said in str(refused.body)


def test_gcloud_s_form_of_it_says_the_same(cloud: Cloud) -> None:
    notes = {
        "run.googleapis.com/cloudsql-instances": "rehearsal:us-central1:db",
        "run.googleapis.com/vpc-access-connector": "c1",
        "run.googleapis.com/vpc-access-egress": "all-traffic",
    }
    own = {"run.googleapis.com/binary-authorization": "default"}
    body = {
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": "k", "namespace": "rehearsal", "annotations": own},
        "spec": {"template": {"metadata": {"annotations": notes}, "spec": {"containers": [{"image": IMAGE}]}}},
    }  # fmt: skip
    raw = Raw(cloud)
    assert act(raw.send("POST", KNATIVE, body)).status == 200
    v2 = act(raw.send("GET", f"{SERVICES}/k")).body
    assert v2["binaryAuthorization"] == {"useDefault": True}
    assert v2["template"]["vpcAccess"] == {"connector": "c1", "egress": "ALL_TRAFFIC"}
    assert v2["template"]["volumes"] == [{"name": "cloudsql", "cloudSqlInstance": SQL}]
    assert v2["template"]["containers"][0]["volumeMounts"] == [{"name": "cloudsql", "mountPath": "/cloudsql"}]
    v1 = act(raw.send("GET", f"{KNATIVE}/k")).body
    template = v1["spec"]["template"]
    assert notes.items() <= template["metadata"]["annotations"].items()
    assert own.items() <= v1["metadata"]["annotations"].items()
    assert not template["spec"].get("volumes")
    assert "volumeMounts" not in template["spec"]["containers"][0]


def test_iap_is_kept_and_can_be_turned_off(cloud: Cloud) -> None:
    assert made(cloud, {}, iapEnabled=True).status == 200
    assert act(Raw(cloud).send("GET", f"{SERVICES}/s")).body["iapEnabled"] is True

    async def later() -> Answer:
        await Raw(cloud).send("PATCH", f"{SERVICES}/s?updateMask=iapEnabled", {"iapEnabled": False})
        return await Raw(cloud).send("GET", f"{KNATIVE}/s")

    annotations = act(later()).body["metadata"]["annotations"]
    assert annotations.get("run.googleapis.com/iap-enabled") in {None, "false"}
