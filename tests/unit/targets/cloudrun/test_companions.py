"""A second service beside the model's: a part of its endpoint, through up, a change, list, four exports and down."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloud import act, things
from deployers import PATH, WAYS, Deployer
from deployment import google_for
from homeport import spec
from homeport.catalog import prices
from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.errors import GoogleError, NotFound
from homeport.export import export
from homeport.google import Google
from homeport.home import find_home
from homeport.listing import ListedEndpoint
from homeport.progress import Silent
from homeport.reconcile import Plan, Ref, Resource, destroy
from homeport.resources.google.service import ROLE, Service
from homeport.results import Status
from homeport.targets.cloudrun.companions import Companion
from homeport.targets.cloudrun.containers import ServiceContainer
from homeport.targets.cloudrun.endpoints import describe, list_endpoints
from homeport.targets.cloudrun.findings import findings_of
from homeport.targets.cloudrun.inventory import Unread
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import Findings, PreflightVerdict
from homeport.targets.cloudrun.target import CloudRunTarget
from preflights import ASKED, about, looked, ready
from second_service import AGENT, IMAGE

MEMBER = "serviceAccount:home-agent@rehearsal.iam.gserviceaccount.com"
AGENT_PATH = PATH.replace("services/home", "services/home-agent")


class WithAgent(Deployer):
    """Deploys a model with a made-up small service beside it."""

    companions: tuple[Companion, ...] = (AGENT,)

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        target = super().target(google, chosen, wanted, canary=canary)
        return replace(target, companions=self.companions)

    @property
    def agent(self) -> Any:  # Any: JSON
        kept = self.cloud.store.get("run", AGENT_PATH.removeprefix("v2/"))
        return kept.body if kept else None

    def resources(self) -> list[Resource]:
        wanted = self.wanted()
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        return self.target(google_for(self.cloud), chosen, wanted).resources()


@pytest.fixture(params=list(WAYS))
def deployer(request: pytest.FixtureRequest) -> WithAgent:
    return WithAgent(request.param)


def grants_on(deployer: WithAgent, path: str) -> dict[str, list[str]]:
    policy = deployer.cloud.access.policy("run", path.removeprefix("v2/"))
    return {one["role"]: one["members"] for one in policy.get("bindings", ())}


def listed(deployer: WithAgent) -> tuple[tuple[ListedEndpoint, ...], tuple[Unread, ...]]:
    return act(list_endpoints(google_for(deployer.cloud)))


def status(deployer: WithAgent) -> Status:
    return act(describe(google_for(deployer.cloud), "home", "europe-west4"))


def test_it_goes_up_with_the_model_may_call_it_and_nothing_is_left_to_do(deployer: WithAgent) -> None:
    plan, after = deployer.up(deployer.wanted())
    order = [action.resource.id for action in plan.pending]
    assert order.index("release/home") < order.index("service/home-agent")
    assert after.pending == ()
    agent = deployer.agent
    assert agent["labels"] == {"homeport": "home", ROLE: "agent"}
    assert ROLE not in deployer.service["labels"], "as those of older versions"
    assert "nodeSelector" not in agent["template"]
    assert agent["template"]["serviceAccount"].startswith("home-agent@")
    (container,) = agent["template"]["containers"]
    assert {"name": "MODEL_URL", "value": deployer.service["uri"]} in container["env"]
    assert container["volumeMounts"] == [{"name": "notes", "mountPath": "/notes"}]
    assert [one["name"] for one in agent["template"]["volumes"]] == ["notes"]
    assert grants_on(deployer, PATH) == {"roles/run.servicesInvoker": ["user:friend@example.com", MEMBER]}
    assert grants_on(deployer, AGENT_PATH) == {"roles/run.servicesInvoker": ["user:friend@example.com"]}


def test_its_newest_revision_has_all_traffic_and_the_models_waits_for_its_proof(deployer: WithAgent) -> None:
    deployer.deployed(deployer.wanted())
    first = deployer.agent["latestReadyRevision"]
    changed = replace(
        AGENT.containers[0], environment={"MODEL_URL": Ref("service/home", "uri"), "STEPS": "9"}
    )
    deployer.companions = (replace(AGENT, containers=(changed,)),)
    proven = list(deployer.proven)
    plan, after = deployer.up(deployer.wanted())
    assert [action.resource.id for action in plan.pending] == ["service/home-agent"]
    assert after.pending == ()
    newest = deployer.agent["latestReadyRevision"]
    assert newest != first
    (status_of,) = deployer.agent["trafficStatuses"]
    assert status_of["percent"] == 100
    assert "tag" not in status_of, "it is no candidate of anything"
    assert deployer.proven == proven, "nobody proved the model once more"
    assert deployer.service["traffic"][0]["type"].endswith("_REVISION"), (
        "the model's is bound to what was proven"
    )


def test_traffic_that_somebody_bound_to_an_old_revision_goes_back_to_the_newest(deployer: WithAgent) -> None:
    deployer.up(deployer.wanted())
    old = deployer.agent["latestReadyRevision"].rpartition("/")[2]

    async def bind() -> None:
        google = google_for(deployer.cloud)
        traffic = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": old, "percent": 100}]
        begun = await google.patch("run", AGENT_PATH, {"traffic": traffic}, updateMask="traffic")
        await google.finish("run", begun, key="bind", deadline=60)

    act(bind())
    plan, after = deployer.up(deployer.wanted())
    (action,) = plan.pending
    assert action.resource.id == "service/home-agent"
    assert all("traffic" in change.path for change in action.changes)
    assert after.pending == ()


def test_list_and_status_take_it_for_a_part_of_the_endpoint_with_a_price_of_its_own(
    deployer: WithAgent,
) -> None:
    deployer.deployed(deployer.wanted())
    (row,), unread = listed(deployer)
    assert not unread
    assert (row.name, row.revision) == ("home", deployer.service["latestReadyRevision"].rpartition("/")[2])
    assert row.usd_per_hour == pytest.approx((4 * 0.000018 + 16 * 0.000002 + 0.0001867) * 3600, rel=0.001)
    (part,) = row.parts
    assert (part.name, part.role, part.state, part.region) == ("home-agent", "agent", "ready", "europe-west4")
    assert part.usd_per_hour == pytest.approx((1 * 0.000018 + 0.5 * 0.000002) * 3600, rel=0.001)
    assert part.text == "service home-agent in europe-west4 (agent, ready, $0.07 an hour while it runs)"
    assert row.as_json()["parts"] == [part.as_json()]
    shown = status(deployer)
    assert shown.url == f"{deployer.service['uri']}/v1"
    assert shown.also_in == ()
    assert shown.as_json()["parts"] == [part.as_json()]


def test_without_its_model_it_is_no_endpoint_and_is_still_found_and_taken_away(deployer: WithAgent) -> None:
    deployer.deployed(deployer.wanted())

    async def delete() -> None:
        google = google_for(deployer.cloud)
        await google.finish("run", await google.delete("run", PATH), key="x", deadline=600)

    act(delete())
    with pytest.raises(NotFound, match="no service there carries the label homeport=home and serves a model"):
        status(deployer)
    (row,), _ = listed(deployer)
    assert (row.state, [part.name for part in row.parts]) == ("no service", ["home-agent"])
    gone = deployer.down(deployer.wanted(), purge=True)
    assert "service home-agent" in gone
    assert deployer.agent is None


def test_a_role_that_this_version_does_not_know_is_a_part_too(deployer: WithAgent) -> None:
    deployer.deployed(deployer.wanted())
    deployer.agent["labels"][ROLE] = "screen"
    (row,), _ = listed(deployer)
    assert [part.role for part in row.parts] == ["screen"]


def test_down_takes_it_away_before_the_model_that_it_calls_and_leaves_nothing(deployer: WithAgent) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.wanted())

    async def needs() -> dict[str, tuple[str, ...]]:
        found = await find_managed(google_for(deployer.cloud), "home")
        return {one.id: one.needs for one in found.resources}

    by_id = act(needs())
    assert "service/home" in by_id["service/home-agent"]
    assert "subnetwork/home" in by_id["service/home-agent"]
    gone = deployer.down(deployer.wanted(), purge=True)
    assert gone.index("service home-agent") < gone.index("service home")
    assert gone.index("service home") < gone.index("subnetwork home")
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


def test_an_endpoint_of_another_name_is_not_touched_though_it_begins_alike() -> None:
    deployer = WithAgent("ollama")
    deployer.up(deployer.wanted())
    deployer.agent["labels"] = {"homeport": "home-agent"}
    # It sends through our subnetwork, which therefore stays: all else of ours goes.
    with pytest.raises(GoogleError, match="subnetwork home is still in use"):
        deployer.down(deployer.wanted(), purge=True)
    assert deployer.cloud.store.get("run", PATH.removeprefix("v2/")) is None
    assert deployer.agent is not None


def test_the_graph_itself_is_taken_down_in_the_same_order(deployer: WithAgent) -> None:
    deployer.deployed(deployer.wanted())
    gone = act(destroy(deployer.resources(), Silent())).gone
    assert gone.index("service home-agent") < gone.index("service home")


def test_every_container_counts_in_the_price_and_the_quotas(deployer: WithAgent) -> None:
    wanted = deployer.wanted()
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    alone = deployer.target(google_for(deployer.cloud), chosen, wanted)
    meter = ServiceContainer(name="meter", image=IMAGE, limits={"cpu": "500m", "memory": "1536Mi"})
    both = replace(alone, beside=(meter,))
    assert both.beside_size == CpuAndMemory(cpu=0.5, memory_gib=1.5)
    assert alone.estimate.hourly is not None
    assert both.estimate.hourly is not None
    more = (0.5 * 0.000018 + 1.5 * 0.000002) * 3600
    assert both.estimate.hourly.total - alone.estimate.hourly.total == pytest.approx(more, rel=0.001)
    cpu, memory = (
        [quota.needs for quota in target.estimate.quotas if quota.what.startswith(("Cpu", "Mem"))]
        for target in (alone, both)
    )
    assert [b - a for a, b in zip(cpu, memory, strict=True)] == [0.5, 1.5]

    async def told() -> Plan:
        return (await plan_of(both))[0]

    facts = {fact.key: fact.as_json() for fact in act(told()).facts}
    assert (facts["instance"]["cpu"], facts["instance"]["memory_gib"]) == (4.5, 17.5)
    (agent,) = facts["companions"]["services"]
    assert (agent["name"], agent["role"], agent["usd_per_hour"]) == ("home-agent", "agent", 0.0684)
    assert MEMBER in facts["callers"]["callers"]


def test_its_instances_count_in_the_quotas_that_preflight_looks_at(deployer: WithAgent) -> None:
    wanted = deployer.wanted()
    deployer.companions = (replace(AGENT, max_instances=3),)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

    async def look() -> Findings:
        return await findings_of(deployer.target(google_for(deployer.cloud), chosen, wanted))

    needs = {one.subject: one.data["needs"] for one in act(look()).all if one.subject.startswith("quota/")}
    assert needs["quota/CpuAllocPerProjectRegion"] == (4 + 3 * 1) * 1000
    assert needs["quota/MemAllocPerProjectRegion"] == int((16 + 3 * 0.5) * 2**30)
    assert needs["quota/NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"] == 1


def test_a_quota_that_is_too_small_for_both_services_is_a_problem_with_the_whole_sum_in_the_command() -> None:
    cloud = ready(quotas={"CpuAllocPerProjectRegion": 5000})
    assert about(looked(cloud), "quota/CpuAllocPerProjectRegion").verdict == PreflightVerdict.OK
    found = about(
        looked(cloud, replace(ASKED, companions=CpuAndMemory(cpu=2, memory_gib=1))),
        "quota/CpuAllocPerProjectRegion",
    )
    assert found.verdict == PreflightVerdict.PROBLEM
    assert "6 CPU wanted in us-central1, 5 CPU there" in found.text
    assert "--preferred-value=6000 " in found.hint
    assert found.data["instances"] == 0


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        ({"cpu": "4", "memory": "16Gi"}, (4, 16)),
        ({"cpu": "500m", "memory": "512Mi"}, (0.5, 0.5)),
        ({"cpu": "0.5", "memory": "1536Mi"}, (0.5, 1.5)),
        ({"cpu": "1", "memory": "1073741824"}, (1, 1)),
        ({"cpu": "1000m", "memory": "1G"}, (1, 10**9 / 2**30)),
        ({}, (1, 0.5)),
    ],
)
def test_amounts_are_read_as_kubernetes_writes_them(
    limits: dict[str, str], size: tuple[float, float]
) -> None:
    assert CpuAndMemory.of(limits) == CpuAndMemory(cpu=size[0], memory_gib=size[1])
    assert prices.load().instance(CpuAndMemory.of(limits), "europe-west4").gpu == 0


def exported(deployer: WithAgent, kind: str) -> dict[str, str]:
    return export(kind, deployer.resources())


def test_knative_has_a_file_for_each_service(deployer: WithAgent) -> None:
    files = exported(deployer, "knative")
    assert list(files) == ["service.yaml", "service-home-agent.yaml"]
    names = {file: yaml.safe_load(text)["metadata"]["name"] for file, text in files.items()}
    assert names == {"service.yaml": "home", "service-home-agent.yaml": "home-agent"}
    agent = yaml.safe_load(files["service-home-agent.yaml"])
    assert agent["metadata"]["labels"] == {"homeport": "home", ROLE: "agent"}
    assert agent["spec"]["traffic"] == [{"percent": 100, "latestRevision": True}]
    assert "Put in place of __URL_OF_HOME__ what" in files["service-home-agent.yaml"]
    assert "traffic" not in yaml.safe_load(files["service.yaml"])["spec"]


def test_the_gcloud_script_makes_both_and_asks_for_the_address_once_it_is_there(deployer: WithAgent) -> None:
    files = exported(deployer, "gcloud")
    script = files["deploy.sh"]
    places = [
        script.index(f"\n{line}")
        for line in ("deploy home europe-", "SERVICE_HOME_URI=", "deploy home-agent europe-")
    ]
    assert places == sorted(places)
    assert "'run services' home-agent" in script
    assert f"grant {MEMBER} roles/run.servicesInvoker 'run services' home " in script
    assert "__SERVICE_HOME_URI__" in files["service-home-agent.in.yaml"]
    assert "__SERVICE_HOME_URI__" not in files["service.in.yaml"]


def test_cloud_build_deploys_both_the_second_with_all_traffic(deployer: WithAgent) -> None:
    files = exported(deployer, "cloudbuild")
    steps = {step["id"]: step for step in yaml.safe_load(files["cloudbuild.yaml"])["steps"]}
    assert list(steps)[-2:] == ["deploy", "deploy-home-agent"]
    agent = steps["deploy-home-agent"]["script"]
    assert "gcloud run services replace service-home-agent.yaml" in agent
    assert "candidate" not in agent
    assert "candidate" in steps["deploy"]["script"]
    prepare = files["prepare.sh"]
    assert 'it lets in then who may call home-agent"' in prepare
    assert "home-agent@rehearsal.iam.gserviceaccount.com" in prepare


def test_terraform_has_a_block_for_each_and_lets_the_one_call_the_other(deployer: WithAgent) -> None:
    text = "\n".join(exported(deployer, "terraform").values())
    agent = re.search(
        r'resource "google_cloud_run_v2_service" "agent" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL
    )
    model = re.search(
        r'resource "google_cloud_run_v2_service" "main" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL
    )
    assert agent is not None
    assert model is not None
    assert re.search(r'name += "home-agent"', agent[1])
    assert "one(google_cloud_run_v2_service.main[*].uri)" in agent[1]
    assert "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST" in agent[1]
    assert "ignore_changes = [client, client_version]" in agent[1]
    assert "ignore_changes = [client, client_version, traffic]" in model[1]
    calls = re.search(
        r'"google_cloud_run_v2_service_iam_member" "agent_calls_main" \{\n(.*?)^\}',
        text,
        re.MULTILINE | re.DOTALL,
    )
    assert calls is not None
    assert '"serviceAccount:${google_service_account.agent.email}"' in calls[1]
    assert 'variable "agent_callers"' in text
    assert 'output "agent_url"' in text


def test_a_service_that_no_export_could_name_twice_has_an_identity_of_its_own(deployer: WithAgent) -> None:
    services = [one for one in deployer.resources() if isinstance(one, Service)]
    assert [(one.own_name, one.name, one.role, one.id) for one in services] == [
        ("home", "home", "model", "service/home"),
        ("home-agent", "home", "agent", "service/home-agent"),
    ]
