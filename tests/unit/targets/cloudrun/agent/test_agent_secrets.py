"""`agent.mcp_secrets`: a token of the project's own that the agent's container is given, and nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import yaml

from agents_beside import AGENT_PATH, MEMBER, WithAgentTable
from cloud import act
from deployers import PATH, WAYS
from deployment import google_for
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.faults import Fault
from homeport.agents.mcp_servers import McpServer
from homeport.agents.service.container import agent_of
from homeport.errors import GoogleError, HomeportError, SpecError
from homeport.export import export
from homeport.progress import Silent
from homeport.reconcile import ActionKind, destroy
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.preflight import PreflightVerdict
from preflights import ASKED, about, looked, ready

URL = "https://tools.example.com/mcp"
TABLE = {"mcp": [URL], "mcp_secrets": {URL: "tools-token"}}


@pytest.fixture(params=list(WAYS))
def deployer(request: pytest.FixtureRequest) -> WithAgentTable:
    made = WithAgentTable(request.param)
    keep(made.cloud, "tools-token", "first")
    return made


def keep(cloud: Cloud, name: str, value: str) -> None:
    """Make a secret as its owner does, with a version."""

    async def work() -> None:
        google = google_for(cloud)
        await google.post(
            "serviceusage", "v1/projects/rehearsal/services/secretmanager.googleapis.com:enable"
        )
        parent = "v1/projects/rehearsal/secrets"
        await google.post("secretmanager", parent, {"replication": {"automatic": {}}}, secretId=name)
        if value:
            data = {"payload": {"data": base64.b64encode(value.encode()).decode()}}
            await google.post("secretmanager", f"{parent}/{name}:addVersion", data)

    act(work())


def readers(cloud: Cloud, name: str = "tools-token") -> set[str]:
    """Who may read a secret."""
    found = cloud.access.policy("secretmanager", f"projects/rehearsal/secrets/{name}").get("bindings", ())
    return {member for one in found for member in one["members"]}


def variables(deployer: WithAgentTable) -> Mapping[str, Any]:  # Any: JSON
    (container,) = deployer.agent["template"]["containers"]
    return {one["name"]: one for one in container["env"]}


def test_the_container_has_its_newest_version_as_a_variable_which_its_account_alone_may_read(
    deployer: WithAgentTable,
) -> None:
    wanted = deployer.with_table(**TABLE)
    _, after = deployer.up(wanted)
    assert after.pending == ()
    told = json.loads(variables(deployer)["HOMEPORT_AGENT"]["value"])
    assert told["mcp_tokens"] == {URL: "MCP_TOKEN_0"}
    source = variables(deployer)["MCP_TOKEN_0"]["valueSource"]["secretKeyRef"]
    assert (source["secret"].rpartition("/")[2], source["version"]) == ("tools-token", "latest")
    assert readers(deployer.cloud) == {MEMBER}
    assert "first" not in json.dumps(deployer.agent)
    deployer.down(wanted, purge=True)
    assert readers(deployer.cloud) == set()
    assert deployer.cloud.store.get("secretmanager", "projects/rehearsal/secrets/tools-token"), (
        "it is not ours"
    )


def test_a_secret_that_the_file_names_no_more_is_read_by_nobody(deployer: WithAgentTable) -> None:
    keep(deployer.cloud, "other-token", "second")
    deployer.deployed(deployer.with_table(**TABLE))
    plan, after = deployer.up(deployer.with_table(mcp=[URL], mcp_secrets={URL: "other-token"}))
    gone = [action.resource.id for action in plan.pending if action.kind is ActionKind.DELETE]
    assert gone == ["grant/secretmanager.secretAccessor/home-agent/secret/tools-token"]
    assert after.pending == ()
    assert (readers(deployer.cloud), readers(deployer.cloud, "other-token")) == (set(), {MEMBER})
    _, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    assert readers(deployer.cloud, "other-token") == set()


def test_the_agent_that_serves_may_read_its_secrets_until_another_revision_of_it_serves(
    deployer: WithAgentTable,
) -> None:
    keep(deployer.cloud, "other-token", "second")
    deployer.deployed(deployer.with_table(**TABLE))
    serving = deployer.agent["latestReadyRevision"]
    wanted = deployer.with_table(mcp=[URL], mcp_secrets={URL: "other-token"})
    with refused(deployer.cloud, "patch"):
        deployer.up(wanted)
    assert deployer.agent["latestReadyRevision"] == serving
    assert readers(deployer.cloud) == {MEMBER}, "its next instance would not start"
    deployer.up(wanted)
    assert deployer.agent["latestReadyRevision"] != serving
    assert readers(deployer.cloud) == set()


@contextmanager
def refused(cloud: Cloud, call: str) -> Iterator[None]:
    """Have Cloud Run refuse what would change or delete a service, and expect that as the error."""
    cloud.faults.append(Fault(method=f"run.projects.locations.services.{call}", status=400, times=99))
    with pytest.raises(GoogleError):
        yield
    cloud.faults.clear()


def callers_of_the_model(cloud: Cloud) -> set[str]:
    """Who may call the model's service."""
    held = cloud.access.policy("run", PATH.removeprefix("v2/")).get("bindings", ())
    return {member for one in held for member in one["members"]}


@pytest.mark.parametrize("call", ["patch", "delete"])
def test_an_agent_that_leaves_the_file_keeps_its_rights_until_it_is_gone(
    deployer: WithAgentTable, call: str
) -> None:
    """Both where the model's change fails before, and where it is itself not deleted."""
    deployer.deployed(deployer.with_table(**TABLE))
    wanted = deployer.wanted(context=4096)
    with refused(deployer.cloud, call):
        deployer.up(wanted)
    assert deployer.agent
    assert readers(deployer.cloud) == {MEMBER}
    assert MEMBER in callers_of_the_model(deployer.cloud), "it would answer every question with an error"
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert deployer.agent is None
    assert readers(deployer.cloud) == set()
    assert MEMBER not in callers_of_the_model(deployer.cloud)


def test_down_by_name_takes_back_what_was_granted_on_it(deployer: WithAgentTable) -> None:
    deployer.deployed(deployer.with_table(**TABLE))

    async def work() -> None:
        found = await find_managed(google_for(deployer.cloud), "home")
        assert found.unread == ()
        await destroy(found.resources, Silent())

    act(work())
    assert readers(deployer.cloud) == set()
    assert deployer.cloud.store.get("secretmanager", "projects/rehearsal/secrets/tools-token")


def test_the_right_to_read_it_is_there_before_the_service_is(deployer: WithAgentTable) -> None:
    """Also where only the agent changes, and nothing of the model's is waited for."""
    deployer.deployed(deployer.with_table(mcp=[URL]))
    wanted = deployer.with_table(**TABLE)
    grant = "grant/secretmanager.secretAccessor/home-agent/secret/tools-token"
    (agent,) = [one for one in deployer.made(wanted).resources() if one.id == "service/home-agent"]
    assert grant in agent.needs
    deployer.cloud.log.clear()
    _, after = deployer.up(wanted)
    assert after.pending == ()
    done = [one.method.rpartition(".")[2] for one in deployer.cloud.log]
    assert done.index("setIamPolicy") < done.index("patch")


def test_what_a_change_that_broke_off_left_granted_is_taken_back_by_the_next(
    deployer: WithAgentTable,
) -> None:
    keep(deployer.cloud, "other-token", "second")
    deployer.deployed(deployer.with_table(**TABLE))
    wanted = deployer.with_table(mcp=[URL], mcp_secrets={URL: "other-token"})
    _, after = deployer.up(wanted)
    assert after.pending == ()
    grant_again(deployer.cloud, "tools-token")
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert readers(deployer.cloud) == set()


@pytest.mark.parametrize("account", [True, False])
def test_a_down_that_was_killed_before_it_took_that_back_is_completed_by_the_next(
    deployer: WithAgentTable, account: bool
) -> None:
    """As long as the account is there; a grant of one that is gone lets in nobody."""
    wanted = deployer.with_table(**TABLE)
    deployer.deployed(wanted)
    kept = deployer.cloud.store.get("iam", "projects/rehearsal/serviceAccounts/" + MEMBER.partition(":")[2])
    assert kept is not None
    delete(deployer.cloud, AGENT_PATH)
    if not account:
        deployer.cloud.forget(kept)
    deployer.down(wanted, purge=True)
    assert account is (readers(deployer.cloud) == set())


@contextmanager
def forbidden(cloud: Cloud, *calls: str) -> Iterator[None]:
    """Have Secret Manager forbid some calls on secrets, and expect that as the error."""
    cloud.faults += [
        Fault(method=f"secretmanager.projects.secrets.{call}", status=403, times=999) for call in calls
    ]
    with pytest.raises(HomeportError):
        yield
    cloud.faults.clear()


def has_account(cloud: Cloud) -> bool:
    """Tell whether the agent's account is there."""
    return bool(cloud.store.get("iam", "projects/rehearsal/serviceAccounts/" + MEMBER.partition(":")[2]))


@pytest.fixture
def left(deployer: WithAgentTable) -> WithAgentTable:
    """Where the agent has left the file and gone, and what it may read could not be taken back."""
    deployer.deployed(deployer.with_table(**TABLE))
    with forbidden(deployer.cloud, "setIamPolicy"):
        deployer.up(deployer.wanted())
    assert deployer.agent is None
    assert has_account(deployer.cloud)
    assert readers(deployer.cloud) == {MEMBER}
    return deployer


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_right_that_outlived_the_agent_is_found_where_it_was_granted_and_taken_back(
    left: WithAgentTable, command: str
) -> None:
    if command == "down":
        left.down(left.wanted(), purge=True)
    else:
        _, after = left.up(left.wanted())
        assert after.pending == ()
    assert readers(left.cloud) == set()
    assert not has_account(left.cloud)


def test_a_right_that_outlived_the_agent_is_taken_back_from_the_one_that_comes_after_it(
    left: WithAgentTable,
) -> None:
    """Its service never had that secret, so that nothing but the secret tells of it."""
    wanted = left.with_table(mcp=[URL])
    with forbidden(left.cloud, "setIamPolicy"):
        left.up(wanted)
    assert left.agent, "the right goes last"
    assert readers(left.cloud) == {MEMBER}
    _, after = left.up(wanted)
    assert after.pending == ()
    assert readers(left.cloud) == set()
    assert has_account(left.cloud)


@pytest.mark.parametrize("command", ["up", "down"])
@pytest.mark.parametrize("call", ["list", "getIamPolicy"])
def test_the_account_of_an_agent_that_is_gone_stays_until_its_rights_could_be_looked_for(
    left: WithAgentTable, command: str, call: str
) -> None:
    with forbidden(left.cloud, call):
        if command == "up":
            left.up(left.wanted())
        else:
            left.down(left.wanted(), purge=True)
    assert has_account(left.cloud)
    assert readers(left.cloud) == {MEMBER}
    left.down(left.wanted(), purge=True)
    assert not has_account(left.cloud)
    assert readers(left.cloud) == set()


@pytest.mark.parametrize("call", ["list", "getIamPolicy"])
def test_an_agent_that_stays_needs_no_right_to_look_at_every_secret(
    deployer: WithAgentTable, call: str
) -> None:
    wanted = deployer.with_table(mcp=[URL])
    deployer.deployed(wanted)
    deployer.cloud.faults.append(
        Fault(method=f"secretmanager.projects.secrets.{call}", status=403, times=999)
    )
    _, after = deployer.up(wanted)
    assert after.pending == ()


def test_an_agent_that_is_not_there_yet_needs_none_either(deployer: WithAgentTable) -> None:
    wanted = deployer.with_table(mcp=[URL])
    deployer.deployed(wanted)
    delete(deployer.cloud, AGENT_PATH)
    deployer.cloud.faults.append(Fault(method="secretmanager.projects.secrets.list", status=403, times=999))
    _, after = deployer.up(wanted)
    assert after.pending == ()


def delete(cloud: Cloud, service: str) -> None:
    async def work() -> None:
        google = google_for(cloud)
        await google.finish("run", await google.delete("run", service), key=service, deadline=600)

    act(work())


def grant_again(cloud: Cloud, name: str) -> None:
    """Let the agent's account into a secret, as what was there before a change."""

    async def work() -> None:
        path = f"v1/projects/rehearsal/secrets/{name}:setIamPolicy"
        bindings = [{"role": "roles/secretmanager.secretAccessor", "members": [MEMBER]}]
        await google_for(cloud).post("secretmanager", path, {"policy": {"bindings": bindings}})

    act(work())


@pytest.mark.parametrize("kind", ["trigger", "github"])
def test_a_pipelines_account_may_let_the_agent_into_it(deployer: WithAgentTable, kind: str) -> None:
    files = "\n".join(export(kind, deployer.made(deployer.with_table(**TABLE)).resources()).values())
    assert "projects/$number/secrets/tools-token" in files
    assert "secretmanager.versions.get" in files


def test_each_export_gives_it_too(deployer: WithAgentTable) -> None:
    resources = deployer.made(deployer.with_table(**TABLE)).resources()
    agent = yaml.safe_load(export("knative", resources)["service-home-agent.yaml"])
    (container,) = agent["spec"]["template"]["spec"]["containers"]
    (variable,) = [one for one in container["env"] if one["name"] == "MCP_TOKEN_0"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "tools-token", "key": "latest"}
    script = export("gcloud", resources)["deploy.sh"]
    assert "tools-token" in script
    terraform = "\n".join(export("terraform", resources).values())
    assert "google_secret_manager_secret_iam_member" in terraform
    assert '"tools-token"' in terraform


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"mcp_secrets": {URL: "tools-token"}}, "which mcp does not name"),
        ({"mcp": [URL], "mcp_secrets": {URL: "a token of mine"}}, "the name of a secret of Secret Manager"),
        ({"mcp": [URL], "mcp_secrets": "tools-token"}, "mcp_secrets"),
    ],
)
def test_a_wrong_table_says_what_was_expected(table: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        WithAgentTable("ollama").with_table(**table)


@pytest.mark.parametrize(
    ("value", "verdict", "words"),
    [
        ("first", PreflightVerdict.OK, "its newest version is there"),
        ("", PreflightVerdict.PROBLEM, "it has no version"),
        (None, PreflightVerdict.PROBLEM, "it is not there"),
    ],
)
def test_preflight_looks_at_it_before_anything_is_made(
    value: str | None, verdict: PreflightVerdict, words: str
) -> None:
    cloud = ready()
    if value is not None:
        keep(cloud, "tools-token", value)
    else:
        keep(cloud, "another", "x")
    found = about(looked(cloud, replace(ASKED, mounted_secrets=("tools-token",))), "secret/tools-token")
    assert found.verdict is verdict
    assert words in found.text
    if verdict is PreflightVerdict.PROBLEM:
        assert "gcloud secrets" in found.hint
        assert "tools-token" in found.hint


def described(**env: str) -> dict[str, str]:
    table = {
        "name": "home-agent", "model": "m", "tools": [], "mcp": [URL, "https://open.example.com/mcp"],
        "mcp_tokens": {URL: "MCP_TOKEN_0"}, "max_steps": 1, "max_tool_calls": 1, "max_total_tokens": 1,
        "max_seconds": 1, "max_tokens": 1, "allow": [], "instructions": None,
    }  # fmt: skip
    return {"HOMEPORT_AGENT": json.dumps(table), "MODEL_URL": "https://m.example.com", **env}


def test_the_container_sends_it_to_its_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(_: object) -> object:
        return object()

    monkeypatch.setattr("homeport.agents.service.container.find", nobody)
    agent = asyncio.run(agent_of(described(MCP_TOKEN_0="first\n")))
    with_token, without = agent.mcp
    assert isinstance(with_token, McpServer)
    assert (with_token.url, with_token.token.compared()) == (URL, "first")
    assert without == "https://open.example.com/mcp"
    with pytest.raises(SpecError, match="is empty"):
        asyncio.run(agent_of(described()))
    with pytest.raises(SpecError, match="no key or token"):
        asyncio.run(agent_of(described(MCP_TOKEN_0="two words")))
