"""Cloud Build in the rehearsal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal import context
from gcp_rehearsal.apis.artifactregistry.repositories import find_image
from gcp_rehearsal.apis.cloudbuild.step import Ran, Step
from gcp_rehearsal.apis.cloudbuild.steps import Acted
from gcp_rehearsal.apis.storage.objects import content_of, find
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays

V1 = "cloudbuild.googleapis.com/v1"
B = f"{V1}/projects/rehearsal/locations/us-central1/builds"
IMAGE = "us-central1-docker.pkg.dev/rehearsal/home/server:one"
DOCKER = "gcr.io/cloud-builders/docker"
LOGGED = {"logging": "CLOUD_LOGGING_ONLY"}
ACCOUNT = "481516234200-compute@developer.gserviceaccount.com"
STEP = {"name": DOCKER, "args": ["build", "-t", IMAGE, "."]}


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(delays=Delays(grants=0, accounts=0, apis=0), folder=tmp_path)
    enable(cloud, "cloudbuild", "artifactregistry", "secretmanager")
    return cloud


def grant(cloud: Cloud, role: str, account: str = ACCOUNT) -> None:
    name = "projects/rehearsal"
    policy = cloud.access.policy("cloudresourcemanager", name)
    bindings = [*policy["bindings"], {"role": role, "members": [f"serviceAccount:{account}"]}]
    cloud.access.set_policy("cloudresourcemanager", name, {"bindings": bindings}, at_once=True)


async def home(raw: Raw) -> None:
    place = "artifactregistry.googleapis.com/v1/projects/rehearsal/locations/us-central1"
    await raw.send("POST", f"{place}/repositories?repositoryId=home", {"format": "DOCKER"})
    await asyncio.sleep(10)


async def start(raw: Raw, **build: Any) -> Answer:  # Any: JSON
    return await raw.send("POST", B, {"steps": [STEP], "options": LOGGED, **build})


async def ended(raw: Raw, answer: Answer, seconds: float = 300) -> dict[str, Any]:  # Any: JSON
    await asyncio.sleep(seconds)
    build = await raw.send("GET", f"{B}/{answer.body['metadata']['build']['id']}")
    found: dict[str, Any] = build.body  # Any: JSON
    return found


def test_a_build_goes_its_way_and_its_image_is_in_the_repository(cloud: Cloud) -> None:
    grant(cloud, "roles/artifactregistry.writer")

    async def work() -> None:
        raw = Raw(cloud)
        await home(raw)
        operation = await start(raw, images=[IMAGE], tags=["homeport"])
        build = operation.body["metadata"]["build"]
        assert (build["status"], build["timeout"]) == ("QUEUED", "600s")
        assert build["serviceAccount"] == f"projects/rehearsal/serviceAccounts/{ACCOUNT}"
        working = await ended(raw, operation, 5)
        assert (working["status"], working["steps"][0]["status"]) == ("WORKING", "WORKING")
        done = await ended(raw, operation)
        assert (done["status"], done["steps"][0]["status"]) == ("SUCCESS", "SUCCESS")
        assert set(done["timing"]) == {"BUILD", "PUSH"}
        assert done["results"]["images"][0]["digest"] == find_image(cloud, IMAGE)
        answer = await raw.send("GET", f"{V1}/{operation.body['name']}")
        assert answer.body["response"]["status"] == "SUCCESS"
        again = await ended(raw, await start(raw, images=[IMAGE]))
        assert again["results"]["images"][0]["digest"] == done["results"]["images"][0]["digest"]
        other = {**STEP, "args": [*STEP["args"], "--no-cache"]}
        changed = await ended(raw, await start(raw, steps=[other], images=[IMAGE]))
        assert changed["results"]["images"][0]["digest"] != done["results"]["images"][0]["digest"]

    act(work())


@pytest.mark.parametrize(
    ("build", "text"),
    [
        ({"steps": []}, "invalid build: invalid .steps field: no build steps are specified"),
        ({"steps": [{}]}, "build step 0 must specify name"),
        ({"steps": [{"name": "A B"}]}, 'invalid build step name "A B"'),
        ({"images": ["gcr.io/rehearsal/Server"]}, "contains uppercase letters"),
        ({"timeout": "90000s"}, "timeout exceeds the timeout limit of 24h0m0s"),
        (
            {"timeout": "60s", "steps": [{**STEP, "timeout": "600s"}]},
            "build step timeout 10m0s must be <= build timeout 1m0s",
        ),
        ({"steps": [{**STEP, "waitFor": ["x"]}]}, 'build step #0 depends on "x", which has not been defined'),
        (
            {"steps": [{"name": "bash", "args": ["-c", "echo $HOME"]}]},
            'key in the template "HOME" is not a valid built-in substitution',
        ),
        (
            {"substitutions": {"_UNUSED": "x"}},
            'key "_UNUSED" in the substitution data is not matched in the template',
        ),
        ({"substitutions": {"mine": "x"}}, 'substitution key "mine" does not respect format'),
        ({"steps": [{**STEP, "secretEnv": ["TOKEN"]}]}, 'secretEnv "TOKEN" is used without being defined'),
        (
            {"serviceAccount": f"projects/rehearsal/serviceAccounts/{ACCOUNT}", "options": {}},
            "if 'build.service_account' is specified, the build must either (a) specify 'build.logs_bucket'",
        ),
        ({"logsBucket": "gs://none"}, 'invalid bucket "none"; service account'),
        (
            {"source": {"storageSource": {"bucket": "none", "object": "o"}}},
            "could not resolve source: googleapi: Error 404: The specified bucket does not exist., notFound",
        ),
        ({"steps": [{**STEP, "stepz": 1}]}, "Unknown name"),
    ],
)
def test_a_build_that_cannot_be_is_refused(cloud: Cloud, build: dict[str, Any], text: str) -> None:
    answer = act(start(Raw(cloud), **build))
    assert answer.status == 400
    assert text in answer.error
    assert list(cloud.store.of("cloudbuild")) == []


@pytest.mark.parametrize(
    "build",
    [{"source": {"repoSource": {"repoName": "r"}}}, {"artifacts": {"objects": {"location": "gs://b"}}}],
)
def test_what_is_not_acted_out_is_refused(cloud: Cloud, build: dict[str, Any]) -> None:
    assert act(start(Raw(cloud), **build)).status == 501


class Seen(Acted):
    """Keeps the steps that it is given."""

    steps: list[Step]

    def run(self, cloud: context.Cloud, step: Step) -> Ran:
        self.steps.append(step)
        return Ran(seconds=1)


def test_substitutions_reach_the_steps_and_two_dollars_are_one(cloud: Cloud) -> None:
    seen = Seen()
    seen.steps = []
    cloud.steps = seen
    step = {
        "name": "bash",
        "args": ["-c", "echo $$HOME $PROJECT_ID ${_TAG} $BRANCH_NAME."],
        "env": ["A=$_TAG"],
    }

    async def work() -> None:
        done = await ended(
            Raw(cloud),
            await start(Raw(cloud), steps=[step], substitutions={"_TAG": "one"}, tags=["$_TAG"]),
        )
        assert done["tags"] == ["one"]

    act(work())
    assert list(seen.steps[0].args) == ["-c", "echo $HOME rehearsal one ."]
    assert (seen.steps[0].env, seen.steps[0].account) == ({"A": "one"}, ACCOUNT)


def test_nobody_builds_in_the_name_of_whom_they_may_not_act_as(cloud: Cloud) -> None:
    policy = cloud.access.policy("cloudresourcemanager", "projects/rehearsal")
    editor = {"role": "roles/cloudbuild.builds.editor", "members": ["user:dev@example.com"]}
    cloud.access.set_policy(
        "cloudresourcemanager",
        "projects/rehearsal",
        {"bindings": [*policy["bindings"], editor]},
        at_once=True,
    )
    answer = act(start(Raw(cloud, "dev@example.com")))
    assert answer.status == 403
    assert answer.error.startswith("caller does not have permission to act as service account")


def test_a_step_that_fails_ends_the_build_and_nothing_is_pushed(cloud: Cloud) -> None:
    grant(cloud, "roles/artifactregistry.writer")
    cloud.steps = Acted(failing={"bad": Ran(code=3, lines=["no space left on device"], seconds=4)})

    async def work() -> None:
        raw = Raw(cloud)
        await home(raw)
        steps = [{**STEP, "id": "bad"}, {"name": "bash", "args": ["true"]}]
        operation = await start(raw, steps=steps, images=[IMAGE])
        done = await ended(raw, operation)
        text = f'build step 0 "{DOCKER}" failed: step exited with non-zero status: 3'
        assert (done["status"], done["statusDetail"]) == ("FAILURE", text)
        assert done["failureInfo"] == {"type": "USER_BUILD_STEP", "detail": f"Build step failure: {text}"}
        assert [step["status"] for step in done["steps"]] == ["FAILURE", "QUEUED"]
        assert find_image(cloud, IMAGE) is None
        answer = await raw.send("GET", f"{V1}/{operation.body['name']}")
        assert answer.body["error"]["code"] == 2

    act(work())


def test_a_failure_can_be_allowed(cloud: Cloud) -> None:
    cloud.steps = Acted(failing={"bad": Ran(code=3)})
    allowed = act(_one(cloud, {**STEP, "id": "bad", "allowExitCodes": [3]}))
    assert (allowed["status"], allowed["steps"][0]["exitCode"]) == ("SUCCESS", 3)
    assert act(_one(cloud, {**STEP, "id": "bad"}))["status"] == "FAILURE"


async def _one(cloud: Cloud, step: dict[str, Any]) -> dict[str, Any]:
    return await ended(Raw(cloud), await start(Raw(cloud), steps=[step]))


@pytest.mark.parametrize("args", [["bild", "."], ["build", "-t", IMAGE], [], ["push"]])
def test_a_step_that_cannot_work_fails(cloud: Cloud, args: list[str]) -> None:
    assert act(_one(cloud, {"name": DOCKER, "args": args}))["status"] == "FAILURE"


def test_steps_wait_for_each_other_as_they_are_told(cloud: Cloud) -> None:
    long = Ran(seconds=30)
    cloud.steps = Acted(failing={"a": long, "b": long, "c": long})
    steps = [
        {"name": "bash", "id": "a"},
        {"name": "bash", "id": "b", "waitFor": ["-"]},
        {"name": "bash", "id": "c", "waitFor": ["a", "b"]},
    ]

    async def work() -> None:
        raw = Raw(cloud)
        operation = await start(raw, steps=steps)
        early = await ended(raw, operation, 10)
        assert [step["status"] for step in early["steps"]] == ["WORKING", "WORKING", "QUEUED"]
        later = await ended(raw, operation, 30)
        assert [step["status"] for step in later["steps"]] == ["SUCCESS", "SUCCESS", "WORKING"]
        assert (await ended(raw, operation))["status"] == "SUCCESS"

    act(work())


def test_a_build_that_takes_too_long_is_ended(cloud: Cloud) -> None:
    cloud.steps = Acted(failing={"*docker": Ran(seconds=3600)})

    async def work() -> None:
        raw = Raw(cloud)
        operation = await start(raw, timeout="60s")
        assert (await ended(raw, operation, 50))["status"] == "WORKING"
        done = await ended(raw, operation, 60)
        assert (done["status"], done["steps"][0]["status"]) == ("TIMEOUT", "TIMEOUT")

    act(work())


def test_time_that_does_not_pass_times_nothing_out() -> None:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "cloudbuild")
    assert act(_one(cloud, STEP))["status"] == "SUCCESS"


def test_an_account_that_may_not_push_fails_at_the_end(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await home(raw)
        done = await ended(raw, await start(raw, images=[IMAGE]))
        assert (done["status"], done["failureInfo"]["type"]) == ("FAILURE", "PUSH_FAILED")
        assert (
            'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied'
            in done["statusDetail"]
        )

    act(work())


def test_an_image_that_no_step_has_made_is_not_pushed(cloud: Cloud) -> None:
    grant(cloud, "roles/artifactregistry.writer")

    async def work() -> None:
        raw = Raw(cloud)
        await home(raw)
        other = IMAGE.replace("server", "other")
        done = await ended(raw, await start(raw, images=[other]))
        assert "An image does not exist locally with the tag" in done["statusDetail"]

    act(work())


def test_a_step_may_push_by_itself(cloud: Cloud) -> None:
    grant(cloud, "roles/artifactregistry.writer")

    async def work() -> None:
        raw = Raw(cloud)
        await home(raw)
        await ended(raw, await start(raw, steps=[STEP, {"name": DOCKER, "args": ["push", IMAGE]}]))
        assert find_image(cloud, IMAGE)

    act(work())


async def secret(raw: Raw) -> None:
    place = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"
    await raw.send("POST", f"{place}?secretId=token", {"replication": {"automatic": {}}})
    made = await raw.send("POST", f"{place}/token:addVersion", {"payload": {"data": "aGY="}})
    assert made.status == 200


def test_secrets_are_read_in_the_name_of_the_build_s_account(cloud: Cloud) -> None:
    seen = Seen()
    seen.steps = []
    cloud.steps = seen
    version = "projects/rehearsal/secrets/token/versions/latest"
    available = {"secretManager": [{"versionName": version, "env": "TOKEN"}]}
    step = {"name": "bash", "args": ["true"], "secretEnv": ["TOKEN"]}

    async def work() -> None:
        raw = Raw(cloud)
        await secret(raw)
        denied = await ended(raw, await start(raw, steps=[step], availableSecrets=available))
        assert denied["statusDetail"] == (
            f'build step 0 "bash" failed: failed to access secret version for secret {version}: rpc error: code = '
            f"PermissionDenied desc = Permission 'secretmanager.versions.access' denied for resource '{version}' (or "
            "it may not exist)."
        )
        assert seen.steps == []
        grant(cloud, "roles/secretmanager.secretAccessor")
        done = await ended(raw, await start(raw, steps=[step], availableSecrets=available))
        assert done["status"] == "SUCCESS"
        assert seen.steps[0].env == {"TOKEN": "hf"}
        none = {"secretManager": [{"versionName": version.replace("token", "none"), "env": "TOKEN"}]}
        lost = await ended(raw, await start(raw, steps=[step], availableSecrets=none))
        assert "code = NotFound" in lost["statusDetail"]

    act(work())


def test_a_build_is_cancelled_and_tried_again(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        operation = await start(raw)
        await asyncio.sleep(5)
        path = f"{B}/{operation.body['metadata']['build']['id']}"
        assert (await raw.send("POST", f"{path}:cancel", {})).body["status"] == "CANCELLED"
        assert (await raw.send("POST", f"{path}:cancel", {})).status == 400
        assert (await raw.send("GET", f"{V1}/{operation.body['name']}")).body["error"]["code"] == 1
        again = await raw.send("POST", f"{path}:retry", {})
        assert (await ended(raw, again))["status"] == "SUCCESS"

    act(work())


def test_sources_come_from_buckets_that_the_account_may_read(cloud: Cloud) -> None:
    source = {"source": {"storageSource": {"bucket": "sources", "object": "s.tgz"}}}

    async def work() -> None:
        raw = Raw(cloud)
        storage = "storage.googleapis.com"
        await raw.send(
            "POST",
            f"{storage}/storage/v1/b?project=rehearsal",
            {"name": "sources", "location": "us-central1"},
        )
        barred = await start(raw, **source)
        assert "does not have storage.objects.get access" in barred.error
        grant(cloud, "roles/storage.objectAdmin")
        assert "No such object: sources/s.tgz, notFound" in (await start(raw, **source)).error
        await raw.send(
            "POST", f"{storage}/upload/storage/v1/b/sources/o?uploadType=media&name=s.tgz", content=b"x"
        )
        done = await ended(
            raw, await start(raw, **source, logsBucket="gs://sources/logs", options={"logging": "GCS_ONLY"})
        )
        assert done["sourceProvenance"]["resolvedStorageSource"]["generation"]
        assert "FETCHSOURCE" in done["timing"]
        log = find(cloud, "sources", f"logs/log-{done['id']}.txt")
        assert log is not None
        assert b"Fetching storage object: gs://sources/s.tgz" in content_of(log).read()

    act(work())


def test_lists_are_filtered_and_the_older_methods_see_what_is_global(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await ended(raw, await start(raw, tags=["a"]))
        await start(raw, tags=["b"])
        old = f"{V1}/projects/rehearsal/builds"
        await raw.send("POST", old, {"steps": [STEP], "options": LOGGED})
        assert [one["tags"] for one in (await raw.send("GET", B)).body["builds"]] == [["b"], ["a"]]
        for text in ('tags="a"', 'status="SUCCESS"'):
            found = (await raw.send("GET", f"{B}?filter={text}")).body["builds"]
            assert [one["tags"] for one in found] == [["a"]]
        assert len((await raw.send("GET", old)).body["builds"]) == 1
        everywhere = f"{V1}/projects/rehearsal/locations/global/builds"
        assert len((await raw.send("GET", everywhere)).body["builds"]) == 1

    act(work())


def test_triggers_start_the_build_that_they_hold(cloud: Cloud) -> None:
    triggers = f"{V1}/projects/rehearsal/locations/us-central1/triggers"
    body = {
        "name": "redeploy",
        "webhookConfig": {"secret": "projects/rehearsal/secrets/hook/versions/1"},
        "build": {"steps": [{**STEP, "env": ["T=$TRIGGER_NAME", "X=${_X}"]}], "options": LOGGED},
        "substitutions": {"_X": "1"},
    }

    async def work() -> None:
        raw = Raw(cloud)
        made = (await raw.send("POST", triggers, body)).body
        assert made["resourceName"].endswith(made["id"])
        assert (await raw.send("POST", triggers, body)).status == 409
        assert (await raw.send("GET", f"{triggers}/redeploy")).body == made
        patched = await raw.send(
            "PATCH", f"{triggers}/{made['id']}?updateMask=description", {"description": "x"}
        )
        assert (patched.body["description"], patched.body["name"]) == ("x", "redeploy")
        operation = await raw.send(
            "POST", f"{triggers}/redeploy:run", {"source": {"substitutions": {"_X": "2"}}}
        )
        done = await ended(raw, operation)
        assert (done["status"], done["buildTriggerId"]) == ("SUCCESS", made["id"])
        assert done["steps"][0]["env"] == ["T=redeploy", "X=2"]
        found = (await raw.send("GET", f'{B}?filter=build_trigger_id="{made["id"]}"')).body
        assert len(found["builds"]) == 1
        assert (await raw.send("DELETE", f"{triggers}/redeploy")).status == 200
        assert (await raw.send("GET", triggers)).body == {}

    act(work())


def test_connections_to_repositories_are_kept(cloud: Cloud) -> None:
    place = "cloudbuild.googleapis.com/v2/projects/rehearsal/locations/us-central1/connections"

    async def work() -> None:
        raw = Raw(cloud)
        made = await raw.send(
            "POST", f"{place}?connectionId=hub", {"githubConfig": {"appInstallationId": "1"}}
        )
        assert made.status == 200
        link = {"remoteUri": "https://github.com/example/home.git"}
        assert (await raw.send("POST", f"{place}/hub/repositories?repositoryId=home", link)).status == 200
        assert (await raw.send("GET", f"{place}/hub/repositories/home")).body["remoteUri"] == link[
            "remoteUri"
        ]

    act(work())
