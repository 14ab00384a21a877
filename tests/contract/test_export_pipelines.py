"""What a user's repository runs: triggers of Cloud Build, a workflow of GitHub, and the two accounts behind them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cloud import act, enable
from crypto_keys import grant, make_key
from deployment import google_for
from exporting import There, there
from gcloud import needs_gcloud
from gcp_rehearsal import discovery
from gcp_rehearsal.apis.cloudbuild import checks as build_checks
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.iam.permissions import permissions_of, required
from gcp_rehearsal.schema import SchemaCheck
from homeport.cli import cli
from homeport.cli import plan as plan_command
from homeport.cli import up as up_command
from homeport.export import export
from homeport.export.deployer import bounds, deployer, planner, reads, roles
from homeport.export.graph import Things
from homeport.progress import Silent
from homeport.reconcile import Resource, apply, make_plan
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.preflight.encryption import LOOKS
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.target import CloudRunTarget
from pipelines import chosen, target
from places import TAUGHT
from user import User

Json = Any  # JSON, parsed again
TOKEN = "hf_of_the_users"
CONNECTION = "projects/rehearsal/locations/europe-west4/connections/ours"
LINK = f"{CONNECTION}/repositories/app"
PACKAGE = "homeport[local,cloudrun] @ git+https://example.com/it's?a=1&b=2|3"
RING = "projects/rehearsal/locations/europe-west4/keyRings/r"
KEY = f"{RING}/cryptoKeys/k"


FILES: tuple[tuple[bool, Json], ...] = (
    (False, {}),
    (True, {}),
    (True, {"guard": {}, "observe": {"alerts": ["mailto:ops@example.com"]}}),
    (False, {"edge": {"domain": "llm.example.com", "requests_per_minute": 60}}),
    (False, {"edge": {"domain": "llm.example.com", "requests_per_minute": 60, "kind": "regional"}}),
    (False, {"access": {"encryption_key": KEY}}),
)
"""Whether it is isolated, and its further tables."""


def wanted(
    cloud: Cloud, caller: str = OWNER, *, token: str = TOKEN, isolated: bool = False, tables: Json = None
) -> CloudRunTarget:
    google = google_for(cloud, caller=caller)
    return target(google, chosen("vllm", at_hub=False), token=token, isolated=isolated, tables=tables)


def with_keys(cloud: Cloud) -> Cloud:
    """The cloud with the key that a file may name, which may be used by who may use any of its ring."""
    make_key(cloud, KEY, users=())
    grant(cloud, RING, "artifactregistry", "run", "storage")
    return cloud


def things(token: str = TOKEN) -> list[Resource]:
    return wanted(Cloud(delays=AT_ONCE), token=token).resources()


def workflow(token: str = TOKEN) -> Json:
    return yaml.safe_load(export("github", things(token))[".github/workflows/homeport.yml"])


def triggers(token: str = TOKEN) -> dict[str, Json]:
    files = export("trigger", things(token))
    return {what: yaml.safe_load(files[f"trigger-{what}.yaml"]) for what in ("plan", "up")}


@pytest.mark.parametrize("kind", ["github", "trigger"])
def test_the_same_file_gives_the_same_and_its_scripts_are_scripts(kind: str) -> None:
    files = export(kind, things())
    assert files == export(kind, things())
    assert not any(TOKEN in text for text in files.values())
    for name, text in files.items():
        if name.endswith(".sh"):
            subprocess.run(["bash", "-n"], input=text, text=True, check=True, timeout=120)


@pytest.mark.parametrize(("kind", "name"), [("github", "github-setup.sh"), ("trigger", "trigger-setup.sh")])
def test_what_deploys_may_ask_for_the_identity_tokens_by_which_it_verifies(kind: str, name: str) -> None:
    text = export(kind, things())[name].replace(" \\\n", " ")
    commands = [line.split() for line in text.splitlines()]
    deploys = deployer(Things.of(things()))
    (granted,) = [one for one in commands if "--role=roles/iam.serviceAccountOpenIdTokenCreator" in one]
    assert granted[:6] == [
        "again",
        "gcloud",
        "iam",
        "service-accounts",
        "add-iam-policy-binding",
        deploys.email,
    ]
    assert f'--member="{deploys.member}"' in granted
    (enabled,) = [one for one in commands if one[:3] == ["gcloud", "services", "enable"]]
    assert "iamcredentials.googleapis.com" in enabled


def test_the_workflow_is_one_that_githubs_schema_takes(tmp_path: Path) -> None:
    for name, text in export("github", things()).items():
        (tmp_path / Path(name).name).write_text(text)
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        "homeport.yml",
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_pull_request_plans_as_one_who_reads_and_only_the_main_branch_deploys() -> None:
    jobs = workflow()["jobs"]
    accounts = {
        name: _step(job, "google-github-actions/auth")["with"]["service_account"]
        for name, job in jobs.items()
    }
    assert accounts == {
        "plan": "home-plan@rehearsal.iam.gserviceaccount.com", "up": "home-deploy@rehearsal.iam.gserviceaccount.com",
    }  # fmt: skip
    assert jobs["up"]["if"] == "github.event_name == 'push'"
    paths = ["homeport.toml", "*.whl", ".github/workflows/homeport.yml"]
    assert workflow()["on"]["push"] == {"branches": ["main"], "paths": paths}
    assert jobs["up"]["environment"] == "homeport-home", "where somebody may have to approve"
    assert "environment" not in jobs["plan"]
    assert "head.repo.full_name == github.repository" in jobs["plan"]["if"], "a fork gets no account"


def test_the_workflow_has_no_key_and_no_more_rights_than_it_needs() -> None:
    made = workflow()
    assert made["permissions"] == {}
    assert not {"key", "credentials_json"} & set(re.findall(r"\w+", str(made)))
    for job in made["jobs"].values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert all(
            re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
            for step in job["steps"]
            if "uses" in step
        )
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "what GitHub puts into a script is run"
    assert made["jobs"]["up"]["concurrency"] == {"group": "homeport-up-home", "cancel-in-progress": False}
    tokens = [
        step["env"]
        for job in made["jobs"].values()
        for step in job["steps"]
        if "HF_TOKEN" in step.get("env", {})
    ]
    assert tokens == [{"HF_TOKEN": "${{ secrets.HF_TOKEN }}"}] * 2
    assert "HF_TOKEN" not in str(workflow(""))


def test_what_is_run_are_commands_that_homeport_has() -> None:
    runs = [step["run"] for job in workflow()["jobs"].values() for step in job["steps"] if "run" in step]
    runs += [one["build"]["steps"][0]["script"] for one in triggers().values()]
    lines = [
        line.partition(" |")[0].split()
        for run in runs
        for line in run.splitlines()
        if line.startswith("homeport ")
    ]
    assert len(lines) == 4
    for _, word, *arguments in lines:
        command = {"plan": plan_command, "up": up_command}[word].command
        parent = click.Context(cli, **cli.context_settings)
        assert command.make_context(word, arguments, parent=parent).params["on"] == "cloudrun"
    for run in runs:
        subprocess.run(["bash", "-n"], input=run, text=True, check=True, timeout=120)


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_the_triggers_are_ones_that_google_knows(token: str) -> None:
    check = SchemaCheck(discovery.load("cloudbuild.v1"))
    for what, one in triggers(token).items():
        assert check.schema("BuildTrigger", one) == []
        build_checks.check(
            {**one["build"], "serviceAccount": one["serviceAccount"], "substitutions": one["substitutions"]}
        )
        account = {"plan": planner, "up": deployer}[what](Things.of(things()))
        assert one["serviceAccount"] == account.name
    made = triggers(token)
    assert made["plan"]["repositoryEventConfig"]["pullRequest"]["branch"] == "^main$"
    assert made["up"]["approvalConfig"] == {"approvalRequired": True}
    assert all(one["includedFiles"] == ["homeport.toml", "*.whl"] for one in made.values())
    assert made["up"]["repositoryEventConfig"] == {
        "repository": "__REPOSITORY__",
        "push": {"branch": "^main$"},
    }


def test_every_role_of_the_account_that_deploys_is_needed_and_nothing_of_up_is_missing() -> None:
    held = {role: permissions_of(role) or frozenset() for role in roles(Things.of(things()))}
    asked = {
        one
        for name, need in needs().items()
        if name
        not in {
            "isolation",
            "warm",
            "edge",
            "edge-regional",
            "api-gateway",
            "uptime",
            "observe",
            "screen",
            "screen-way",
            "iap",
            "agent-registry",
            "agent-registry-former",
        }
        for one in need.permissions
    }
    assert asked <= frozenset().union(*held.values())
    for role in held.keys() - {"roles/cloudquotas.viewer", "roles/orgpolicy.policyViewer"}:
        others = frozenset().union(*(some for name, some in held.items() if name != role))
        assert asked - others, role


@pytest.mark.parametrize(("isolated", "tables"), FILES)
def test_the_account_that_deploys_can_do_all_of_up_in_an_empty_project(isolated: bool, tables: Json) -> None:
    cloud = with_keys(Cloud(delays=AT_ONCE))
    parts = Things.of(wanted(cloud, isolated=isolated, tables=tables).resources())
    mine = wanted(cloud, deployer(parts).email, isolated=isolated, tables=tables)

    async def work() -> None:
        await _granted(cloud, deployer(parts).id, *roles(parts))
        plan, findings = await plan_of(mine)
        assert not [one for one in findings.problems if one.subject.startswith("permissions")]
        await apply(plan, Silent())
        assert not (await make_plan("home", "cloudrun", mine.resources())).pending

    act(work())


@pytest.mark.parametrize(("isolated", "tables"), FILES)
def test_the_account_that_plans_sees_all_of_it_and_may_change_nothing(isolated: bool, tables: Json) -> None:
    cloud = with_keys(Cloud(delays=AT_ONCE))
    owners = wanted(cloud, isolated=isolated, tables=tables)
    parts = Things.of(owners.resources())
    mine = wanted(cloud, planner(parts).email, isolated=isolated, tables=tables)
    role = {"roleId": "homeport.home.plan", "role": {"includedPermissions": list(reads(parts))}}
    contents = ("roles/storage.objectViewer", "roles/secretmanager.secretAccessor")

    async def work() -> None:
        await apply(await make_plan("home", "cloudrun", owners.resources()), Silent())
        await google_for(cloud).post("iam", "v1/projects/rehearsal/roles", role)
        await _granted(cloud, planner(parts).id, "projects/rehearsal/roles/homeport.home.plan", *contents)
        enable(cloud, "cloudquotas", "orgpolicy")
        before = len(cloud.log)
        plan, findings = await plan_of(mine)
        assert not plan.pending
        of_key = [one.verdict for one in findings.all if one.subject == "encryption key"]
        assert of_key == [PreflightVerdict.OK] * ("access" in tables)
        asked = [one for one in cloud.log[before:] if one.caller == planner(parts).email]
        assert {one.method for one in asked if one.status == 403} <= {"cloudbilling.projects.getBillingInfo"}
        used = {permission for one in asked for permission in required(one.method)}
        assert set(reads(parts)) <= used, "nothing is granted that no plan asks for"

    act(work())
    changing = {"create", "update", "delete", "setIamPolicy", "actAs", "enable", "add", "destroy", "invoke"}
    assert not {one.rpartition(".")[2] for one in reads(parts)} & changing


@pytest.mark.parametrize("kind", ["trigger", "github"])
def test_a_key_of_another_project_is_shown_to_who_plans_by_commands_that_the_head_names(kind: str) -> None:
    def text_for(key: str) -> str:
        resources = wanted(Cloud(delays=AT_ONCE), tables={"access": {"encryption_key": key}}).resources()
        files = export(kind, resources)
        text = files["trigger-setup.sh" if kind == "trigger" else ".github/workflows/homeport.yml"]
        return re.sub(r" \\\n#\s+", " ", text)

    others = text_for(KEY.replace("/rehearsal/", "/vault/"))
    member = "--member=serviceAccount:home-plan@rehearsal.iam.gserviceaccount.com"
    assert "gcloud iam roles create homeport.home.keys --project=vault" in others
    assert f"{member} --role=projects/vault/roles/homeport.home.keys" in others
    assert "homeport.home.keys" not in text_for(KEY)
    parts = Things.of(wanted(Cloud(delays=AT_ONCE), tables={"access": {"encryption_key": KEY}}).resources())
    assert set(LOOKS) <= set(reads(parts))
    assert not set(LOOKS) & set(reads(Things.of(things())))


SHIM = """#!/bin/bash
# A role more for the same account is the same command: the real gcloud, which takes a second each time, reads one.
asked="$*"; asked="${{asked%%--role=*}}"
if [[ $asked == "projects add-iam-policy-binding"*"--condition=None"* ]]; then
  echo "${{@: -1}}" >> roles.txt
  grep -qxF -- "$asked" once.txt 2>/dev/null && exit 0
  echo "$asked" >> once.txt
fi
exec {gcloud} "$@"
"""


@pytest.fixture
def here(tmp_path: Path, gcloud_folder: Path) -> Iterator[There]:
    with there(tmp_path) as here:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "gcloud").write_text(SHIM.format(gcloud=gcloud_folder / "gcloud"))
        (tmp_path / "bin" / "gcloud").chmod(0o755)
        yield here


def script(here: There, name: str, **env: str) -> str:
    """What a script says that calls the real gcloud."""
    path = f"{here.folder / 'bin'}:{os.environ['PATH']}"
    return here.run("env", *(f"{key}={value}" for key, value in env.items()), "bash", name, PATH=path).out


def test_the_command_writes_the_workflow_where_github_looks_for_it(user: User) -> None:
    user.write(
        f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\nkind = "ollama"\n[cloudrun]\nproject = "rehearsal"\nregion = "europe-west4"\n'
    )
    me = f"rehearsal.{OWNER}"
    said = user.run("export", "github", "-o", "app", CLOUDSDK_AUTH_ACCESS_TOKEN=me).out.split()
    assert said == ["app/.github/workflows/homeport.yml", "app/github-setup.sh"]
    script = user.folder / "app" / "github-setup.sh"
    assert script.read_text().startswith("#!/usr/bin/env bash\n# Made by `homeport export github`.")
    script.write_text("mine\n")
    assert (
        "would be overwritten"
        in user.run("export", "github", "-o", "app", code=None, CLOUDSDK_AUTH_ACCESS_TOKEN=me).err
    )
    assert script.read_text() == "mine\n"


@needs_gcloud
def test_the_real_gcloud_sets_up_what_lets_githubs_workflow_in(here: There) -> None:
    resources = wanted(here.cloud).resources()
    for name, text in export("github", resources).items():
        (here.folder / Path(name).name).write_text(text)
    script(here, "github-setup.sh", REPOSITORY="me/app", REPOSITORY_ID="77")
    before, grants = _made_in_iam(here.cloud), set(here.cloud.access.grants())
    said = script(here, "github-setup.sh", REPOSITORY="me/app", REPOSITORY_ID="77")
    assert (_made_in_iam(here.cloud), set(here.cloud.access.grants())) == (before, grants), (
        "again it is the same"
    )
    number = here.cloud.projects[0].number
    pool = f"projects/{number}/locations/global/workloadIdentityPools/homeport-home"
    assert f"HOMEPORT_IDENTITY_PROVIDER={pool}/providers/github" in said
    kept = here.cloud.store.of("iam", "iam.projects.locations.workloadIdentityPools.providers")
    (provider,) = [one.body for one in kept]
    assert provider["oidc"]["issuerUri"] == "https://token.actions.githubusercontent.com"
    assert (
        provider["attributeCondition"]
        == "assertion.repository == 'me/app' && assertion.repository_id == '77'"
    )
    may = provider["attributeMapping"]["attribute.may"]
    assert (
        "assertion.workflow_ref == assertion.repository + '/.github/workflows/homeport.yml@refs/heads/main'"
        in may
    )
    assert "assertion.environment == 'homeport-home' ? 'deploy' :" in may
    assert may.endswith("? 'plan' : 'nothing'"), "any other workflow of the repository"
    for account, what in ((planner, "plan"), (deployer, "deploy")):
        name = account(Things.of(resources)).name
        bindings = here.cloud.access.policy("iam", name)["bindings"]
        members = next(one["members"] for one in bindings if one["role"] == "roles/iam.workloadIdentityUser")
        assert members == [f"principalSet://iam.googleapis.com/{pool}/attribute.may/{what}"]
        own = [one["members"] for one in bindings if one["role"].endswith("OpenIdTokenCreator")]
        assert own == ([[account(Things.of(resources)).member]] if what == "deploy" else [])
    (role,) = [one.body for one in here.cloud.store.of("iam", "iam.projects.roles")]
    assert role["includedPermissions"] == list(reads(Things.of(resources)))
    project = here.cloud.access.policy("cloudresourcemanager", "projects/rehearsal")["bindings"]
    ours = (
        "resource.name == 'projects/_/buckets/rehearsal-home-weights' || "
        "resource.name.startsWith('projects/_/buckets/rehearsal-home-weights/')"
    )
    secret = f"projects/{number}/secrets/home-hub-token"
    assert {one["role"]: one["condition"]["expression"] for one in project if "condition" in one} == {
        "roles/storage.objectViewer": ours,
        "roles/secretmanager.secretAccessor": f"resource.name.startsWith('{secret}/')",
        "roles/storage.admin": f"!resource.type.startsWith('storage.googleapis.com/') || {ours}",
        "roles/secretmanager.admin": "!resource.type.startsWith('secretmanager.googleapis.com/') || "
        f"resource.name == '{secret}' || resource.name.startsWith('{secret}/')",
        "roles/resourcemanager.projectIamAdmin": "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])"
        ".hasOnly(['roles/logging.logWriter'])",
    }
    granted = (here.folder / "roles.txt").read_text().split()
    bounded = bounds(Things.of(resources)).keys()
    assert {f"--role={role}" for role in roles(Things.of(resources)) if role not in bounded} <= set(granted)
    assert not {f"--role={role}" for role in bounded} & set(granted), "none of these without its condition"


@needs_gcloud
def test_the_real_gcloud_imports_the_triggers_as_they_are(here: There) -> None:
    files = export("trigger", wanted(here.cloud).resources())
    # What both scripts have in common is run above.
    whole = files["trigger-setup.sh"]
    common = whole[whole.index("\nnumber=") : whole.index("\n# Builds write their own logs.")]
    here.write({**files, "trigger-setup.sh": whole.replace(common, "")})
    accounts = [account(Things.of(wanted(here.cloud).resources())).id for account in (planner, deployer)]

    async def before() -> None:
        for account in accounts:
            await _granted(here.cloud, account)
        google = google_for(here.cloud)
        await google.post(
            "serviceusage", "v1/projects/rehearsal/services/cloudbuild.googleapis.com:enable", {}
        )
        parent = "v2/projects/rehearsal/locations/europe-west4"
        await google.post("cloudbuild", f"{parent}/connections", {"githubConfig": {}}, connectionId="ours")
        await google.post("cloudbuild", f"v2/{CONNECTION}/repositories", {"remoteUri": "https://github.com/me/app.git"}, repositoryId="app")  # fmt: skip

    asyncio.run(before())
    for _ in "ab":  # Run again, it changes what it made.
        script(here, "trigger-setup.sh", REPOSITORY=LINK, HOMEPORT_PACKAGE=PACKAGE)
    kept = {one.body["name"]: one.body for one in here.cloud.store.of("cloudbuild", "cloudbuild.projects.locations.triggers")}  # fmt: skip
    for what, one in triggers().items():
        text = json.dumps(one).replace("__REPOSITORY__", LINK).replace("__HOMEPORT_PACKAGE__", PACKAGE)
        expected = json.loads(text)
        assert {key: kept[f"homeport-home-{what}"][key] for key in expected} == expected


def _made_in_iam(cloud: Cloud) -> list[str]:
    return sorted(one.name for one in cloud.store.of("iam") if "/operations/" not in one.name)


def _step(job: Json, uses: str) -> Json:
    return next(step for step in job["steps"] if step.get("uses", "").startswith(uses))


async def _granted(cloud: Cloud, account: str, *which: str) -> None:
    """The account, with these roles on the project."""
    google = google_for(cloud)
    await google.post("serviceusage", "v1/projects/rehearsal/services/iam.googleapis.com:enable", {})
    await google.post(
        "iam", "v1/projects/rehearsal/serviceAccounts", {"accountId": account, "serviceAccount": {}}
    )
    kept = cloud.access.policy("cloudresourcemanager", "projects/rehearsal")["bindings"]
    member = f"serviceAccount:{account}@rehearsal.iam.gserviceaccount.com"
    more = [{"role": role, "members": [member]} for role in which]
    cloud.access.set_policy(
        "cloudresourcemanager", "projects/rehearsal", {"bindings": [*kept, *more]}, at_once=True
    )
