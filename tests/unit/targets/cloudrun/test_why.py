"""A failed deployment is explained: the likely cause, and what to change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from cloud import act, enable
from crypto_keys import grant, make_key
from deployment import google_for
from gcp_rehearsal.apis.logging.entries import write_log
from gcp_rehearsal.apis.run.quota import EXHAUSTED
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.runtime.container_state import Failure, not_listening
from homeport import errors
from homeport.engines.base import FailureSign
from homeport.engines.names import NAMES
from homeport.errors import HomeportError
from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.google import log_lines
from homeport.targets.cloudrun import diagnosis
from homeport.targets.cloudrun.diagnosis import explain, rows

PARENT = "v2/projects/rehearsal/locations/us-central1/services"
IMAGE = "us-docker.pkg.dev/cloudrun/container/hello"
NOT_LISTENING = not_listening(8080)
READY_LATE = (
    'STARTUP HTTP probe failed 30 times consecutively for container "serving-1" on port 8080 path "/health".'
)


def body(**more: Any) -> dict[str, Any]:  # Any: JSON
    probe = {"httpGet": {"path": "/health"}, "periodSeconds": 10, "failureThreshold": 60}
    container = {"name": "serving", "image": IMAGE, "ports": [{"containerPort": 8080}], "startupProbe": probe}
    return {"template": {"containers": [container | more.pop("container", {})], **more}}


def failed(
    cloud: Cloud,
    service: Mapping[str, Any],  # Any: JSON
    lines: Sequence[str] = (),
    engine: str = "vllm",
    caller: str = OWNER,
) -> HomeportError:
    """What is explained to a caller of a service that was deployed, and whose revision said `lines`."""

    async def work() -> HomeportError:
        google = google_for(cloud)
        made = await google.post("run", PARENT, service, serviceId="home", repeatable=True)
        with pytest.raises(errors.GoogleError):
            await google.finish("run", made)
        live = await google.get("run", f"{PARENT}/home")
        revision = await google.get("run", f"v2/{live['latestCreatedRevision']}")
        say(cloud, revision["name"].rpartition("/")[2], lines)
        return await explain(google_for(cloud, caller=caller), live, revision, engine)

    return act(work())


def say(cloud: Cloud, revision: str, lines: Sequence[str], service: str = "home") -> None:
    labels = {"service_name": service, "revision_name": revision, "location": "us-central1"}
    for line in lines:
        write_log(
            cloud,
            "rehearsal",
            "run.googleapis.com/stderr",
            {"type": "cloud_run_revision", "labels": labels},
            line,
        )


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "run", "artifactregistry", "secretmanager", "compute")
    return cloud


def failing(cloud: Cloud, failure: Failure) -> Cloud:
    cloud.containers.failing["home"] = failure  # type: ignore[attr-defined] # a Willing
    return cloud


CASES: list[tuple[str, Failure, list[str], str, str, str]] = [
    ("image-missing", Failure(reason="CONTAINER_MISSING", message="Image 'x/y@sha256:12' not found."), [], "NotFound", "x/y@sha256:12", "homeport up"),
    ("image-denied", Failure(reason="CONTAINER_PERMISSION_DENIED", message="Google Cloud Run Service Agent service-7@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, x."), [], "PermissionDenied", "agent", "--member=serviceAccount:service-7@serverless-robot-prod.iam.gserviceaccount.com"),
    ("secret-denied", Failure(reason="SECRETS_ACCESS_CHECK_FAILED", message="spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: Permission denied on secret: projects/7/secrets/home-token/versions/1 for Revision service account run@p.iam.gserviceaccount.com. The service account used must be granted"), [], "PermissionDenied", "run@p.iam.gserviceaccount.com may not read the secret home-token", "gcloud secrets add-iam-policy-binding home-token"),
    ("secret-missing", Failure(reason="SECRETS_ACCESS_CHECK_FAILED", message="spec: Secret projects/7/secrets/home-token/versions/3 was not found"), [], "NotFound", "home-token", "token"),
    ("network-missing", Failure(reason="VPC_NETWORK_NOT_FOUND", message="VPC network projects/p/global/networks/n does not exist, or Cloud Run does not have access to it."), [], "NotFound", "networks/n", "homeport up"),
    ("key-denied", Failure(reason="ENCRYPTION_KEY_PERMISSION_DENIED", message="no"), [], "PermissionDenied", "Cloud Run's own agent may not use the key", "--member=serviceAccount:service-481516234200@serverless-robot-prod.iam.gserviceaccount.com"),
    ("key-unusable", Failure(reason="ENCRYPTION_KEY_CHECK_FAILED", message="no"), [], "OperationFailed", "Google does not say why", "gcloud kms keys describe"),
    ("key-unusable", Failure(reason="ENCRYPTION_KEY_CHECK_FAILED", message="cryptoKeys/k is odd.\nA template was not found."), [], "OperationFailed", "Google does not say why", "gcloud kms keys describe"),
    ("gpu-quota", EXHAUSTED, [], "QuotaExceeded", "beside the old one", "g.co/cloudrun/gpu-quota"),
    ("capacity", Failure(message="The zone does not have enough resources available."), [], "OutOfCapacity", "us-central1", "cloudrun.region"),
    ("cache-without-volume", NOT_LISTENING, ["gcsfuse: file cache should be enabled for parallel download support"], "SpecError", "file cache", "cr-volume"),
    ("bucket-missing", Failure(message="mounting volume 'weights' of type Cloud Storage failed: bucket b-1: storage: bucket doesn't exist"), [], "WeightsError", "b-1", "homeport up"),
    ("bucket-denied", Failure(message="mounting volume 'weights' of type Cloud Storage failed: googleapi: Error 403: run@p.iam.gserviceaccount.com does not have storage.objects.list access to the Google Cloud Storage bucket."), [], "PermissionDenied", "storage.objects.list", "run@p.iam.gserviceaccount.com"),
    ("bucket-itself-denied", NOT_LISTENING, ["google.api_core.exceptions.Forbidden: 403 GET https://storage.googleapis.com/storage/v1/b/w: run@p.iam.gserviceaccount.com does not have storage.buckets.get access to the Google Cloud Storage bucket."], "PermissionDenied", "storage.buckets.get", "roles/storage.legacyBucketReader"),
    ("mount-failed", Failure(message="The container failed to start: mounting volume 'weights' of type Cloud Storage failed: odd"), [], "WeightsError", "mounted", "mount options"),
    ("memory", NOT_LISTENING, ["Memory limit of 16384 MiB exceeded with 16501 MiB used. Consider increasing the memory limit"], "MemoryTooSmall", "(16384 MiB)", "file cache"),
    ("memory", NOT_LISTENING, ["loading", "Container called exit(137)."], "MemoryTooSmall", "than it has; the", "cloudrun.gpu"),
    ("gpu-memory", NOT_LISTENING, ["ggml_backend_cuda: cudaMalloc failed: out of memory"], "MemoryTooSmall", "GPU", "engine.context"),
    ("another-processor", NOT_LISTENING, ["exec /usr/bin/vllm: exec format error"], "EngineFailed", "processor", "linux/amd64"),
    ("no-command", NOT_LISTENING, ['exec: "vllm": executable file not found in $PATH'], "EngineFailed", "command", "homeport export knative"),
    ("driver", NOT_LISTENING, ["RuntimeError: CUDA driver version is insufficient for CUDA runtime version"], "EngineFailed", "driver", "names"),
    ("no-gpu", NOT_LISTENING, ["RuntimeError: No CUDA GPUs are available"], "EngineFailed", "no GPU", "homeport plan --on cloudrun"),
    ("too-old", NOT_LISTENING, ["ValueError: The checkpoint you are trying to load has model type `gemma4` but Transformers does not recognize this architecture."], "EngineFailed", "older than the model", "cloudrun.image"),
    ("too-old", NOT_LISTENING, ["llama_model_load: error loading model: unknown model architecture: 'gemma4'"], "EngineFailed", "does not know this model", "newer image"),
    ("hub-refused", NOT_LISTENING, ["huggingface_hub.errors.GatedRepoError: 401 Client Error."], "GatedModel", "hub refused", "licence"),
    ("hub-unreachable", NOT_LISTENING, ["OSError: We couldn't connect to the hub to load the files"], "NetworkError", "internet", "bucket"),
    ("weights-missing", NOT_LISTENING, ["FileNotFoundError: [Errno 2] No such file or directory: '/models/org/name/config.json'"], "WeightsError", "not where it looks", "manifest"),
    ("weights-missing", NOT_LISTENING, ["OSError: Can't load the configuration of '/models/x'."], "WeightsError", "not where it looks", "deleted"),
    ("no-tokenizer", NOT_LISTENING, ["OSError: Can't load tokenizer for '/models/x'."], "WeightsError", "no tokenizer", "tokenizer.json"),
    ("flag", NOT_LISTENING, ["Error: unknown flag: --fancy"], "SpecError", "--fancy", "extra_args"),
    ("loopback", NOT_LISTENING, ["INFO: Uvicorn running on http://127.0.0.1:8080"], "EngineFailed", "own container", "0.0.0.0:8080"),
    ("another-port", NOT_LISTENING, ['level=INFO msg="Listening on [::]:11434 (version 0.12)"'], "EngineFailed", "port 11434, and Cloud Run asks on 8080", "PORT"),
    ("no-token", NOT_LISTENING, ['no token came out of gemma4:e4b: HTTP 500 {"error":"unable to load model"}', "Container called exit(1)."], "EngineFailed", "gemma4:e4b when it was asked", "architecture"),
    ("exited", NOT_LISTENING, ["something odd", "Container called exit(3)."], "OperationFailed", "not recognised", "last lines"),
    ("probe", NOT_LISTENING, ["Loading weights: 40 %", READY_LATE], "OperationFailed", "within the 600 s", "smaller model"),
]  # fmt: skip
OF_VLLM: list[tuple[str, Failure, list[str], str, str, str]] = [
    ("other-tensors", NOT_LISTENING, ["KeyError: 'model.layers.0.mlp.weight_scale'"], "WeightsError", "model.layers.0.mlp.weight_scale", "quantization"),
    ("weights-missing", NOT_LISTENING, ["RuntimeError: Cannot find any model weights with `/models/x`"], "WeightsError", "not where it looks", "deleted"),
    ("gpu-memory", NOT_LISTENING, ["ValueError: Free memory on device cuda:0 (17.2/22.03 GiB) on startup is less than desired"], "MemoryTooSmall", "GPU", "engine.context"),
    ("no-gpu", NOT_LISTENING, ["RuntimeError: Failed to infer device type"], "EngineFailed", "no GPU", "homeport plan --on cloudrun"),
    ("too-old", NOT_LISTENING, ["ValueError: Model architectures ['Gemma5'] are not supported for now."], "EngineFailed", "does not know this model", "cloudrun.image"),
]  # fmt: skip
"""What vLLM alone writes; the others are told whichever engine it is, or are Ollama's."""
ALL_CASES = [*(("ollama", *case) for case in CASES), *(("vllm", *case) for case in OF_VLLM)]


@pytest.mark.parametrize(
    ("engine", "row", "failure", "lines", "error", "what", "hint"),
    ALL_CASES,
    ids=[f"{n}-{one[1]}" for n, one in enumerate(ALL_CASES)],
)
def test_each_cause_is_told_with_what_to_change(
    cloud: Cloud, engine: str, row: str, failure: Failure, lines: list[str], error: str, what: str, hint: str
) -> None:
    found = failed(failing(cloud, failure), body(), lines, engine=engine)
    assert found.listed().__name__ == error, found
    assert what in str(found)
    assert hint in found.hint
    assert not re.search(r"[ :=(]\?", str(found) + found.hint), "a value is missing"
    assert re.search(r"the revision home-00001-\w+ of home did not come up", str(found))
    assert all(line in str(found) for line in lines)


KEY = "projects/rehearsal/locations/us-central1/keyRings/r/cryptoKeys/k"
NAMED = "--keyring=r --location=us-central1 --project=rehearsal"


@pytest.mark.parametrize(
    ("state", "told", "commands"),
    [
        ("DISABLED", "its primary version is DISABLED", [f"versions enable 1 --key=k {NAMED}"]),
        ("DESTROY_SCHEDULED", "its primary version is DESTROY_SCHEDULED", [f"versions restore 1 --key=k {NAMED}", f"versions enable 1 --key=k {NAMED}"]),
        ("DESTROYED", "its primary version is DESTROYED", [f"versions create --primary --key=k {NAMED}"]),
        ("", "it has no primary version", [f"versions create --primary --key=k {NAMED}"]),
    ],
)  # fmt: skip
def test_a_key_that_encrypts_nothing_is_told_with_what_mends_it_and_not_as_a_missing_grant(
    cloud: Cloud, state: str, told: str, commands: list[str]
) -> None:
    make_key(cloud, KEY)
    key, version = (cloud.store.get("cloudkms", name) for name in (KEY, f"{KEY}/cryptoKeyVersions/1"))
    assert key is not None
    assert version is not None
    version.body |= {"state": state, "destroyTime": "2999-01-01T00:00:00Z"}
    if not state:
        del key.hidden["primary"]
    found = failed(cloud, body(encryptionKey=KEY))
    assert found.listed().__name__ == "OperationFailed"
    assert f"the key {KEY} encrypts nothing: {told}" in str(found)
    assert found.hint.split("; ")[:-1] == [f"gcloud kms keys {one}" for one in commands]


def test_a_key_that_is_not_there_is_told_with_the_commands_that_make_it(cloud: Cloud) -> None:
    grant(cloud, "projects/rehearsal", "run", api="cloudresourcemanager")
    found = failed(cloud, body(encryptionKey=KEY))
    assert f"the key {KEY} encrypts nothing: it is not there" in str(found)
    assert f"gcloud kms keys create k {NAMED} --purpose=encryption" in found.hint


NOBODY = "nobody@example.com"
LOOK = f"gcloud kms keys describe k {NAMED}"


@pytest.mark.parametrize(
    ("shape", "told", "commands"),
    [
        ({"purpose": "MAC"}, "its purpose is MAC", [f"create ANOTHER_NAME {NAMED} --purpose=encryption"]),
        ({"importOnly": True}, "it has no primary version", [f"versions import --key=k {NAMED} --import-job=JOB", f"set-primary-version k {NAMED}"]),
        ({"versionTemplate": {"protectionLevel": "EXTERNAL"}}, "it has no primary version", [f"versions create --primary --key=k {NAMED} --external-key-uri=URI"]),
    ],
)  # fmt: skip
def test_a_key_of_another_kind_is_told_with_what_mends_that_kind(
    cloud: Cloud, shape: dict[str, Json], told: str, commands: list[str]
) -> None:
    make_key(cloud, KEY)
    key = cloud.store.get("cloudkms", KEY)
    assert key is not None
    key.body |= shape
    del key.hidden["primary"]
    found = failed(cloud, body(encryptionKey=KEY))
    assert f"encrypts nothing: {told}" in str(found)
    said = found.hint.split("; ")
    assert all(
        one.startswith(f"gcloud kms keys {want}") for one, want in zip(said, commands, strict=False)
    ), found.hint
    assert ("name that key in access.encryption_key" in said) is ("purpose" in shape)


@pytest.mark.parametrize(
    ("state", "told", "command"),
    [
        ("DISABLED", "its primary version is DISABLED", f"versions enable 1 --key=k {NAMED}"),
        ("", "it has no primary version", f"versions create --primary --key=k {NAMED}"),
    ],
)
def test_a_key_that_may_not_be_seen_is_to_be_looked_at_before_it_is_mended_by_googles_words(
    cloud: Cloud, state: str, told: str, command: str
) -> None:
    make_key(cloud, KEY)
    key, version = (cloud.store.get("cloudkms", name) for name in (KEY, f"{KEY}/cryptoKeyVersions/1"))
    assert key is not None
    assert version is not None
    version.body["state"] = state
    if not state:
        del key.hidden["primary"]
    found = failed(cloud, body(encryptionKey=KEY), caller=NOBODY)
    assert f"encrypts nothing: {told}" in str(found)
    assert found.hint.split("; ")[:-1] == [LOOK, f"gcloud kms keys {command}"]


def test_a_key_that_is_not_there_is_told_so_by_googles_words_to_who_may_not_look(cloud: Cloud) -> None:
    grant(cloud, "projects/rehearsal", "run", api="cloudresourcemanager")
    found = failed(cloud, body(encryptionKey=KEY), caller=NOBODY)
    assert f"the key {KEY} encrypts nothing: it is not there" in str(found)
    assert f"gcloud kms keys create k {NAMED} --purpose=encryption" in found.hint


def test_a_key_that_encrypts_by_now_is_told_by_googles_words_and_is_to_be_looked_at(cloud: Cloud) -> None:
    make_key(cloud, KEY)
    failing(cloud, Failure(reason="ENCRYPTION_KEY_CHECK_FAILED", message="no"))
    found = failed(cloud, body(encryptionKey=KEY))
    assert "encrypts nothing: Google does not say why" in str(found)
    assert found.hint.startswith(f"{LOOK}; then ")


def test_a_key_that_nobody_lets_cloud_run_use_is_told_with_the_grant(cloud: Cloud) -> None:
    make_key(cloud, KEY, users=())
    found = failed(cloud, body(encryptionKey=KEY))
    assert isinstance(found, errors.PermissionDenied)
    assert f"may not use the key {KEY}" in str(found)
    assert found.hint.startswith(
        f"gcloud kms keys add-iam-policy-binding k {NAMED} --member=serviceAccount:service-481516234200@serverless-robot-prod."
    )


def test_every_row_has_a_case() -> None:
    assert {row.name for engine in NAMES for row in rows(engine)} == {case[1] for case in ALL_CASES}


def test_what_one_engine_alone_writes_is_no_cause_of_anothers_failure(cloud: Cloud) -> None:
    found = failed(failing(cloud, NOT_LISTENING), body(), ["there is no manifest"], engine="vllm")
    assert "the likely cause is that loading takes longer" in str(found)


def test_every_cause_that_an_engine_may_have_words_for_is_one_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    causes = get_args(FailureSign)
    monkeypatch.setattr(
        diagnosis, "module", lambda _: SimpleNamespace(SIGNS=dict.fromkeys(causes, "in its words"))
    )
    told = {row.name for row in rows("an engine with words for all") if row.pattern.search("in its words")}
    assert told == set(causes)


@pytest.mark.parametrize(
    ("line", "error", "hint"),
    [
        ("vllm: error: unrecognized arguments: --fancy 3", "SpecError", "engine.extra_args"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "MemoryTooSmall", "engine."),
        ("SafetensorError: Error while deserializing header: HeaderTooLarge", "WeightsError", "weights"),
        ("ValueError: The tool parser is not known", "EngineFailed", "log"),
        ("  Value error, The tool parser is not known [type=value_error]", "EngineFailed", "log"),
    ],
)
def test_what_the_engine_knows_of_its_log_comes_first(cloud: Cloud, line: str, error: str, hint: str) -> None:
    found = failed(
        failing(cloud, NOT_LISTENING), body(), ["INFO: starting", line, "Container called exit(1)."]
    )
    assert found.listed().__name__ == error, found
    assert hint in found.hint


def test_a_port_that_is_the_right_one_is_no_cause(cloud: Cloud) -> None:
    lines = ["Uvicorn running on http://0.0.0.0:8080", READY_LATE]
    assert "startup probe" in str(failed(failing(cloud, NOT_LISTENING), body(), lines))


def test_what_nobody_recognises_is_told_as_it_is(cloud: Cloud) -> None:
    found = failed(
        failing(cloud, Failure(message="The moon is in the wrong house.")), body(), ["odd", "odder"]
    )
    assert isinstance(found, errors.OperationFailed)
    assert "The moon is in the wrong house." in str(found)
    assert "the likely cause is not recognised" in str(found)
    assert "\n  odd\n  odder" in str(found)


def test_an_image_that_is_not_there_is_explained_as_the_cloud_words_it(cloud: Cloud) -> None:
    image = "us-central1-docker.pkg.dev/rehearsal/home/serving@sha256:" + "0" * 64
    found = failed(cloud, body(container={"image": image}))
    assert isinstance(found, errors.NotFound)
    assert image in str(found)


def test_a_bucket_that_is_not_there_is_explained_as_the_cloud_words_it(cloud: Cloud) -> None:
    volume = {"name": "weights", "gcs": {"bucket": "nowhere", "readOnly": True}}
    mount = {"volumeMounts": [{"name": "weights", "mountPath": "/models"}]}
    found = failed(cloud, body(container=mount, volumes=[volume]))
    assert isinstance(found, errors.WeightsError)
    assert "nowhere" in str(found)


def test_a_log_that_may_not_be_read_hides_no_cause(cloud: Cloud) -> None:
    failing(cloud, NOT_LISTENING)

    async def work() -> HomeportError:
        google = google_for(cloud)
        made = await google.post("run", PARENT, body(), serviceId="home", repeatable=True)
        with pytest.raises(errors.GoogleError):
            await google.finish("run", made)
        live = await google.get("run", f"{PARENT}/home")
        nobody: Google = google_for(cloud, caller="nobody@example.com")
        return await explain(nobody, live, None, "vllm")

    found = act(work())
    assert "; its log could not be read" in str(found)
    assert "startup probe" in str(found)


def test_a_log_that_is_searched_without_end_holds_no_cause_back(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(*_: object) -> AsyncIterator[Json]:
        await asyncio.sleep(86_400.0)
        yield {}

    monkeypatch.setattr(log_lines, "entries", endless)
    found = failed(failing(cloud, NOT_LISTENING), body())
    assert str(found).endswith("; its log was not searched to the end within 30 s")
    assert "it wrote nothing" not in str(found)
