"""`[agent]` of the file: a service beside the model's, of an image of ours, that may call the model and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import zipfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
import pytest
import yaml

from agents_beside import MEMBER, WithAgentTable
from cloud import act, things
from deployers import PATH, WAYS, Deployer
from deployment import google_for
from homeport import addresses, spec
from homeport.agents.builtin import calculate
from homeport.agents.loop import AgentSetup
from homeport.agents.service.app import on_port
from homeport.agents.service.container import _awake, agent_of
from homeport.agents.service.served import ServedAgent
from homeport.agents.tool import tool_of
from homeport.backoff import Backoff
from homeport.endpoint import Endpoint
from homeport.endpoint.start import Start
from homeport.errors import SpecError, Unsupported
from homeport.export import export
from homeport.reconcile import ActionKind
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.object import Object
from homeport.resources.google.traffic import latest
from homeport.spec import Spec
from homeport.targets.cloudrun.agent.check import ReachedAgent, answers
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.edge.proof import expected_at
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.verification.revision import Verifier, endpoint_of
from homeport.verify import Finding, Outcome, Result
from homeport.wheel import constraints, own_wheel
from private_service import Service as PrivateService
from private_service import reached
from tool_script import ToolScript


@pytest.fixture(params=list(WAYS))
def deployer(request: pytest.FixtureRequest) -> WithAgentTable:
    return WithAgentTable(request.param)


def test_it_goes_up_after_the_model_with_an_account_that_may_call_the_model_and_nothing_else(
    deployer: WithAgentTable,
) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    wanted = deployer.with_table(tools=["calculator"], max_steps=5)
    plan, after = deployer.up(wanted)
    order = [action.resource.id for action in plan.pending]
    assert order.index("release/home") < order.index("service/home-agent")
    assert order.index("image/agent") < order.index("service/home-agent")
    assert after.pending == ()
    agent = deployer.agent
    assert agent["template"]["serviceAccount"].startswith("home-agent@")
    (container,) = agent["template"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env["MODEL_URL"] == deployer.service["uri"]
    described = json.loads(env["HOMEPORT_AGENT"])
    assert (described["tools"], described["max_steps"]) == (["calculator"], 5)
    assert container["image"].rpartition("@")[0].endswith("/agent")
    granted = [one for one in deployer.made(wanted).resources() if getattr(one, "member", "") == MEMBER]
    assert [(one.role, one.on.path) for one in granted] == [("roles/run.servicesInvoker", PATH)]  # type: ignore[attr-defined]
    gone = deployer.down(wanted, purge=True)
    assert gone.index("service home-agent") < gone.index("service home")
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


def test_without_its_table_the_next_up_takes_the_agent_away_and_leaves_the_model(
    deployer: WithAgentTable,
) -> None:
    deployer.deployed(deployer.with_table(tools=["calculator"]))
    serving = deployer.service["latestReadyRevision"]
    plan, after = deployer.up(deployer.wanted())
    gone = [action.resource.id for action in plan.pending if action.kind is ActionKind.DELETE]
    assert gone.index("service/home-agent") < gone.index("service-account/home-agent")
    assert after.pending == ()
    assert deployer.agent is None
    assert deployer.service["latestReadyRevision"] == serving
    assert not any(
        MEMBER in one["members"]
        for one in deployer.cloud.access.policy("run", PATH.removeprefix("v2/"))["bindings"]
    )


def who_may_call(deployer: WithAgentTable, *, proving: bool) -> Result:
    """What a check finds of a service whose file has no agent any more: in the proof of another revision, or in a `verify`."""
    target = deployer.made(deployer.wanted(context=4096))

    async def work() -> Result:
        async with google_for(deployer.cloud) as google:
            service = await google.get("run", PATH)
            endpoint = endpoint_of(google, service, target.launch.model)
            promise = await expected_at(target, endpoint, service, latest(service) if proving else "")
            verifier = Verifier(
                google=google,
                stranger=target.names.email(target.names.builder),
                network="",
                only=("private",),
            )
            (result,) = (await verifier.report(promise, service, latest(service))).results
            return result

    return act(work())


@pytest.mark.parametrize("stranger", ["", "user:stranger@example.com"])
def test_the_proof_of_a_new_revision_takes_an_agent_that_leaves_for_no_stranger(
    deployer: WithAgentTable, stranger: str
) -> None:
    """Its right goes after that, since it serves until then; nobody has named it."""
    deployer.deployed(deployer.with_table(tools=["calculator"]))
    if stranger:
        held = dict(deployer.cloud.access.policy("run", PATH.removeprefix("v2/")))
        opened = [{**one, "members": [*one["members"], stranger]} for one in held["bindings"]]
        deployer.cloud.access.set_policy("run", PATH.removeprefix("v2/"), {**held, "bindings": opened})
    result = who_may_call(deployer, proving=True)
    if stranger:
        assert result.outcome is Outcome.FAILED, result
        assert MEMBER not in result.detail
    else:
        assert result.outcome is Outcome.PASSED, result
        assert f"and {MEMBER} until this `up` takes it away" in result.detail
        named = len(result.evidence["members"]) - 1
        assert result.detail.startswith(f"{named} named callers")


def test_verify_finds_an_account_of_the_endpoints_own_that_was_left_with_a_right(
    deployer: WithAgentTable,
) -> None:
    deployer.deployed(deployer.with_table(tools=["calculator"]))
    result = who_may_call(deployer, proving=False)
    assert result.outcome is Outcome.FAILED, result
    assert f"{MEMBER} may call it, though [access] callers does not name them" in result.detail


@pytest.mark.parametrize("account", ["home-agent", "home-gateway", "home-edge"])
@pytest.mark.parametrize("with_agent_too", [False, True])
def test_a_caller_that_is_an_account_of_the_endpoints_own_needs_nothing_that_the_file_has_not(
    account: str, with_agent_too: bool
) -> None:
    deployer = WithAgentTable("ollama")
    member = f"serviceAccount:{account}@rehearsal.iam.gserviceaccount.com"
    table = deployer.with_table(tools=["calculator"]) if with_agent_too else deployer.wanted()
    wanted = spec.parse({**table.model_dump(exclude_none=True), "access": {"callers": [member]}})
    target = deployer.made(wanted)
    plan, _ = act(plan_of(target))
    ids = [action.resource.id for action in plan.pending]
    granted = {id_ for id_ in ids if account in id_ and id_.endswith("/service/home")}
    assert granted == {f"grant/run.servicesInvoker/{account}/service/home"}
    known_as = "google_service_account.agent.email" if with_agent_too and account == "home-agent" else member
    assert known_as in "\n".join(export("terraform", target.resources()).values())


def test_a_service_of_that_name_which_is_not_homeports_stays(deployer: WithAgentTable) -> None:
    deployer.deployed(deployer.with_table(tools=["calculator"]))
    deployer.agent["labels"] = {"made-by": "somebody"}
    plan = deployer.up(deployer.wanted()).plan
    assert "service/home-agent" not in [action.resource.id for action in plan.pending]
    assert deployer.agent


def test_a_plan_warns_of_mcp_servers_to_which_its_network_may_have_no_way(deployer: WithAgentTable) -> None:
    def warned(wanted: spec.Spec) -> list[str]:
        target = deployer.made(wanted)

        async def told() -> list[str]:
            plan, _ = await plan_of(target)
            return [one for one in plan.warnings if one.startswith("agent: all that it sends")]

        return act(told())

    inside, outside = "https://tools-x.a.run.app/mcp", "https://tools.example.com/mcp"
    assert warned(deployer.with_table(mcp=[inside])) == []
    (told,) = warned(deployer.with_table(mcp=[inside, outside]))
    assert "homeport's own network has no way out" in told
    assert outside in told
    assert inside not in told
    theirs = deployer.with_table(mcp=[outside])
    assert theirs.cloudrun is not None
    network = theirs.cloudrun.model_copy(update={"network": "office", "subnetwork": "office"})
    (told,) = warned(theirs.model_copy(update={"cloudrun": network}))
    assert "whether office has a way out to the internet" in told


def test_the_plan_names_its_tools_its_image_and_both_starts(deployer: WithAgentTable) -> None:
    target = deployer.made(deployer.with_table())

    async def told() -> dict[str, Any]:
        plan, _ = await plan_of(target)
        return {fact.key: fact for fact in plan.facts}

    facts = act(told())
    text = facts["agent"].text
    assert text.startswith(
        "tools time, calculator; a request at most 12 answers of the model, 24 calls of tools, 60,000 tokens, 300 s"
    )
    assert "; on python:3.12-slim (by its tag: its digest is not known)" in text
    assert own_wheel().sha256[:12] in text
    assert (
        f"two starts: its own (not measured on Cloud Run), then the model's, {facts['cold_start'].words}"
        in text
    )
    assert facts["companions"].services[0].name == "home-agent"


def test_the_build_takes_the_wheel_of_what_runs_here_and_holds_it_against_its_checksum(
    deployer: WithAgentTable,
) -> None:
    resources = deployer.made(deployer.with_table()).resources()
    (stored,) = [one for one in resources if isinstance(one, Object)]
    (image,) = [one for one in resources if isinstance(one, ContainerImage) and one.package == "agent"]
    assert stored.id in image.needs
    job = next(step for step in image.build["steps"] if step["id"] == "carry")
    (variable,) = job["env"]
    (file,) = json.loads(variable.removeprefix("HOMEPORT_JOB="))["files"]
    assert file["sha256"] == hashlib.sha256(stored.content).hexdigest()


def test_the_wheel_is_one_that_pip_takes_with_every_file_under_its_checksum() -> None:
    wheel = own_wheel()
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        names = archive.namelist()
        (info,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
        metadata = archive.read(f"{info}/METADATA").decode()
    assert wheel.name == f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    assert f"Version: {wheel.name.split('-')[1]}\n" in metadata
    assert "homeport/agents/service/container.py" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("gcp_rehearsal")]


def test_what_the_image_installs_is_what_is_installed_here() -> None:
    from importlib.metadata import version

    pins = dict(line.split("==") for line in constraints(("agents", "cloudrun")).split())
    for name in ("pydantic-ai-slim", "openai", "mcp", "google-auth", "uvicorn", "httpx2"):
        assert pins[name] == version(name)
    assert not {"homeport", "pytest", "mypy", "xllamacpp"} & set(pins), "only what the agent needs"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"tools": ["files"]}, "tools"),
        ({"mcp": ["http://tools.example.com/mcp"]}, "https://"),
        ({"max_steps": 0}, "max_steps"),
        ({"toolz": []}, "toolz"),
    ],
)
def test_a_wrong_table_is_refused_with_what_was_expected(table: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        WithAgentTable("ollama").with_table(**table)


def test_tools_that_it_cannot_have_are_not_allowed_to_it() -> None:
    deployer = WithAgentTable("ollama")
    table = deployer.with_table(allow=["serch"])
    with pytest.raises(SpecError, match="allow names serch, and agent"):
        _agent_of(deployer, table)


def test_the_plan_names_what_is_run_unasked_and_says_where_nobody_knows_of_the_models_training() -> None:
    deployer = WithAgentTable("ollama")
    table = deployer.with_table(mcp=["https://run.googleapis.com/mcp"], allow=["search"])
    assert "unasked: search" in _agent_of(deployer, table)[0]
    for model, told in (("hf:somebody/some-model", True), ("gemma-4-e2b", False)):
        wanted = spec.parse({**table.model_dump(exclude_none=True), "model": model})
        noted = _agent_of(deployer, wanted)[1]
        assert (f"whether {model} was trained to call tools is not known" in noted) is told, model


def _agent_of(deployer: WithAgentTable, wanted: Spec) -> tuple[str, str]:
    """What a plan says of the agent, and its notes."""
    chosen = deployer.made(deployer.with_table()).chosen
    target = with_agent(Deployer.target(deployer, google_for(deployer.cloud), chosen, wanted))
    (fact,) = target.companions[-1].facts
    return fact.text, "\n".join(target.notes)


def test_a_model_that_was_not_trained_to_call_tools_gets_no_agent() -> None:
    deployer = WithAgentTable("ollama")
    wanted = spec.parse({**deployer.with_table().model_dump(exclude_none=True), "model": "gemma-3-270m-pt"})
    target = Deployer.target(deployer, google_for(deployer.cloud), deployer.made(deployer.with_table()).chosen, wanted)  # fmt: skip
    with pytest.raises(Unsupported, match="was not trained to call tools"):
        with_agent(target)


def test_each_export_makes_it_too(deployer: WithAgentTable) -> None:
    resources = deployer.made(deployer.with_table()).resources()
    knative = export("knative", resources)
    agent = yaml.safe_load(knative["service-home-agent.yaml"])
    assert agent["spec"]["template"]["spec"]["containers"][0]["name"] == "agent"
    script = export("gcloud", resources)["deploy.sh"]
    assert script.index("build-agent.yaml") < script.index("service-home-agent.in.yaml")
    assert "gs://rehearsal-home-weights/homeport/homeport-" in script
    terraform = "\n".join(export("terraform", resources).values())
    assert 'variable "image_agent"' in terraform
    steps = [
        step["id"] for step in yaml.safe_load(export("cloudbuild", resources)["cloudbuild.yaml"])["steps"]
    ]
    assert steps[-1] == "deploy-home-agent"


def test_a_container_that_was_not_told_which_agent_it_is_says_so() -> None:
    with pytest.raises(SpecError, match="HOMEPORT_AGENT and MODEL_URL"):
        asyncio.run(agent_of({"HOMEPORT_AGENT": "{"}))


class Refusing:
    """A model's endpoint that answers with these statuses, one after the other, and then with the last."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.asked = list(statuses), 0

    @asynccontextmanager
    async def client(self, **_: float) -> AsyncIterator[Refusing]:
        yield self

    def auth(self, **_: object) -> None:
        """Signs nothing."""

    async def get(self, path: str) -> httpx2.Response:
        assert path == "/health"
        self.asked += 1
        return httpx2.Response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


class Jumping:
    """A clock that jumps to the end of each pause."""

    at = 0.0

    def now(self) -> float:
        return self.at

    async def pause(self, seconds: float) -> None:
        self.at += seconds

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.mark.parametrize(
    ("statuses", "later", "asked"),
    [((403, 403, 200), 0.0, 3), ((500,), 0.0, 1), ((403,), 500.0, 1)],
    ids=["granted just before", "ill", "refused for long"],
)
def test_a_right_that_is_not_seen_yet_is_waited_for_after_its_start_and_not_later(
    statuses: tuple[int, ...], later: float, asked: int
) -> None:
    model, clock = Refusing(*statuses), Jumping()
    seen = Backoff(what="a test", within=420, first=2.0, clock=clock)
    clock.at += later
    asyncio.run(_awake(cast("Endpoint", model), Start(), seen))
    assert model.asked == asked


def test_a_limit_is_waited_out_until_the_model_has_answered_and_never_after_it() -> None:
    async def scene() -> list[int]:
        asked, service, start = [], PrivateService(), Start()
        async with reached(service) as endpoint:
            for statuses in ([429, 503], [429] * 9):
                service.starting = deque(statuses)
                await _awake(endpoint, start, Backoff(what="a test", within=60, first=0.01))
                asked.append(service.asked)
        return asked

    assert asyncio.run(scene()) == [3, 4]


ANY_SUM = re.compile(r"What is (\d+) \* (\d+)")


class Calculating(ToolScript):
    """Calls the calculator with the sum of the question, and says `says` in the end, or what came out."""

    def __init__(self, *, calls: bool = True, says: str = "") -> None:
        super().__init__("?")
        self.calls, self.says_at_last = calls, says

    def _called(self, *, streamed: bool) -> tuple[dict[str, Any], str]:
        messages = self.requests[-1]["messages"]
        (left, right) = next(ANY_SUM.findall(one["content"])[0] for one in messages if one["role"] == "user")
        results = [one["content"] for one in messages if one["role"] == "tool"]
        if self.calls and not results:
            called = self._calls([("calculate", {"expression": f"{left}*{right}"})])
            return {"role": "assistant", "content": None, "tool_calls": called}, "tool_calls"
        text = self.says_at_last or f"It is {int((results or [str(int(left) * int(right))])[0]):,}."
        return {"role": "assistant", "content": text}, "stop"


@pytest.mark.parametrize(
    ("brain", "outcome", "words"),
    [
        (Calculating(), Outcome.PASSED, "by calculate"),
        (Calculating(calls=False), Outcome.FAILED, "called no calculate"),
        (Calculating(says="It is 7."), Outcome.FAILED, "without"),
    ],
)
def test_verify_asks_what_the_agent_cannot_know_without_its_tool(
    brain: Calculating, outcome: Outcome, words: str
) -> None:
    async def looked() -> Finding:
        setup = AgentSetup(endpoint=brain.endpoint, tools=[tool_of(calculate, changes=False)])
        agent = ServedAgent(name="home-agent", setup=setup, key=None)
        async with on_port(agent, addresses.listen(0, str)) as url:
            return await answers(ReachedAgent(endpoint=Endpoint(name="home-agent", base_url=f"{url}/v1", model="home-agent")))  # fmt: skip

    with brain:
        found = asyncio.run(looked())
    assert found.outcome == outcome, found.detail
    assert words in found.detail


def test_verify_says_where_there_is_no_agent_or_no_calculator() -> None:
    gone = asyncio.run(answers(ReachedAgent(endpoint=None, why_none="home-agent is not deployed")))
    assert (gone.outcome, gone.detail) == (Outcome.FAILED, "home-agent is not deployed")
    nowhere = Endpoint(name="x", base_url="http://127.0.0.1:1/v1", model="x")
    assert asyncio.run(answers(ReachedAgent(endpoint=nowhere, calculates=False))).outcome == Outcome.SKIPPED
    assert asyncio.run(answers(ReachedAgent(endpoint=nowhere))).outcome == Outcome.FAILED
