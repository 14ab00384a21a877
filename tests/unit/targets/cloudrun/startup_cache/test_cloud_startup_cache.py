"""A startup cache on Cloud Run: made once by a job, written by its account alone, used by the service, and gone with it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from caching import CachingDeployer
from cloud import act, enable
from deployment import google_for
from gcp_rehearsal.apis.storage.objects import put_object
from gcp_rehearsal.cloud import Delays
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.runtime.container_state import Failure
from homeport import spec
from homeport.errors import NotManaged, PermissionDenied
from homeport.export import KINDS, export
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import ActionKind, Plan, apply, make_plan
from homeport.startup_cache.restore_log import restore_seconds
from homeport.targets.cloudrun.endpoints import describe
from homeport.targets.cloudrun.marks import CACHED
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.startup_cache.room import with_room
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.unwanted import unwanted_of

JOB = "projects/rehearsal/locations/europe-west4/jobs/home-cache"
CACHES = "rehearsal-home-caches"
MAKER, RUNNER = (f"serviceAccount:home-{one}@rehearsal.iam.gserviceaccount.com" for one in ("cache", "run"))
FAILED = Failure(message="Out of memory.", execution_reason="NON_ZERO_EXIT_CODE", code=137)


class Heard(Silent):
    """Keeps what it is told in notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def target(deployer: CachingDeployer, wanted: spec.Spec) -> CloudRunTarget:
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    return deployer.target(google_for(deployer.cloud), chosen, wanted)


def planned(deployer: CachingDeployer, wanted: spec.Spec) -> tuple[CloudRunTarget, Plan]:
    """What `plan` shows, with the room that there is."""
    made = target(deployer, wanted)

    async def work() -> tuple[CloudRunTarget, Plan]:
        settled = await with_room(made)
        return settled, (await plan_of(settled))[0]

    return act(work())


def fact(plan: Plan) -> Any:  # Any: JSON
    return plan.as_json()["facts"]["startup_cache"]


def container(deployer: CachingDeployer) -> Any:  # Any: JSON
    return deployer.service["template"]["containers"][0]


def said(deployer: CachingDeployer, flag: str) -> str:
    args = container(deployer)["args"]
    return str(args[args.index(flag) + 1])


def test_a_job_makes_it_once_and_is_gone_and_the_service_names_its_manifest() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached()
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert deployer.runs() == 1
    assert deployer.cloud.store.get("run", JOB) is None
    fingerprint, manifest = said(deployer, "--fingerprint"), said(deployer, "--manifest")
    assert {f"caches/{fingerprint}/{name}" for name in ("files.pack", "manifest.json")} <= deployer.objects
    assert said(deployer, "--from") == f"/homeport-caches/caches/{fingerprint}"
    assert deployer.service["template"]["annotations"]["homeport/startup-cache"] == manifest
    assert container(deployer)["args"][container(deployer)["args"].index("--") + 1 :][:2] == ["vllm", "serve"]
    deployer.up(wanted)
    assert deployer.runs() == 1
    status = act(describe(google_for(deployer.cloud), "home", "europe-west4"))
    assert status.startup_cache == manifest


def test_the_job_is_the_services_start_but_for_its_account_and_its_right_to_write() -> None:
    deployer = CachingDeployer()
    made = target(deployer, deployer.cached())
    cache = made.cache
    assert cache is not None
    task = cache.job("f" * 32)["template"]["template"]
    service = made.service.wanted["template"]
    mine, its = task["containers"][0], service["containers"][0]
    for key in ("image", "env"):
        assert mine[key] == its[key]
    assert mine["resources"]["limits"] == its["resources"]["limits"]
    for key in ("nodeSelector", "vpcAccess"):
        assert task[key] == service[key]
    engine = list(made.launch.command)
    assert mine["args"][-len(engine) :] == its["args"][-len(engine) :] == engine
    assert task["serviceAccount"] != service["serviceAccount"]
    volumes = {one["name"]: one for one in service["volumes"]}
    for volume in task["volumes"]:
        if volume["name"] != "startup-caches":
            assert volume == volumes[volume["name"]]
        else:
            assert (volume["gcs"]["readOnly"], volumes["startup-caches"]["gcs"]["readOnly"]) == (False, True)
    assert task["maxRetries"] == 0


def test_only_the_jobs_account_may_write_to_the_caches_and_it_may_not_write_to_the_weights() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached())
    granted = {
        bucket: {
            (member, binding["role"])
            for binding in deployer.cloud.access.policy("storage", f"b/{bucket}")["bindings"]
            for member in binding["members"]
            if member in {MAKER, RUNNER}
        }
        for bucket in (CACHES, "rehearsal-home-weights")
    }
    assert granted == {
        CACHES: {(MAKER, "roles/storage.objectUser"), (RUNNER, "roles/storage.objectViewer")},
        "rehearsal-home-weights": {(one, "roles/storage.objectViewer") for one in (MAKER, RUNNER)},
    }


def test_another_flag_is_another_cache_and_what_a_rollback_reads_stays() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached())
    first = said(deployer, "--fingerprint")
    _, after = deployer.up(deployer.cached(parallel=2))
    assert after.pending == ()
    second = said(deployer, "--fingerprint")
    assert first != second
    assert deployer.runs() == 2
    assert {f"caches/{one}/manifest.json" for one in (first, second)} <= deployer.objects


def test_a_job_that_fails_stops_nothing_and_the_next_up_tries_again() -> None:
    deployer = CachingDeployer()
    deployer.containers.failing["home-cache"] = FAILED
    wanted, heard = deployer.cached(), Heard()
    made = target(deployer, wanted)

    async def work() -> None:
        await apply(await make_plan("home", "cloudrun", made.resources()), heard)

    act(work())
    assert any("no startup cache was made, and starts go on without one" in one for one in heard.notes)
    assert said(deployer, "--manifest") == "none"
    assert deployer.cloud.store.get("run", JOB) is None
    deployer.containers.failing.clear()
    plan, after = deployer.up(wanted)
    assert ActionKind.CREATE in {one.kind for one in plan.pending if one.resource.kind == "startup cache"}
    assert after.pending == ()
    assert said(deployer, "--manifest").startswith("sha256:")


def test_a_job_that_an_up_before_has_begun_is_waited_for_and_not_begun_twice() -> None:
    deployer = CachingDeployer()
    deployer.cloud.faults.append(
        Fault(method="run.projects.locations.jobs.run", drop=True, after=True, times=1)
    )
    _, after = deployer.up(deployer.cached())
    assert after.pending == ()
    assert deployer.runs() == 1


def test_a_job_of_somebody_elses_is_left_alone() -> None:
    deployer = CachingDeployer()
    body = {"template": {"template": {"containers": [{"image": "example.com/mine"}]}}}
    parent = JOB.rpartition("/")[0]

    enable(deployer.cloud, "run")

    async def theirs() -> None:
        google = google_for(deployer.cloud)
        await google.finish("run", await google.post("run", f"v2/{parent}", body, jobId="home-cache"))

    act(theirs())
    with pytest.raises(NotManaged, match="homeport did not make it"):
        deployer.up(deployer.cached())
    assert deployer.cloud.store.get("run", JOB) is not None


def test_a_start_is_expected_to_be_as_its_revision_was_made() -> None:
    deployer = CachingDeployer()
    made = target(deployer, deployer.cached())
    cached = {CACHED: f"sha256:{'0' * 64}"}
    assert made.start_of({"template": {"annotations": cached}}) == made.cold_start
    for without in ({}, {"annotations": {CACHED: "none"}}):
        assert made.start_of({"template": without}) == made.first_start
    assert made.cold_start.likely < made.first_start.likely
    line = "homeport: startup cache: 22 files, 1.9 MB, checked and in place after 0.4 s"
    assert restore_seconds(f"INFO\n{line}\nINFO") == {"restore": 0.4}
    assert (
        restore_seconds("homeport: startup cache: left aside, and the start goes on without it: torn") == {}
    )


def test_a_torn_pack_is_none_and_is_made_again() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached()
    deployer.deployed(wanted)
    fingerprint = said(deployer, "--fingerprint")
    put_object(deployer.cloud, CACHES, f"caches/{fingerprint}/files.pack", b"torn")
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert deployer.runs() == 2


def test_a_plan_says_what_it_saves_and_what_making_it_costs() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached()
    _, plan = planned(deployer, wanted)
    told = fact(plan)
    assert told["state"] == "to be made"
    assert told["likely_s"] < told["likely_without_s"]
    assert 0 < told["making_usd"] < 1
    assert told["text"].startswith("made once by a job with the same GPU")
    deployer.deployed(wanted)
    assert fact(planned(deployer, wanted)[1])["state"] == "there"


def test_without_room_beside_a_service_none_is_made_and_the_plan_says_so() -> None:
    deployer = CachingDeployer()
    deployer.cloud.quotas["NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"] = 1
    deployer.up(deployer.cached(how="off"))
    settled, plan = planned(deployer, deployer.cached())
    assert fact(plan)["state"] == "none"
    assert "the quotas hold none beside those that the service may have" in fact(plan)["text"]
    assert settled.cache is None
    assert not [one for one in plan.actions if one.resource.kind == "startup cache"]

    fresh = CachingDeployer()
    fresh.cloud.quotas.update(deployer.cloud.quotas)
    assert fact(planned(fresh, fresh.cached())[1])["state"] == "to be made", (
        "before the service has instances"
    )


def test_an_engine_that_compiles_nothing_keeps_nothing() -> None:
    deployer = CachingDeployer("ollama")
    _, plan = planned(deployer, deployer.cached())
    assert fact(plan)["text"] == "none: Ollama compiles nothing, and so keeps nothing of a start"
    assert not [one for one in plan.actions if "cache" in one.resource.id]


def test_wanted_no_more_nobody_may_write_and_a_rollback_still_starts() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached())
    _, after = deployer.up(deployer.cached(how="off"))
    assert after.pending == ()
    assert "restore" not in container(deployer).get("args", [])
    policy = json.dumps(deployer.cloud.access.policy("storage", f"b/{CACHES}"))
    assert MAKER not in policy
    assert RUNNER in policy
    assert any(one.endswith("/manifest.json") and one.startswith("caches/") for one in deployer.objects)
    deployer.roll_back()


def test_where_weights_are_streamed_the_job_reads_them_as_the_service_does() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached()
    assert wanted.cloudrun is not None
    streamed = wanted.cloudrun.model_copy(update={"delivery": "stream"})
    made = target(deployer, wanted.model_copy(update={"cloudrun": streamed}))
    cache = made.cache
    assert cache is not None
    mine = {one.id for one in cache.grants() if "/home-cache/" in one.id}
    assert "grant/storage.legacyBucketReader/home-cache/bucket/rehearsal-home-weights" in mine
    task = cache.job("f" * 32)["template"]["template"]
    assert not [one for one in task["volumes"] if one["name"] == "weights"]
    assert [one for one in task["containers"][0]["args"] if one.startswith("gs://rehearsal-home-weights/")]


def test_in_an_image_of_ours_the_scripts_are_where_they_are_in_a_mount() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached()
    assert wanted.cloudrun is not None
    built = wanted.cloudrun.model_copy(update={"image_from": "build"})
    made = target(deployer, wanted.model_copy(update={"cloudrun": built}))
    assert made.own_files.objects == ()
    for path in ("/homeport/startup_cache.py", "/homeport/make_startup_cache.py"):
        assert f'"{path}"]' in made.recipe.dockerfile
    assert made.cache is not None
    assert made.service.wanted["template"]["containers"][0]["args"][0] == "/homeport/startup_cache.py"


def test_vectors_are_asked_for_where_a_model_makes_vectors() -> None:
    deployer = CachingDeployer()
    made = target(deployer, deployer.cached())
    cache = made.cache
    assert cache is not None
    vectors = replace(cache, launch=replace(cache.launch, task="embed"))
    asked = [one.job("f" * 32)["template"]["template"]["containers"][0]["args"] for one in (cache, vectors)]
    assert [args[args.index("--ask") + 1] for args in asked] == ["/v1/completions", "/v1/embeddings"]


def leave_behind(deployer: CachingDeployer, fingerprint: str, endpoint: str = "home") -> None:
    """A job that an `up` for another start has begun, and that ended before it."""
    enable(deployer.cloud, "run")
    marks = {"labels": {"homeport": endpoint}, "annotations": {"homeport/fingerprint": fingerprint}}
    body = {
        **marks,
        "template": {"template": {"containers": [{"image": "example.com/engine"}], "timeout": "3600s"}},
    }

    async def work() -> None:
        google = google_for(deployer.cloud)
        await google.finish(
            "run", await google.post("run", f"v2/{JOB.rpartition('/')[0]}", body, jobId="home-cache")
        )
        await google.post("run", f"v2/{JOB}:run", {})

    deployer.containers.seconds["example.com/engine"] = 3000.0
    act(work())


def test_a_job_that_was_begun_for_another_start_is_ended_and_made_anew() -> None:
    deployer = CachingDeployer(delays=Delays(grants=0, accounts=0, apis=0, operations=1))
    leave_behind(deployer, "f" * 32)
    left = deployer.cloud.store.get("run", JOB)
    assert left is not None
    assert "completionTime" not in left.body["latestCreatedExecution"], "it runs"
    _, after = deployer.up(deployer.cached())
    assert after.pending == ()
    assert deployer.runs() == 2, "the one of before, and its own"
    assert deployer.cloud.store.get("run", JOB) is None


def test_a_job_that_was_not_taken_away_after_it_made_the_cache_goes_with_the_next_up() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached()
    deployer.cloud.faults.append(Fault(method="run.projects.locations.jobs.delete", status=403, times=1000))
    with pytest.raises(PermissionDenied):
        deployer.up(wanted)
    deployer.cloud.faults.clear()
    assert deployer.cloud.store.get("run", JOB) is not None
    runs = deployer.runs()
    _, plan = planned(deployer, wanted)
    assert [action.kind for action in plan.pending if action.resource.kind == "startup cache"] == [
        ActionKind.UPDATE
    ]
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert deployer.runs() == runs, "nothing is compiled again"
    assert deployer.cloud.store.get("run", JOB) is None


@pytest.mark.parametrize("purge", [False, True])
def test_down_takes_all_of_it_away_a_job_that_was_left_behind_too(purge: bool) -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached()
    deployer.deployed(wanted)
    leave_behind(deployer, "f" * 32)
    gone = deployer.down(wanted, purge=purge)
    assert {"job home-cache", "bucket of startup caches rehearsal-home-caches with 2 objects"} <= set(gone)
    assert deployer.cloud.store.get("run", JOB) is None
    assert deployer.cloud.store.get("storage", f"b/{CACHES}") is None
    assert (deployer.cloud.store.get("storage", "b/rehearsal-home-weights") is None) is purge


@pytest.mark.parametrize("kind", KINDS)
def test_exports_make_what_it_needs_and_say_that_up_makes_it(kind: str) -> None:
    deployer = CachingDeployer()
    made = target(deployer, deployer.cached())
    files = export(kind, made.resources())
    text = "".join(files.values())
    if kind in {"gcloud", "terraform"}:
        assert "the startup cache. A start finds none" in " ".join(text.replace("#", " ").split())
    if kind in {"trigger", "github"}:
        assert "run.jobs." not in text, "a plan looks at no job"
        plain = export(kind, target(deployer, deployer.cached(how="off")).resources())
        assert "rehearsal-home-caches" in text
        assert "rehearsal-home-caches" not in "".join(plain.values())
    if kind in {"gcloud", "knative", "terraform"}:
        assert "/homeport/startup_cache.py" in text, "the service starts as `up` would start it"


def break_off(deployer: CachingDeployer, wanted: spec.Spec) -> None:
    """A first `up` that ends while its job runs: there is the account with its grants, the job, and no service yet."""
    third = Fault(method="run.projects.locations.jobs.get", nth=3, times=1000, status=403)
    deployer.cloud.faults.append(third)
    with pytest.raises(PermissionDenied):
        deployer.up(wanted)
    deployer.cloud.faults.remove(third)
    assert deployer.service is None
    assert deployer.cloud.store.get("run", JOB) is not None
    assert MAKER in json.dumps(deployer.cloud.access.policy("storage", f"b/{CACHES}"))


def account_there(deployer: CachingDeployer) -> bool:
    email = MAKER.partition(":")[2]
    return deployer.cloud.store.get("iam", f"projects/rehearsal/serviceAccounts/{email}") is not None


def test_off_after_a_first_up_that_was_broken_off_takes_writer_and_job_away() -> None:
    deployer = CachingDeployer()
    break_off(deployer, deployer.cached())
    assert account_there(deployer)
    plan, after = deployer.up(deployer.cached(how="off"))
    assert after.pending == ()
    assert "homeport-startup-cache" not in deployer.service["labels"]
    assert not account_there(deployer)
    assert deployer.cloud.store.get("run", JOB) is None
    for bucket in (CACHES, "rehearsal-home-weights"):
        assert MAKER not in json.dumps(deployer.cloud.access.policy("storage", f"b/{bucket}"))
    (told,) = [
        one.summary
        for one in plan.pending
        if one.resource.kind == "service account" and one.kind is ActionKind.DELETE
    ]
    assert (
        told
        == "service account home-cache@rehearsal.iam.gserviceaccount.com, and the job home-cache where an `up` has left it"
    )


def test_off_ends_a_job_beside_a_service_that_had_a_cache() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached())
    leave_behind(deployer, "f" * 32)
    _, after = deployer.up(deployer.cached(how="off"))
    assert after.pending == ()
    assert not account_there(deployer)
    assert deployer.cloud.store.get("run", JOB) is None


def test_off_leaves_a_job_of_somebody_elses() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached())
    leave_behind(deployer, "f" * 32, endpoint="another")
    deployer.up(deployer.cached(how="off"))
    assert not account_there(deployer)
    assert deployer.cloud.store.get("run", JOB) is not None


def test_an_engine_that_keeps_nothing_takes_the_writer_of_another_away() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached())
    deployer.engine = "ollama"
    _, after = deployer.up(deployer.cached())
    assert after.pending == ()
    assert not account_there(deployer)
    assert MAKER not in json.dumps(deployer.cloud.access.policy("storage", f"b/{CACHES}"))


def test_a_plan_that_wants_no_cache_asks_for_its_account_and_for_nothing_else_of_it() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached(how="off")
    deployer.deployed(wanted)
    begun = len(deployer.cloud.log)
    planned(deployer, wanted)
    asked = [one for one in list(deployer.cloud.log)[begun:] if "cache" in json.dumps(str(one))]
    assert [one.method for one in asked] == ["iam.projects.serviceAccounts.get"]


def test_labels_of_the_service_are_asked_for_once_by_all_that_look_for_what_is_left() -> None:
    deployer = CachingDeployer()
    wanted = deployer.cached(how="off")
    deployer.deployed(wanted)
    made = target(deployer, wanted)
    begun = len(deployer.cloud.log)
    act(unwanted_of(made))
    mine = [one.method for one in list(deployer.cloud.log)[begun:] if one.name.endswith("/services/home")]
    assert mine == ["run.projects.locations.services.get"]


def test_a_quota_that_cannot_be_read_is_said_to_be_not_known() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached(how="off"))
    deployer.cloud.faults.append(
        Fault(method="cloudquotas.projects.locations.services.quotaInfos.get", status=403, times=100)
    )
    settled, plan = planned(deployer, deployer.cached())
    assert settled.cache is None
    told = fact(plan)["text"]
    assert "it is not known whether the quotas hold one beside those that the service may have" in told
    assert "could not be read" in told
    assert "the quotas hold none" not in told


def test_a_job_that_may_not_be_looked_at_keeps_the_account_and_nobody_may_write() -> None:
    deployer = CachingDeployer()
    deployer.deployed(deployer.cached())
    deployer.cloud.faults.append(Fault(method="run.projects.locations.jobs.get", times=1000, status=403))
    with pytest.raises(PermissionDenied):
        deployer.up(deployer.cached(how="off"))
    assert account_there(deployer), "by which the next `up` finds it"
    assert MAKER not in json.dumps(deployer.cloud.access.policy("storage", f"b/{CACHES}"))
    deployer.cloud.faults.clear()
    deployer.up(deployer.cached(how="off"))
    assert not account_there(deployer)
