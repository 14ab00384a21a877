"""Google's own typed Python clients, over REST, against a rehearsal: judges that we did not write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound
from google.cloud import artifactregistry_v1, modelarmor_v1, run_v2, secretmanager_v1
from google.cloud.cloudquotas_v1 import CloudQuotasClient
from google.cloud.storage import Client as Storage
from google.oauth2.credentials import Credentials

from gcloud import Served, served
from homeport.google import Google, from_env

PROJECT = "projects/rehearsal"
REGION = f"{PROJECT}/locations/us-central1"
APIS = ("artifactregistry", "run", "secretmanager", "storage", "modelarmor", "cloudquotas", "iam")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A rehearsal on a socket, with the APIs enabled."""
    folder = tmp_path_factory.mktemp("typed")
    with served(folder) as found:
        import asyncio

        asyncio.run(_enable(found))
        yield found


@pytest.fixture(autouse=True)
def _by_proxy(rehearsal: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients ask for Google's own addresses, over plain HTTP, by the rehearsal as their proxy."""
    monkeypatch.setenv("http_proxy", rehearsal.url)
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", rehearsal.token())


def credentials() -> Credentials:
    """The owner's."""
    return Credentials(token=os.environ["CLOUDSDK_AUTH_ACCESS_TOKEN"])  # type: ignore[no-untyped-call]


async def _enable(found: Served) -> None:
    async with await from_env(found.environment) as google:
        await _batch(google)


async def _batch(google: Google) -> None:
    services = [f"{api}.googleapis.com" for api in APIS]
    begun = await google.post("serviceusage", f"v1/{PROJECT}/services:batchEnable", {"serviceIds": services})
    await google.finish("serviceusage", begun)
    # An API that was just enabled is not seen at once.
    await google.patient(60).get(
        "cloudquotas", f"v1/{PROJECT}/locations/global/services/run.googleapis.com/quotaInfos"
    )


def client(kind: Any, api: str) -> Any:  # Any: a client of Google's
    """A typed client over REST, without TLS."""
    options = {"api_endpoint": f"http://{api}.googleapis.com"}
    return kind(transport="rest", credentials=credentials(), client_options=options)


def test_secret_manager_keeps_a_secret_and_its_versions() -> None:
    manager = client(secretmanager_v1.SecretManagerServiceClient, "secretmanager")
    made = manager.create_secret(
        parent=PROJECT, secret_id="typed", secret={"replication": {"automatic": {}}, "labels": {"a": "b"}}
    )
    assert made.name.endswith("/secrets/typed")
    version = manager.add_secret_version(parent=made.name, payload={"data": b"hf_token"})
    assert version.state == secretmanager_v1.SecretVersion.State.ENABLED
    assert manager.access_secret_version(name=f"{made.name}/versions/latest").payload.data == b"hf_token"
    changed = manager.update_secret(
        secret={"name": made.name, "labels": {"a": "c"}, "etag": made.etag}, update_mask={"paths": ["labels"]}
    )
    assert dict(changed.labels) == {"a": "c"}
    assert [one.name for one in manager.list_secret_versions(parent=made.name)] == [version.name]
    with pytest.raises(Conflict):
        manager.create_secret(parent=PROJECT, secret_id="typed", secret={"replication": {"automatic": {}}})
    manager.destroy_secret_version(name=version.name)
    manager.delete_secret(name=made.name)
    with pytest.raises(NotFound):
        manager.get_secret(name=made.name)


def test_artifact_registry_makes_a_repository_in_its_own_time() -> None:
    registry = client(artifactregistry_v1.ArtifactRegistryClient, "artifactregistry")
    kind = artifactregistry_v1.Repository.Format.DOCKER
    operation = registry.create_repository(
        parent=REGION, repository_id="typed", repository={"format": kind, "labels": {"a": "b"}}
    )
    assert operation.result(timeout=300).format_ == kind
    changed = registry.update_repository(
        repository={"name": f"{REGION}/repositories/typed", "description": "new"},
        update_mask={"paths": ["description"]},
    )
    assert changed.description == "new"
    assert [one.name for one in registry.list_repositories(parent=REGION)] == [f"{REGION}/repositories/typed"]
    registry.delete_repository(name=changed.name).result(timeout=300)
    with pytest.raises(NotFound):
        registry.get_repository(name=changed.name)


def test_cloud_run_deploys_changes_and_removes_a_service() -> None:
    services = client(run_v2.ServicesClient, "run")
    service = run_v2.Service(
        labels={"a": "b"},
        template=run_v2.RevisionTemplate(
            containers=[run_v2.Container(image="docker.io/library/hello", ports=[run_v2.ContainerPort(container_port=8080)])],
            max_instance_request_concurrency=4,
        ),
    )  # fmt: skip
    made = services.create_service(parent=REGION, service_id="typed", service=service).result(timeout=300)
    assert made.uri.startswith("https://")
    assert made.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED
    made.template.max_instance_request_concurrency = 8
    made.template.revision = ""
    changed = services.update_service(service=made).result(timeout=300)
    assert changed.latest_ready_revision != made.latest_ready_revision
    revisions = client(run_v2.RevisionsClient, "run")
    assert len(list(revisions.list_revisions(parent=changed.name))) == 2
    with pytest.raises(BadRequest):
        services.create_service(parent=REGION, service_id="Not_A_Name", service=service)
    services.delete_service(name=changed.name).result(timeout=300)
    with pytest.raises(NotFound):
        services.get_service(name=changed.name)


def test_cloud_run_runs_a_job() -> None:
    jobs = client(run_v2.JobsClient, "run")
    job = run_v2.Job(
        template={"template": {"containers": [{"image": "docker.io/library/busybox"}], "max_retries": 0}}
    )
    made = jobs.create_job(parent=REGION, job_id="typed", job=job).result(timeout=300)
    execution = jobs.run_job(name=made.name).result(timeout=300)
    assert execution.succeeded_count == 1
    jobs.delete_job(name=made.name).result(timeout=300)


def test_cloud_storage_keeps_bytes_with_their_preconditions(rehearsal: Served, tmp_path: Path) -> None:
    keeper = Storage(
        project="rehearsal", credentials=credentials(), client_options={"api_endpoint": rehearsal.url}
    )
    bucket = keeper.create_bucket("typed-weights", location="us-central1")
    content = bytes(range(256)) * 40_000
    blob = bucket.blob("models/weights.bin", chunk_size=2**20)  # In chunks: resumable.
    blob.upload_from_string(content, if_generation_match=0)
    assert bucket.blob("models/weights.bin").download_as_bytes(checksum="md5") == content
    assert bucket.blob("models/weights.bin").download_as_bytes(start=5, end=8) == content[5:9]
    small = bucket.blob("manifest.json")  # In one piece: multipart.
    small.upload_from_string(b"{}", content_type="application/json")
    assert [one.name for one in keeper.list_blobs(bucket)] == ["manifest.json", "models/weights.bin"]
    with pytest.raises(Conflict):
        bucket.delete()
    from google.api_core.exceptions import PreconditionFailed

    with pytest.raises(PreconditionFailed):
        small.upload_from_string(b"{}", if_generation_match=0)
    bucket.delete_blobs(list(keeper.list_blobs(bucket)))
    bucket.delete()
    assert keeper.lookup_bucket("typed-weights") is None


def test_cloud_storage_is_found_by_the_variable_for_emulators(
    rehearsal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", rehearsal.url)
    keeper = Storage(project="rehearsal", credentials=credentials())
    assert [one.name for one in keeper.list_buckets()] == []


def test_a_service_accounts_key_is_a_login_of_clients_that_are_given_none(
    rehearsal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in rehearsal.login("ci@rehearsal.iam.gserviceaccount.com").items():
        monkeypatch.setenv(name, value)
    options = {"api_endpoint": "http://secretmanager.googleapis.com"}
    manager = secretmanager_v1.SecretManagerServiceClient(transport="rest", client_options=options)
    with pytest.raises(Forbidden, match=r"secretmanager\.secrets\.list"):
        list(manager.list_secrets(parent=PROJECT))
    with pytest.raises(Forbidden, match=r"ci@rehearsal\S* does not have storage\.buckets"):
        list(Storage(project="rehearsal", client_options={"api_endpoint": rehearsal.url}).list_buckets())


def test_model_armor_whose_document_was_derived_works_by_the_generic_core() -> None:
    armor = client(modelarmor_v1.ModelArmorClient, "modelarmor.us-central1.rep")
    template = modelarmor_v1.Template(
        filter_config={"malicious_uri_filter_settings": {"filter_enforcement": 1}}
    )
    made = armor.create_template(parent=REGION, template_id="typed", template=template)
    found = armor.get_template(name=made.name)
    enabled = modelarmor_v1.MaliciousUriFilterSettings.MaliciousUriFilterEnforcement.ENABLED
    assert found.filter_config.malicious_uri_filter_settings.filter_enforcement == enabled
    armor.delete_template(name=made.name)


def test_cloud_quotas_tells_what_the_project_may_have() -> None:
    quotas = client(CloudQuotasClient, "cloudquotas")
    name = f"{PROJECT}/locations/global/services/run.googleapis.com/quotaInfos/NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
    assert quotas.get_quota_info(name=name).quota_id.startswith("NvidiaL4")
