"""The real gcloud, where it is installed, against a rehearsal: Google's own reading of what we answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gcloud import NEEDS_GCLOUD, Served, served
from patience import until

pytestmark = NEEDS_GCLOUD
REGION = "--region=us-central1"
SERVICES = (
    "artifactregistry", "cloudbuild", "cloudresourcemanager", "compute", "dns", "iam", "run", "secretmanager",
)  # fmt: skip


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory, gcloud_folder: Path) -> Iterator[Served]:
    """A rehearsal whose APIs gcloud itself has enabled."""
    with served(tmp_path_factory.mktemp("gcloud")) as begun:
        found = replace(begun, program=str(gcloud_folder / "gcloud"))
        found.gcloud("services", "enable", *(f"{service}.googleapis.com" for service in SERVICES))
        yield found


def test_gcloud_sees_which_apis_are_enabled(rehearsal: Served) -> None:
    listed = rehearsal.gcloud("services", "list", "--enabled", "--format=value(config.name)")
    assert {f"{service}.googleapis.com" for service in SERVICES} <= set(listed.out.split())


def test_gcloud_keeps_secrets_and_versions(rehearsal: Served) -> None:
    token = rehearsal.folder / "token"
    token.write_text("hf_token")
    rehearsal.gcloud("secrets", "create", "token", "--replication-policy=automatic", "--labels=homeport=home")
    rehearsal.gcloud("secrets", "versions", "add", "token", f"--data-file={token}")
    assert rehearsal.gcloud("secrets", "versions", "access", "latest", "--secret=token").out == "hf_token"
    described = rehearsal.gcloud("secrets", "describe", "token", "--format=json").json
    assert described["labels"] == {"homeport": "home"}
    rehearsal.gcloud("secrets", "update", "token", "--update-labels=team=data")
    again = rehearsal.gcloud("secrets", "create", "token", "--replication-policy=automatic", code=1)
    assert "already exists" in again.err
    rehearsal.gcloud("secrets", "delete", "token", "--quiet")
    assert "NOT_FOUND" in rehearsal.gcloud("secrets", "describe", "token", code=1).err


def test_gcloud_makes_a_service_account_and_grants_it_something(rehearsal: Served) -> None:
    email = "builder@rehearsal.iam.gserviceaccount.com"
    rehearsal.gcloud("iam", "service-accounts", "create", "builder", "--display-name=Builder")
    listed = rehearsal.gcloud("iam", "service-accounts", "list", "--format=value(email)")
    assert email in listed.out
    rehearsal.gcloud(
        "projects", "add-iam-policy-binding", "rehearsal", f"--member=serviceAccount:{email}",
        "--role=roles/logging.logWriter", "--condition=None",
    )  # fmt: skip
    policy = rehearsal.gcloud("projects", "get-iam-policy", "rehearsal", "--format=json").json
    assert {"role": "roles/logging.logWriter", "members": [f"serviceAccount:{email}"]} in policy["bindings"]
    rehearsal.gcloud(
        "projects", "remove-iam-policy-binding", "rehearsal", f"--member=serviceAccount:{email}",
        "--role=roles/logging.logWriter", "--condition=None",
    )  # fmt: skip
    rehearsal.gcloud("iam", "service-accounts", "delete", email, "--quiet")


def test_gcloud_makes_a_repository(rehearsal: Served) -> None:
    here = "--location=us-central1"
    rehearsal.gcloud("artifacts", "repositories", "create", "images", "--repository-format=docker", here)
    described = rehearsal.gcloud(
        "artifacts", "repositories", "describe", "images", here, "--format=json"
    ).json
    assert described["format"] == "DOCKER"
    rehearsal.gcloud("artifacts", "repositories", "delete", "images", here, "--quiet")


def test_gcloud_keeps_objects_in_a_bucket(rehearsal: Served) -> None:
    weights = rehearsal.folder / "weights.bin"
    weights.write_bytes(bytes(range(256)) * 4096)
    rehearsal.gcloud(
        "storage", "buckets", "create", "gs://gcloud-weights", "--location=us-central1",
        "--uniform-bucket-level-access",
    )  # fmt: skip
    rehearsal.gcloud("storage", "cp", str(weights), "gs://gcloud-weights/models/weights.bin")
    listed = rehearsal.gcloud("storage", "ls", "gs://gcloud-weights/models/")
    assert listed.out.strip() == "gs://gcloud-weights/models/weights.bin"
    back = rehearsal.folder / "back.bin"
    rehearsal.gcloud("storage", "cp", "gs://gcloud-weights/models/weights.bin", str(back))
    assert back.read_bytes() == weights.read_bytes()
    rehearsal.gcloud("storage", "rm", "--recursive", "gs://gcloud-weights")


def test_gcloud_makes_a_network_with_private_google_access_and_a_private_zone(rehearsal: Served) -> None:
    rehearsal.gcloud("compute", "networks", "create", "net", "--subnet-mode=custom")
    rehearsal.gcloud(
        "compute", "networks", "subnets", "create", "sub", "--network=net", REGION, "--range=10.8.0.0/26",
        "--enable-private-ip-google-access",
    )  # fmt: skip
    subnet = rehearsal.gcloud(
        "compute", "networks", "subnets", "describe", "sub", REGION, "--format=json"
    ).json
    assert subnet["privateIpGoogleAccess"] is True
    rehearsal.gcloud(
        "dns", "managed-zones", "create", "zone", "--dns-name=run.app.", "--visibility=private",
        "--networks=net", "--description=private",
    )  # fmt: skip
    rehearsal.gcloud(
        "dns", "record-sets", "create", "*.run.app.", "--zone=zone", "--type=A", "--ttl=300",
        "--rrdatas=199.36.153.8",
    )  # fmt: skip
    listed = rehearsal.gcloud("dns", "record-sets", "list", "--zone=zone", "--format=value(name,type)")
    assert "*.run.app." in listed.out
    refused = rehearsal.gcloud("compute", "networks", "delete", "net", "--quiet", code=1)
    assert "is already being used by" in refused.err
    rehearsal.gcloud("dns", "record-sets", "delete", "*.run.app.", "--zone=zone", "--type=A")
    rehearsal.gcloud("dns", "managed-zones", "delete", "zone")
    rehearsal.gcloud("compute", "networks", "subnets", "delete", "sub", REGION, "--quiet")
    rehearsal.gcloud("compute", "networks", "delete", "net", "--quiet")


def test_gcloud_makes_changes_and_takes_down_a_load_balancer(rehearsal: Served) -> None:
    compute, everywhere = ("compute",), "--global"
    managed = "--load-balancing-scheme=EXTERNAL_MANAGED"
    run = rehearsal.gcloud
    run(*compute, "network-endpoint-groups", "create", "neg", REGION, "--network-endpoint-type=serverless",
        "--cloud-run-service=home")  # fmt: skip
    for name in ("be", "other"):
        run(*compute, "backend-services", "create", name, everywhere, managed, "--protocol=HTTPS")
        run(*compute, "backend-services", "add-backend", name, everywhere, "--network-endpoint-group=neg",
            "--network-endpoint-group-region=us-central1")  # fmt: skip
    run(*compute, "security-policies", "create", "armor")
    run(*compute, "security-policies", "rules", "create", "1000", "--security-policy=armor", "--action=throttle",
        "--src-ip-ranges=*", "--rate-limit-threshold-count=60", "--rate-limit-threshold-interval-sec=60",
        "--conform-action=allow", "--exceed-action=deny-429", "--enforce-on-key=HTTP-HEADER",
        "--enforce-on-key-name=x-api-key")  # fmt: skip
    run(*compute, "backend-services", "update", "be", everywhere, "--security-policy=armor")
    run(*compute, "url-maps", "create", "um", "--default-service=be", everywhere)
    run(*compute, "url-maps", "create", "um2", "--default-service=other", everywhere)
    run(*compute, "url-maps", "add-path-matcher", "um", "--path-matcher-name=m", "--default-service=be",
        "--path-rules=/vllm/*=other", "--new-hosts=llm.example.com", everywhere)  # fmt: skip
    run(*compute, "ssl-certificates", "create", "cert", "--domains=llm.example.com", everywhere)
    run(*compute, "addresses", "create", "ip", everywhere)
    run(
        *compute,
        "target-https-proxies",
        "create",
        "px",
        "--url-map=um",
        "--ssl-certificates=cert",
        everywhere,
    )
    run(*compute, "forwarding-rules", "create", "fr", everywhere, managed, "--target-https-proxy=px", "--ports=443",
        "--address=ip")  # fmt: skip
    run(
        *compute,
        "target-https-proxies",
        "update",
        "px",
        "--url-map=um2",
        "--quic-override=DISABLE",
        everywhere,
    )
    proxy = run(*compute, "target-https-proxies", "describe", "px", everywhere, "--format=json").json
    assert (proxy["urlMap"].rpartition("/")[2], proxy["quicOverride"]) == ("um2", "DISABLE")
    address = run(*compute, "addresses", "describe", "ip", everywhere, "--format=json").json
    assert (address["status"], len(address["users"])) == ("IN_USE", 1)
    for kind, name, *place in (("addresses", "ip", everywhere), ("security-policies", "armor"),
                               ("url-maps", "um2", everywhere), ("backend-services", "be", everywhere)):  # fmt: skip
        refused = run(*compute, kind, "delete", name, *place, "--quiet", code=1)
        assert "is already being used by" in refused.err
    for kind, name, *place in (
        ("forwarding-rules", "fr", everywhere), ("target-https-proxies", "px", everywhere),
        ("url-maps", "um", everywhere), ("url-maps", "um2", everywhere), ("backend-services", "be", everywhere),
        ("backend-services", "other", everywhere), ("network-endpoint-groups", "neg", REGION),
        ("ssl-certificates", "cert", everywhere), ("addresses", "ip", everywhere), ("security-policies", "armor"),
    ):  # fmt: skip
        run(*compute, kind, "delete", name, *place, "--quiet")


def test_gcloud_builds_the_folder_that_it_submits(rehearsal: Served) -> None:
    folder = rehearsal.folder / "app"
    folder.mkdir()
    (folder / "Dockerfile").write_text('FROM python:3.12\nCOPY app.py /app.py\nCMD ["python", "/app.py"]\n')
    (folder / "app.py").write_text("print('hello')")
    rehearsal.gcloud(
        "artifacts", "repositories", "create", "built", "--repository-format=docker", "--location=us-central1"
    )
    rehearsal.gcloud("storage", "buckets", "create", "gs://gcloud-sources", "--location=us-central1")
    for role in ("storage.objectViewer", "artifactregistry.writer", "logging.logWriter"):
        rehearsal.gcloud(
            "projects", "add-iam-policy-binding", "rehearsal", f"--role=roles/{role}", "--condition=None",
            "--member=serviceAccount:481516234200-compute@developer.gserviceaccount.com",
        )  # fmt: skip
    image = "us-central1-docker.pkg.dev/rehearsal/built/app:1"
    (folder / "cloudbuild.yaml").write_text(
        f"steps: [{{name: docker, args: [build, -t, '{image}', '.']}}]\nimages: ['{image}']\n"
        "options: {logging: CLOUD_LOGGING_ONLY}\n"
    )
    begun = rehearsal.gcloud(
        "builds", "submit", "app", "--config=app/cloudbuild.yaml", REGION, "--async", "--format=value(id)",
        "--gcs-source-staging-dir=gs://gcloud-sources/source",
    ).out.strip()  # fmt: skip
    build = until(
        lambda: rehearsal.gcloud("builds", "describe", begun, REGION, "--format=json").json,
        lambda seen: seen["status"] not in {"QUEUED", "WORKING"},
    )
    assert (build["status"], build["results"]["images"][0]["name"]) == ("SUCCESS", image)


def test_gcloud_builds(rehearsal: Served) -> None:
    config = rehearsal.folder / "cloudbuild.yaml"
    config.write_text(
        "steps:\n- name: ubuntu\n  args: ['echo', 'hello']\noptions: {logging: CLOUD_LOGGING_ONLY}\n"
    )
    rehearsal.gcloud("builds", "submit", "--no-source", f"--config={config}", REGION, "--async")
    listed = rehearsal.gcloud("builds", "list", REGION, "--format=value(status)")
    states = listed.out.split()
    assert states
    assert set(states) <= {"QUEUED", "WORKING", "SUCCESS"}


KNATIVE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: from-yaml
spec:
  template:
    spec:
      containerConcurrency: 4
      containers:
      - image: docker.io/library/hello
        resources: {limits: {cpu: '2', memory: 1Gi}}
"""


def test_gcloud_replaces_describes_and_deletes_a_service(rehearsal: Served) -> None:
    file = rehearsal.folder / "service.yaml"
    file.write_text(KNATIVE)
    rehearsal.gcloud("run", "services", "replace", str(file), REGION)
    described = rehearsal.gcloud("run", "services", "describe", "from-yaml", REGION, "--format=json").json
    assert described["spec"]["template"]["spec"]["containerConcurrency"] == 4
    assert described["status"]["url"].startswith("https://from-yaml-")
    assert "from-yaml" in rehearsal.gcloud("run", "services", "list", REGION).out
    file.write_text(KNATIVE.replace("containerConcurrency", "containerConcurency"))
    assert (
        "containerConcurency" in rehearsal.gcloud("run", "services", "replace", str(file), REGION, code=1).err
    )
    rehearsal.gcloud("run", "services", "delete", "from-yaml", REGION, "--quiet")


def test_gcloud_deploys_on_a_gpu_and_invites_a_caller(rehearsal: Served) -> None:
    rehearsal.gcloud(
        "run", "deploy", "gpu", "--image=docker.io/library/hello", REGION, "--gpu=1", "--gpu-type=nvidia-l4",
        "--no-gpu-zonal-redundancy", "--cpu=4", "--memory=16Gi", "--no-cpu-throttling", "--max-instances=1",
        "--concurrency=4", "--no-allow-unauthenticated",
    )  # fmt: skip
    text = rehearsal.gcloud("run", "services", "describe", "gpu", REGION).out
    assert "nvidia-l4" in text
    rehearsal.gcloud(
        "run", "services", "add-iam-policy-binding", "gpu", REGION, "--member=user:friend@example.com",
        "--role=roles/run.invoker",
    )  # fmt: skip
    policy = rehearsal.gcloud("run", "services", "get-iam-policy", "gpu", REGION, "--format=json").json
    assert policy["bindings"] == [{"role": "roles/run.invoker", "members": ["user:friend@example.com"]}]
    assert "gpu-00001" in rehearsal.gcloud("run", "revisions", "list", "--service=gpu", REGION).out


def test_gcloud_keeps_what_cloud_run_reaches_beside_itself(rehearsal: Served) -> None:
    rehearsal.gcloud(
        "run", "deploy", "beside", REGION, "--image=us-docker.pkg.dev/cloudrun/container/hello", "--no-allow-unauthenticated",
        "--add-cloudsql-instances=rehearsal:us-central1:db", "--vpc-connector=c1", "--vpc-egress=all-traffic",
        "--binary-authorization=default", "--add-volume=name=share,type=nfs,location=10.0.0.1:/exports/share",
        "--add-volume-mount=volume=share,mount-path=/mnt/share", "--quiet",
    )  # fmt: skip
    told = rehearsal.gcloud("run", "services", "describe", "beside", REGION, "--format=json").json
    notes = told["spec"]["template"]["metadata"]["annotations"]
    assert notes["run.googleapis.com/cloudsql-instances"] == "rehearsal:us-central1:db"
    assert notes["run.googleapis.com/vpc-access-connector"] == "c1"
    assert told["metadata"]["annotations"]["run.googleapis.com/binary-authorization"] == "default"
    volumes = told["spec"]["template"]["spec"]["volumes"]
    assert volumes == [
        {"name": "share", "nfs": {"server": "10.0.0.1", "path": "/exports/share", "readOnly": False}}
    ]
    rehearsal.gcloud("run", "services", "update", "beside", REGION, "--clear-cloudsql-instances", "--clear-vpc-connector",
                     "--vpc-egress=private-ranges-only")  # fmt: skip
    rehearsal.gcloud("run", "services", "delete", "beside", REGION, "--quiet")


def test_gcloud_logs_in_with_a_key_that_it_made(rehearsal: Served) -> None:
    email, file = "keyed-one@rehearsal.iam.gserviceaccount.com", rehearsal.folder / "key.json"
    rehearsal.gcloud("iam", "service-accounts", "create", "keyed-one")
    rehearsal.gcloud("iam", "service-accounts", "keys", "create", str(file), f"--iam-account={email}")
    keys = rehearsal.gcloud(
        "iam",
        "service-accounts",
        "keys",
        "list",
        f"--iam-account={email}",
        "--managed-by=user",
        "--format=json",
    ).json
    (key,) = [one["name"].rpartition("/")[2] for one in keys]
    assert key in file.read_text()
    rehearsal.gcloud("iam", "service-accounts", "keys", "delete", key, f"--iam-account={email}", "--quiet")
    rehearsal.gcloud("iam", "service-accounts", "delete", email, "--quiet")


def test_gcloud_keeps_versions_and_looks_through_a_virtual_repository(rehearsal: Served) -> None:
    here, bucket = "--location=us-central1", "gs://gcloud-versions"
    rehearsal.gcloud("storage", "buckets", "create", bucket, here, "--uniform-bucket-level-access")
    rehearsal.gcloud("storage", "buckets", "update", bucket, "--versioning")
    for word in ("one", "two"):
        (rehearsal.folder / "word").write_text(word)
        rehearsal.gcloud("storage", "cp", str(rehearsal.folder / "word"), f"{bucket}/word")
    listed = rehearsal.gcloud("storage", "ls", "--all-versions", f"{bucket}/word").out.split()
    assert len(listed) == 2
    assert rehearsal.gcloud("storage", "cat", listed[0]).out == "one"
    rehearsal.gcloud("storage", "rm", "--recursive", "--all-versions", bucket)

    policies = rehearsal.folder / "policies.json"
    rehearsal.gcloud("artifacts", "repositories", "create", "behind", "--repository-format=docker", here)
    behind = "projects/rehearsal/locations/us-central1/repositories/behind"
    policies.write_text(f'[{{"id": "behind", "repository": "{behind}", "priority": 100}}]')
    rehearsal.gcloud("artifacts", "repositories", "create", "all", "--repository-format=docker", here,
                     "--mode=virtual-repository", f"--upstream-policy-file={policies}")  # fmt: skip
    told = rehearsal.gcloud("artifacts", "repositories", "describe", "all", here, "--format=json").json
    assert told["virtualRepositoryConfig"]["upstreamPolicies"][0]["repository"] == behind
    for name in ("all", "behind"):
        rehearsal.gcloud("artifacts", "repositories", "delete", name, here, "--quiet")


def test_gcloud_runs_a_job(rehearsal: Served) -> None:
    rehearsal.gcloud("run", "jobs", "create", "job", "--image=docker.io/library/busybox", REGION)
    rehearsal.gcloud("run", "jobs", "execute", "job", REGION, "--wait")
    assert "job-" in rehearsal.gcloud("run", "jobs", "executions", "list", "--job=job", REGION).out


def test_a_caller_who_may_not_is_told_so_by_gcloud(rehearsal: Served) -> None:
    said = rehearsal.gcloud(
        "secrets", "create", "theirs", "--replication-policy=automatic", code=1, caller="stranger@example.com"
    )
    assert "PERMISSION_DENIED" in said.err
    assert "secretmanager.secrets.create" in said.err
