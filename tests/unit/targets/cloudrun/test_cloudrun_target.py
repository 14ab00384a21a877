"""What a file comes to on Cloud Run, by either way: made, changed, unmade, in a rehearsal without processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from cloud import act, things
from deployers import PATH, WAYS, Deployer
from deployment import google_for
from gcp_rehearsal.apis.run.log import log_container_line
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.faults import parse as parse_fault
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.runtime.container_state import ContainerState, not_listening
from homeport import spec
from homeport.endpoint import Endpoint
from homeport.errors import (
    HomeportError,
    MemoryTooSmall,
    NotFound,
    OperationFailed,
    SpecError,
    VerificationFailed,
    WeightsError,
)
from homeport.google import Binding, IamResource, policy
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Plan, apply
from homeport.resources.google.traffic import latest, receipts, shares, short, tag_url, targets
from homeport.results import Status
from homeport.targets.cloudrun.endpoints import describe
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose, expected_start
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import Findings
from homeport.targets.cloudrun.regions.one_region import CloudRunLifecycle
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.weights.manifest import digest
from homeport.weights.sources.registry import parse
from on_cloudrun import deployment, unchecked
from places import TAUGHT_FOLDER
from schemas import ensure_valid
from vllm_adapters import tensors_of


@pytest.fixture(params=list(WAYS))
def deployer(request: pytest.FixtureRequest) -> Deployer:
    return Deployer(request.param)


def test_once_up_there_is_nothing_to_do_and_after_down_nothing_is_left(deployer: Deployer) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    wanted = deployer.wanted()
    plan, after = deployer.up(wanted)
    assert len(plan.pending) > 20
    assert after.pending == ()
    deployer.down(wanted, purge=False)
    left = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} - before
    assert {name.partition("/")[0] for name in left} == {"storage"}, "the weights, which are kept"
    deployer.down(wanted, purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


def test_a_change_is_proven_without_traffic_and_moves_in_the_steps_that_were_asked_for(
    deployer: Deployer,
) -> None:
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)
    seen: list[dict[str, int]] = []
    deployer.proven = Watched(lambda _: seen.append(shares(deployer.service)))
    _, after = deployer.up(deployer.wanted(parallel=2), canary=(10, 50, 100))
    assert after.pending == ()
    second = next(name for name in shares(deployer.service))
    assert seen == [{first: 100}, {first: 90, second: 10}, {first: 50, second: 50}]
    assert set(receipts(deployer.service)) == {first, second}
    assert not any(one.get("tag") for one in deployer.service["traffic"])


def test_what_a_new_project_shows_only_with_its_apis_on_stops_up_before_anything_is_made(
    deployer: Deployer,
) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    wanted = spec.parse({**deployer.wanted().model_dump(), "scaling": {"max": 40}})

    async def up() -> Plan:
        one = deployment(google_for(deployer.cloud), wanted)
        plan = await one.plan()
        assert not plan.problems
        assert {"billing", "region"} < set(unchecked(plan))
        with pytest.raises(HomeportError, match="quota/MemAllocPerProjectRegion: 640 GiB wanted"):
            await one.up()
        return await one.plan()

    plan = act(up())
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before, (
        "the APIs are on, and no more"
    )
    assert [one for one in unchecked(plan) if one != "chat template"] == ["free trial"]
    assert any("do: set scaling.max = 2" in problem for problem in plan.problems)


class Watched(list[str]):
    """A list that tells of what is added to it."""

    def __init__(self, tell: Any) -> None:  # Any: a function of one argument
        super().__init__()
        self._tell = tell

    def append(self, item: str) -> None:
        self._tell(item)
        super().append(item)


def test_what_cannot_be_proven_gets_no_traffic_and_the_next_up_tries_again(deployer: Deployer) -> None:
    deployer.deployed(deployer.wanted())
    before = shares(deployer.service)
    deployer.broken = True
    for _ in range(2):
        with pytest.raises(
            VerificationFailed, match=r"and gets no traffic: chat, stream: it does not answer$"
        ) as raised:
            deployer.up(deployer.wanted(parallel=2))
        assert raised.value.hint.startswith("what served before goes on serving; ")
        assert shares(deployer.service) == before
    deployer.broken = False
    _, after = deployer.up(deployer.wanted(parallel=2))
    assert after.pending == ()
    assert shares(deployer.service) != before


@pytest.mark.parametrize(
    ("access", "who"),
    [
        ({"callers": ["user:friend@example.com"]}, "nobody but the project's own"),
        ({"public": True, "anyone_may_spend_my_money": True}, "anybody"),
    ],
)
def test_a_first_revision_that_cannot_be_proven_is_told_as_one_that_has_the_traffic(
    access: dict[str, Any], who: str
) -> None:
    deployer = Deployer("vllm")
    deployer.broken = True
    wanted = spec.parse({**deployer.wanted().model_dump(), "access": access})
    for _ in range(2):
        with pytest.raises(VerificationFailed) as raised:
            deployer.up(wanted)
        assert shares(deployer.service) == {latest(deployer.service): 100}
        assert str(raised.value).startswith(
            "the first revision of home is not as promised. It has the traffic"
        )
        assert f"and {who} may call it: chat, stream: it does not answer" in str(raised.value)
        assert "`homeport down --on cloudrun` ends it" in raised.value.hint
        assert "goes on serving" not in raised.value.hint
        policy = deployer.cloud.access.policy("run", PATH.removeprefix("v2/"))
        assert not policy.get("bindings"), "callers are let to what is proven"
    deployer.down(wanted, purge=False)
    assert deployer.service is None


def test_what_has_all_traffic_already_and_fails_is_told_with_the_way_back() -> None:
    deployer = Deployer("vllm")
    deployer.deployed(deployer.wanted())
    deployer.deployed(deployer.wanted(parallel=2))
    (second,) = shares(deployer.service)
    deployer.route(targets({second: 100}, candidate=second))
    deployer.broken = True
    with pytest.raises(VerificationFailed, match="has all of the traffic already") as raised:
        deployer.up(deployer.wanted(parallel=2))
    assert raised.value.hint.startswith("`homeport rollback --on cloudrun` lets another serve")


def test_a_step_that_cannot_be_proven_gives_all_traffic_back_to_what_served_before(
    deployer: Deployer,
) -> None:
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)
    seen: list[dict[str, int]] = []

    def breaks(_: str) -> None:
        seen.append(shares(deployer.service))
        deployer.broken = len(seen[-1]) == 2

    deployer.proven = Watched(breaks)
    with pytest.raises(VerificationFailed) as raised:
        deployer.up(deployer.wanted(parallel=2), canary=(10, 50))
    second = latest(deployer.service)
    assert seen == [{first: 100}, {first: 90, second: 10}]
    assert shares(deployer.service) == {first: 100}
    assert [short(one["revision"]) for one in deployer.service["traffic"] if one.get("tag")] == [second]
    assert set(receipts(deployer.service)) == {first}, "no rollback goes to what failed"
    assert raised.value.hint.startswith("what served before has all of the traffic again; ")


def test_an_interrupt_in_a_step_gives_all_traffic_back_to_what_served_before() -> None:
    deployer = Deployer("vllm")
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)

    def interrupts(_: str) -> None:
        if len(shares(deployer.service)) == 2:
            raise asyncio.CancelledError

    deployer.proven = Watched(interrupts)
    with contextlib.suppress(asyncio.CancelledError, HomeportError):
        deployer.up(deployer.wanted(parallel=2), canary=(10,))
    assert shares(deployer.service) == {first: 100}
    assert latest(deployer.service) != first


def test_where_traffic_cannot_be_put_back_the_error_says_what_still_has_it() -> None:
    deployer = Deployer("vllm")
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)

    def another_changes_it(_: str) -> None:
        deployer.broken = len(shares(deployer.service)) == 2
        if deployer.broken:
            deployer.service["etag"] = '"of another change"'

    deployer.proven = Watched(another_changes_it)
    with pytest.raises(VerificationFailed, match="it does not answer") as raised:
        deployer.up(deployer.wanted(parallel=2), canary=(10,))
    second = latest(deployer.service)
    assert shares(deployer.service) == {first: 90, second: 10}
    assert f"{second} may still have 10 % of the traffic, which could not be put back" in raised.value.hint
    assert "`homeport rollback --on cloudrun`" in raised.value.hint


def status_of(deployer: Deployer) -> Status:
    return act(describe(google_for(deployer.cloud), "home", "europe-west4"))


def test_rollback_goes_to_the_newest_verified_revision_that_does_not_serve(deployer: Deployer) -> None:
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)
    assert (status_of(deployer).rollback_to, status_of(deployer).rollback_unknown) == (None, "")
    deployer.deployed(deployer.wanted(parallel=2))

    deployer.cloud.faults.append(parse_fault("run.*.revisions.list:403:times=1"))
    told = status_of(deployer)
    assert told.rollback_to is None
    assert told.rollback_unknown.startswith("its revisions could not be read: "), (
        "which is not that there are none"
    )
    assert status_of(deployer).rollback_to == first, "it is told before it is done"
    assert deployer.roll_back() == first
    assert status_of(deployer).rollback_to is not None, "and there is a way forth again"
    assert shares(deployer.service) == {first: 100}


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_rollback_while_traffic_is_split_leaves_the_revision_that_was_being_released(percent: int) -> None:
    deployer = Deployer("vllm")
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)
    deployer.deployed(deployer.wanted(parallel=2))
    (second,) = shares(deployer.service)
    deployer.deployed(deployer.wanted(parallel=3))
    (third,) = shares(deployer.service)
    deployer.route(targets({second: 100 - percent, third: percent}, candidate=third))
    assert deployer.roll_back() == second
    assert shares(deployer.service) == {second: 100}
    assert set(receipts(deployer.service)) == {first, second, third}


def test_what_is_proven_is_the_newest_revision_though_the_tag_was_on_another() -> None:
    deployer = Deployer("vllm")
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)
    deployer.broken = True
    with pytest.raises(VerificationFailed):
        deployer.up(deployer.wanted(parallel=2))
    second = latest(deployer.service)
    deployer.route(targets({first: 100}, candidate=first))
    deployer.broken = False
    seen: list[str] = []
    deployer.proven = Watched(lambda _: seen.append(tag_url(deployer.service, second)))
    _, after = deployer.up(deployer.wanted(parallel=2))
    assert seen == deployer.asked[-1:] != [""]
    assert after.pending == ()
    assert shares(deployer.service) == {second: 100}


def test_the_template_says_what_is_served_and_on_what(deployer: Deployer) -> None:
    deployer.deployed(deployer.wanted())
    template = deployer.service["template"]
    container = template["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"].partition("@")[2].startswith("sha256:")
    assert template["gpuZonalRedundancyDisabled"] is True
    assert template["maxInstanceRequestConcurrency"] == 4
    assert template["vpcAccess"]["egress"] == "ALL_TRAFFIC"
    assert template["serviceAccount"] == "home-run@rehearsal.iam.gserviceaccount.com"
    assert template["scaling"]["maxInstanceCount"] == 1
    assert not deployer.service["scaling"].get("minInstanceCount")
    probe = container["startupProbe"]
    assert 240 <= probe["periodSeconds"] * probe["failureThreshold"] <= 1800
    assert max(probe[f"{one}Seconds"] for one in ("period", "timeout", "initialDelay")) <= 240
    assert container["ports"][0]["containerPort"] == 8080
    assert probe["httpGet"]["port"] == {"ollama": 8081, "vllm": 8080}[deployer.engine], (
        "Ollama's tells of a token"
    )
    alive = container["livenessProbe"]
    assert alive["httpGet"] == {"path": {"ollama": "/", "vllm": "/health"}[deployer.engine], "port": 8080}
    assert alive["timeoutSeconds"] >= 30
    assert alive["periodSeconds"] * alive["failureThreshold"] == 300, "a busy instance lives"
    assert len(template["annotations"]["homeport/weights"]) == 64
    if deployer.engine == "vllm":
        assert template["volumes"][0]["gcs"]["readOnly"] is True
        assert "enable-buffered-read=true" in template["volumes"][0]["gcs"]["mountOptions"]
        assert container["args"][:2] == ["serve", "/models"]
        served = container["args"][container["args"].index("--served-model-name") + 1]
        assert served == template["annotations"]["homeport/model"]
        assert "/" not in served
    else:
        assert "volumes" not in template


def test_a_gpu_in_preview_goes_up_as_beta_and_once_it_is_ga_nothing_is_to_be_done(deployer: Deployer) -> None:
    deployer.cloud.quotas["MemAllocPerProjectRegion"] = 80 * 2**30
    wanted = deployer.wanted().model_copy(update={"cloudrun": spec.CloudRun(gpu="nvidia-rtx-pro-6000")})
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert deployer.service["template"]["nodeSelector"] == {"accelerator": "nvidia-rtx-pro-6000"}
    assert deployer.service["launchStage"] == "BETA"
    deployer.service["launchStage"] = "GA"  # As Google reads it where nothing is in preview any more.
    again = deployer.up(wanted).plan
    assert again.pending == ()


def test_a_change_to_a_gpu_in_preview_and_one_on_it_send_the_stage() -> None:
    deployer = Deployer("vllm")
    deployer.cloud.quotas["MemAllocPerProjectRegion"] = 80 * 2**30
    deployer.up(deployer.wanted())
    assert deployer.service["launchStage"] == "GA", "what the rehearsal fills in"
    for parallel in (4, 2):
        wanted = deployer.wanted(parallel=parallel)
        wanted = wanted.model_copy(update={"cloudrun": spec.CloudRun(gpu="nvidia-rtx-pro-6000")})
        deployer.service["launchStage"] = "GA"
        _, after = deployer.up(wanted)
        assert after.pending == ()
        assert deployer.service["launchStage"] == "BETA"


def test_a_gpu_that_is_generally_available_has_no_launch_stage(deployer: Deployer) -> None:
    service = _chosen(deployer.wanted()).service
    assert service.wanted["template"]["nodeSelector"] == {"accelerator": "nvidia-l4"}
    assert "launchStage" not in service.wanted


def test_accounts_are_granted_nothing_on_the_project_but_the_writing_of_logs(deployer: Deployer) -> None:
    deployer.deployed(deployer.wanted())
    policy = deployer.cloud.access.policy("cloudresourcemanager", "projects/rehearsal")
    ours = {
        binding["role"]
        for binding in policy["bindings"]
        if any("serviceAccount:home-" in member for member in binding["members"])
    }
    assert ours == {"roles/logging.logWriter"}


def _chosen(wanted: spec.Spec) -> CloudRunTarget:
    deployer = Deployer("vllm")
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    return act(_with(deployer, chosen, wanted))


async def _with(deployer: Deployer, chosen: ResolvedModel, wanted: spec.Spec) -> CloudRunTarget:
    return deployer.target(google_for(deployer.cloud), chosen, wanted)


def adapter(folder: Path, **config: Any) -> dict[str, str]:  # Any: JSON
    """A LoRA adapter as PEFT writes it, of no use but to be carried; as `[[engine.lora]]` names it."""
    folder.mkdir()
    told = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["o_proj"], **config}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    (folder / "adapter_model.safetensors").write_bytes(tensors_of(told["r"], len(folder.name)))
    return {"name": folder.name, "source": f"file:{folder}"}


def test_adapters_lie_beside_the_weights_and_are_served_as_models_of_their_own(tmp_path: Path) -> None:
    deployer = Deployer("vllm")
    lora = [adapter(tmp_path / "tone"), adapter(tmp_path / "terse", r=20)]
    _, after = deployer.up(deployer.wanted(lora=lora))
    assert after.pending == ()
    template = deployer.service["template"]
    arguments = template["containers"][0]["args"]
    at = arguments.index("--enable-lora")
    assert arguments[at + 1 : at + 6] == ["--max-loras", "2", "--max-lora-rank", "32", "--lora-modules"]
    modules = [json.loads(text) for text in arguments[at + 6 : at + 8]]
    assert [(one["name"], one["path"]) for one in modules] == [
        ("tone", "/adapters/tone"), ("terse", "/adapters/terse"),
    ]  # fmt: skip
    mounted = {one["name"]: one["mountPath"] for one in template["containers"][0]["volumeMounts"]}
    assert mounted == {"weights": "/models", "adapter-1": "/adapters/tone", "adapter-2": "/adapters/terse"}
    digests = dict(one.split("=") for one in template["annotations"]["homeport/adapters"].split(" "))
    for number, name in enumerate(("tone", "terse"), 1):
        gcs = next(one["gcs"] for one in template["volumes"] if one["name"] == f"adapter-{number}")
        assert gcs["readOnly"] is True
        assert f"only-dir=adapters/own/{name}/{digests[name]}" in gcs["mountOptions"]
        assert f"adapters/own/{name}/{digests[name]}/homeport-manifest.json" in deployer.objects
    deployer.down(deployer.wanted(), purge=False)
    assert any(name.startswith("adapters/own/tone/") for name in deployer.objects)
    deployer.down(deployer.wanted(), purge=True)
    assert deployer.objects == set()


def test_an_adapter_of_zeros_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    deployer, lora = Deployer("vllm"), adapter(tmp_path / "tone")
    (tmp_path / "tone" / "adapter_model.safetensors").write_bytes(tensors_of(4, 0))
    with pytest.raises(SpecError, match=r"the adapter tone \(.*\) changes nothing: its weights are zeros"):
        deployer.up(deployer.wanted(lora=[lora]))
    assert deployer.objects == set()


def test_another_adapter_is_another_revision_and_the_weights_stay(tmp_path: Path) -> None:
    deployer = Deployer("vllm")
    lora = adapter(tmp_path / "tone")
    deployer.up(deployer.wanted(lora=[lora]))
    (first,) = shares(deployer.service)
    (tmp_path / "tone" / "adapter_model.safetensors").write_bytes(tensors_of(4, 99))
    plan, after = deployer.up(deployer.wanted(lora=[lora]))
    assert {action.resource.id for action in plan.pending} == {
        "weights/lora-tone", "service/home", "release/home",
    }  # fmt: skip
    assert after.pending == ()
    assert first not in shares(deployer.service)


def test_the_room_that_adapters_take_of_the_gpu_is_counted(tmp_path: Path) -> None:
    deployer = Deployer("vllm")
    many = [adapter(tmp_path / f"tone-{number}", r=512) for number in range(3)]
    taken = []
    for lora in ([], many[:1], many):
        chosen = asyncio.run(
            choose(deployer.wanted(lora=lora), Path("/x/homeport.toml"), find_home(), Silent())
        )
        best = chosen.estimate.best
        assert best is not None
        assert best.footprint is not None
        taken.append({term.what: term.size for term in best.footprint.fixed}.get("LoRA", 0))
    assert taken[0] == 0
    assert taken[2] == 3 * taken[1] > 0


def test_a_folder_without_an_adapters_configuration_is_no_adapter() -> None:
    wanted = Deployer("vllm").wanted(lora=[{"name": "tone", "source": f"file:{TAUGHT_FOLDER}"}])
    with pytest.raises(WeightsError, match=r"has no adapter_config\.json"):
        asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))


def test_ollama_refuses_adapters_and_says_why(tmp_path: Path) -> None:
    wanted = Deployer("ollama").wanted(lora=[adapter(tmp_path / "tone")])
    with pytest.raises(SpecError, match="loads the whole of it again"):
        asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))


@pytest.mark.parametrize(
    ("path", "short"),
    [("tone, of mine", "tone-of-mine"), ("sub/..", "home"), ("sub/.", "home"), ("sub/ü", "home")],
)
def test_a_folder_of_any_name_lies_in_a_bucket_under_a_plain_one(
    tmp_path: Path, path: str, short: str
) -> None:
    model = tmp_path / path
    (tmp_path / "sub").mkdir()
    shutil.copytree(TAUGHT_FOLDER, model, dirs_exist_ok=True)
    wanted = Deployer("vllm").wanted().model_copy(update={"model": f"file:{tmp_path}/{path}"})
    chosen = _chosen(wanted).chosen
    assert chosen.pinned is not None
    assert chosen.pinned.prefix == f"models/own/{short}/{digest(chosen.pinned.pin.files)}"


def test_who_is_not_named_any_more_may_not_call_it_any_more() -> None:
    deployer = Deployer("vllm")
    deployer.deployed(deployer.wanted())
    wanted = spec.parse(
        {**deployer.wanted().model_dump(), "access": {"callers": ["user:friend@example.org"]}}
    )
    chosen = _chosen(wanted).chosen

    async def work() -> tuple[Plan, Plan]:
        google = google_for(deployer.cloud)
        by_hand = [Binding(role="roles/run.invoker", members=("user:by-hand@example.com",))]
        await policy.grant(google, IamResource(api="run", path=PATH), by_hand)
        target = deployer.target(google, chosen, wanted)
        plan, _ = await plan_of(target)
        await apply(plan, Silent())
        return plan, (await plan_of(target))[0]

    plan, after = act(work())
    assert {(str(one.kind), one.resource.id.split("/")[2]) for one in plan.pending if "grant/" in one.resource.id} == {
        ("create", "friend@example.org"), ("delete", "friend@example.com"), ("delete", "by-hand@example.com"),
    }  # fmt: skip
    assert after.pending == ()


def test_a_network_that_is_still_closed_stands_in_the_way() -> None:
    deployer = Deployer("vllm")
    isolated = spec.parse({**deployer.wanted().model_dump(), "access": {"isolated": True}})
    deployer.up(isolated)
    wanted = deployer.wanted()
    chosen = _chosen(wanted).chosen

    async def work() -> Findings:
        return (await plan_of(deployer.target(google_for(deployer.cloud), chosen, wanted)))[1]

    (found,) = act(work()).problems
    assert "the network is still closed" in found.text
    assert "firewall-rules delete home-nowhere home-to-google" in found.hint


def test_a_plan_tells_that_a_model_has_no_chat_template(tmp_path: Path) -> None:
    shutil.copytree(TAUGHT_FOLDER, tmp_path / "base", ignore=shutil.ignore_patterns("chat_template.jinja"))
    deployer = Deployer("vllm")
    wanted = deployer.wanted().model_copy(update={"model": f"file:{tmp_path}/base"})
    chosen = _chosen(wanted).chosen

    async def told() -> Plan:
        return (await plan_of(deployer.target(google_for(deployer.cloud), chosen, wanted)))[0]

    assert any("vLLM refuses chats without" in warning for warning in act(told()).warnings)


def test_a_choice_that_is_given_up_ends_what_it_fetches(tmp_path: Path) -> None:
    """Another process holds the lock of the same weights: without an end this would wait for good."""
    wanted, home = Deployer("vllm").wanted(), find_home()
    lock = home.weights / "locks" / f"{parse(wanted.model, base=tmp_path).lock}.lock"

    async def work() -> None:
        waits = asyncio.Event()
        loop = asyncio.get_running_loop()

        class Told(Silent):
            def note(self, text: str) -> None:
                loop.call_soon_threadsafe(waits.set)

        task = asyncio.create_task(choose(wanted, Path("/x/homeport.toml"), home, Told()))
        said = asyncio.create_task(waits.wait())
        await asyncio.wait((said, task), return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), f"it did not wait: {task.exception()!r}"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        asyncio.run(work())  # Which waits for its threads.


def test_a_streamed_model_is_read_from_the_buckets_address_within_a_bounded_memory() -> None:
    wanted = Deployer("vllm").wanted()
    wanted = wanted.model_copy(update={"cloudrun": spec.CloudRun(delivery="stream")})
    container = _chosen(wanted).service.wanted["template"]["containers"][0]
    assert container["args"][1].startswith("gs://rehearsal-home-weights/models/own/")
    at = container["args"].index("--load-format")
    assert container["args"][at + 1] == "runai_streamer"
    assert {"name": "RUNAI_STREAMER_MEMORY_LIMIT", "value": str(4 * 2**30)} in container["env"]


def test_who_streams_may_look_at_the_bucket_as_the_streamer_does_and_nobody_else() -> None:
    wanted = Deployer("vllm").wanted()
    streamed = wanted.model_copy(update={"cloudrun": spec.CloudRun(delivery="stream")})
    granted = [
        {one.id.split("/")[1] for one in _chosen(each).foundations.grants() if "/home-run/" in one.id}
        for each in (wanted, streamed)
    ]
    assert granted == [{"storage.objectViewer"}, {"storage.objectViewer", "storage.legacyBucketReader"}]


class Refusing(Willing):
    """The first container is not let to the bucket yet; its log alone says so."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        self.cloud, self.refused = cloud, 0

    def service(self, revision: Mapping[str, Any], waited: float) -> ContainerState:  # Any: JSON
        if self.refused:
            return super().service(revision, waited)
        self.refused += 1
        account = revision["serviceAccount"]
        line = f"Forbidden: 403 GET /storage/v1/b/w: {account} does not have storage.buckets.get access to the bucket"
        log_container_line(self.cloud, revision, line, container="")
        return ContainerState(failure=not_listening(8080))


def test_a_container_that_lacked_a_grant_is_begun_again_while_it_spreads() -> None:
    deployer = Deployer("vllm")
    deployer.cloud.containers = refusing = Refusing(deployer.cloud)
    wanted = deployer.wanted().model_copy(update={"cloudrun": spec.CloudRun(delivery="stream")})
    _, after = deployer.up(wanted)
    assert (refusing.refused, after.pending) == (1, ())
    assert len(deployer.proven) == 1


def test_after_a_change_that_does_not_start_the_status_is_of_what_serves(tmp_path: Path) -> None:
    deployer = Deployer("vllm")
    wanted = deployer.wanted()
    deployer.deployed(wanted)
    (first,) = shares(deployer.service)
    shutil.copytree(TAUGHT_FOLDER, tmp_path / "another")
    containers = deployer.cloud.containers
    assert isinstance(containers, Willing)
    containers.failing["home-00002"] = not_listening(8080)
    with pytest.raises(OperationFailed):
        deployer.up(wanted.model_copy(update={"model": f"file:{tmp_path / 'another'}"}))

    async def status() -> Any:  # Any: JSON
        one = deployment(google_for(deployer.cloud), wanted)
        return await one.status(), (await one.connect()).model

    told, asked = act(status())
    assert (told.traffic, told.model, asked) == ({first: 100}, TAUGHT_FOLDER.name, TAUGHT_FOLDER.name)


def test_rollback_works_after_a_change_that_did_not_start() -> None:
    deployer = Deployer("vllm")
    wanted = deployer.wanted()
    deployer.deployed(wanted)
    (first,) = shares(deployer.service)
    deployer.deployed(deployer.wanted(parallel=2))
    containers = deployer.cloud.containers
    assert isinstance(containers, Willing)
    containers.failing["home-00003"] = not_listening(8080)
    with pytest.raises(OperationFailed):
        deployer.up(deployer.wanted(parallel=3))

    async def roll_back() -> str:
        one = deployment(google_for(deployer.cloud), wanted)
        return (await one.rollback()).serving

    assert act(roll_back()) == first
    assert shares(deployer.service) == {first: 100}


def test_a_rollback_tells_where_it_serves_and_is_no_failure_where_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployer = Deployer("vllm")
    deployer.deployed(deployer.wanted())
    (first,) = shares(deployer.service)
    deployer.deployed(deployer.wanted(parallel=2))
    (second,) = shares(deployer.service)

    async def rolled_back() -> Any:  # Any: JSON
        return (await deployment(google_for(deployer.cloud), deployer.wanted()).rollback()).as_json()

    told = act(rolled_back())
    ensure_valid("rollback", told)
    assert (told["serving"], told["changed"], told["report"]) == (first, ["release/home"], None)
    assert told["endpoint"]["base_url"] == f"{deployer.service['uri']}/v1"

    async def unread(_: object) -> Endpoint:
        raise NotFound("it is out of reach")

    monkeypatch.setattr(CloudRunLifecycle, "endpoint", unread)
    told = act(rolled_back())
    ensure_valid("rollback", told)
    assert (told["serving"], told["endpoint"]) == (second, None), "to type it again would undo it"


def test_a_file_cache_has_a_volume_in_memory_that_holds_the_weights() -> None:
    wanted = (
        Deployer("vllm").wanted().model_copy(update={"cloudrun": spec.CloudRun(delivery="gcsfuse-cached")})
    )
    target = _chosen(wanted)
    cache, weights = target.service.wanted["template"]["volumes"]
    assert f"cache-dir=cr-volume:{cache['name']}" in weights["gcs"]["mountOptions"]
    assert int(cache["emptyDir"]["sizeLimit"].removesuffix("Mi")) * 2**20 >= target.chosen.published.size
    pinned = target.chosen.pinned
    assert pinned is not None
    large = replace(pinned.pin, files=(replace(pinned.pin.files[0], size=40 * 2**30),))
    chosen = replace(target.chosen, pinned=replace(pinned, pin=large))
    with pytest.raises(MemoryTooSmall, match=r"a file cache keeps 40\.0 GiB"):
        _ = replace(target, chosen=chosen).service


def test_the_expected_cold_start_is_known_without_the_weights() -> None:
    target = _chosen(Deployer("vllm").wanted())
    assert expected_start(target.spec, target.spec_file).text == target.cold_start.text


def test_an_isolated_endpoint_has_no_way_in_from_outside_and_none_out_but_to_google() -> None:
    wanted = Deployer("vllm").wanted().model_copy(update={"access": spec.Access(isolated=True)})
    target = _chosen(wanted)
    assert target.service.wanted["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    ids = {one.id for one in target.resources()}
    assert {"firewall/home-to-google", "firewall/home-nowhere"} <= ids


def test_a_model_that_fits_no_gpu_is_refused_with_what_would_fit() -> None:
    wanted = spec.parse({"name": "home", "model": "gemma-4-31b", "engine": {"kind": "ollama", "context": 262144, "parallel": 64},
                         "cloudrun": {"gpu": "nvidia-l4"}})  # fmt: skip
    with pytest.raises(MemoryTooSmall, match="does not fit"):
        asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))


def test_settings_that_the_engine_cannot_honour_are_refused() -> None:
    with pytest.raises(SpecError, match="ollama takes no extra_args or dtype"):
        asyncio.run(
            choose(
                Deployer("ollama").wanted(dtype="float16"), Path("/x/homeport.toml"), find_home(), Silent()
            )
        )
