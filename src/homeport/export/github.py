"""A workflow of GitHub Actions: `plan` on a pull request, `up` on the main branch, with no key of an account anywhere."""

from __future__ import annotations

from homeport.export import encryption
from homeport.export.builds import seconds
from homeport.export.deployer import (
    KNOWS,
    PACKAGE,
    TOKEN,
    WATCHED,
    DeployerAccount,
    accounts,
    deployer,
    ensure_key_is_at_hand,
    on_account,
    package_note,
    planner,
)
from homeport.export.graph import Things
from homeport.export.shell import script
from homeport.export.text import comment, head, to_yaml
from homeport.json_types import JsonObject
from homeport.resources.google.secret import SecretVersion
from homeport.targets.cloudrun.names import fitted

FILE, SET_UP = ".github/workflows/homeport.yml", "github-setup.sh"
"""Where GitHub looks for it in a repository, and the script beside it."""
ISSUER = "https://token.actions.githubusercontent.com"
PROVIDER = "HOMEPORT_IDENTITY_PROVIDER"
_PROVIDER_ID = "github"
_POOL_MOST = 32
_CHECKOUT = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"
_PYTHON = "actions/setup-python@a309ff8b426b58ec0e2a45f0f869d46889d02405"
_AUTH = "google-github-actions/auth@7c6bc770dae815cd3e89ee6cdf493a5fab2cc093"
_RELEASES = {_CHECKOUT: "v6.0.2", _PYTHON: "v6.2.0", _AUTH: "v3.0.0"}
"""Actions by their commits, since tags can be moved; and the tag of each, read 2026-11."""
_MINUTES, _SLACK_MINUTES, _MOST_MINUTES = 15, 30, 360


def files(things: Things) -> dict[str, str]:
    """Return the workflow, and the script that lets it in."""
    things = things.everywhere
    ensure_key_is_at_hand(things)
    return {FILE: _head(things) + _with_releases(to_yaml(workflow(things))), SET_UP: _set_up(things)}


def _with_releases(text: str) -> str:
    for action, release in _RELEASES.items():
        text = text.replace(f"uses: {action}\n", f"uses: {action} # {release}\n")
    return text.replace("id-token: write\n", "id-token: write # by which Google knows this run\n")


def workflow(things: Things) -> JsonObject:
    """Return the workflow, as GitHub takes it."""
    changes = {"branches": ["main"], "paths": [*WATCHED, FILE]}
    minutes = min(_MOST_MINUTES, round(seconds(things) / 60) + _SLACK_MINUTES)
    own_branch = "github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name == github.repository"
    plan = (
        'homeport plan --on cloudrun | tee "$RUNNER_TEMP/plan.txt"\n'
        "{ echo '```'; cat \"$RUNNER_TEMP/plan.txt\"; echo '```'; } >> \"$GITHUB_STEP_SUMMARY\"\n"
    )
    return {
        "name": f"homeport {things.name}",
        "on": {"pull_request": changes, "push": changes},
        "permissions": {},
        "jobs": {
            "plan": {
                "name": "plan",
                "if": own_branch,
                "runs-on": "ubuntu-latest",
                "timeout-minutes": _MINUTES,
                "permissions": {"contents": "read", "id-token": "write"},
                "concurrency": {"group": "homeport-plan-${{ github.ref }}", "cancel-in-progress": True},
                "steps": [*_steps(things, planner(things)), _run(things, "plan", plan)],
            },
            "up": {
                "name": "up",
                "if": "github.event_name == 'push'",
                "runs-on": "ubuntu-latest",
                "environment": environment(things),
                "timeout-minutes": minutes,
                "permissions": {"contents": "read", "id-token": "write"},
                "concurrency": {"group": f"homeport-up-{things.name}", "cancel-in-progress": False},
                "steps": [
                    *_steps(things, deployer(things)),
                    _run(things, "up", "homeport up --on cloudrun --yes\n"),
                ],
            },
        },
    }


def mapping(environment: str) -> str:
    """
    Return what Google makes of a token of GitHub's.

    Accounts are given by `attribute.may`, not by the subject: its form depends on when the repository was made, and on
    settings. Only this one file can be either, whatever other workflow of the repository asks; and only its run on the
    main branch, in the environment where somebody may have to approve, deploys.
    """
    ours = f"assertion.repository + '/{FILE}@"
    deploys = (
        "assertion.event_name == 'push' && assertion.ref == 'refs/heads/main'"
        f" && assertion.workflow_ref == {ours}refs/heads/main' && assertion.environment == '{environment}'"
    )
    may = f"{deploys} ? 'deploy' : assertion.workflow_ref.startsWith({ours}') ? 'plan' : 'nothing'"
    return f"google.subject=assertion.sub,attribute.repository=assertion.repository,attribute.may={may}"


def environment(things: Things) -> str:
    """Return the environment of the repository in which it deploys."""
    return f"homeport-{things.name}"


def _steps(things: Things, account: DeployerAccount) -> list[JsonObject]:
    return [
        {"uses": _CHECKOUT, "with": {"persist-credentials": False}},
        {"uses": _PYTHON, "with": {"python-version": "3.12"}},
        {
            "name": "install homeport",
            "env": {PACKAGE: f"${{{{ vars.{PACKAGE} }}}}"},
            "run": f'pip install "${{{PACKAGE}:?set this variable of the repository: see the head of this file}}"\n',
        },
        {
            "uses": _AUTH,
            "with": {
                "project_id": things.project,
                "workload_identity_provider": f"${{{{ vars.{PROVIDER} }}}}",
                "service_account": account.email,
            },
        },
    ]


def _run(things: Things, name: str, lines: str) -> JsonObject:
    token = {"env": {TOKEN: f"${{{{ secrets.{TOKEN} }}}}"}} if things.all(SecretVersion) else {}
    return {"name": name, "shell": "bash", **token, "run": lines}


def _head(things: Things) -> str:
    notes = [
        (f"Run {SET_UP} once, and set the variable of the repository that it prints, and {PACKAGE}."),
        (
            "On a pull request it plans, as an account that can read and nothing else, and shows the plan in the run's "
            "summary; pull requests from forks get no account, and no plan. On the main branch it does what is planned, one "
            "run after another: GitHub keeps one waiting, and drops those between."
        ),
        package_note(things),
    ]
    if things.all(SecretVersion):
        notes.append(
            f"{TOKEN} is a secret of the repository: the variable that cloudrun.hub_token names must be this one."
        )
    notes += [
        (
            f"It deploys in the environment {environment(things)}. Make it in the repository's settings, with those who must approve "
            "each deployment (GitHub asks for none in an environment that it makes by itself, and offers that in private "
            "repositories for paid plans only), and with the main branch as the only one that may deploy."
        ),
        f"It runs where one of {', '.join(WATCHED)} or this file changes: add there whatever else your homeport.toml names.",
    ]
    return head(
        "github", *notes, *encryption.notes(things), *encryption.looks(things, planner(things).member)
    )


def _set_up(things: Things) -> str:
    pool, project = fitted(f"homeport-{things.name}", _POOL_MOST), things.project
    plan, up = planner(things), deployer(things)
    where = f"--project={project} --location=global"
    of_pool = f"--workload-identity-pool={pool}"
    who = f"principalSet://iam.googleapis.com/projects/$number/locations/global/workloadIdentityPools/{pool}/attribute"
    lines = [
        "",
        ': "${REPOSITORY:?is OWNER/NAME of your repository at GitHub}"',
        "# It outlives the name, which somebody else may take one day: gh api repos/OWNER/NAME --jq .id",
        ': "${REPOSITORY_ID:?is the number of that repository}"',
        "",
        "gcloud services enable iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com cloudresourcemanager.googleapis.com",
        *accounts(things),
        "",
        comment(
            "Where GitHub's tokens are exchanged. Those of any other repository are refused before anything else is asked."
        ).rstrip(),
        f"there gcloud iam workload-identity-pools describe {pool} {where} ||",
        f"  gcloud iam workload-identity-pools create {pool} {where} --display-name={pool}",
        f"if there gcloud iam workload-identity-pools providers describe {_PROVIDER_ID} {where} {of_pool}; then verb=update-oidc; else verb=create-oidc; fi",
        f'gcloud iam workload-identity-pools providers "$verb" {_PROVIDER_ID} {where} {of_pool} \\',
        f"    --issuer-uri={ISSUER} \\",
        f'    --attribute-mapping="{mapping(environment(things))}" \\',
        "    --attribute-condition=\"assertion.repository == '$REPOSITORY' && assertion.repository_id == '$REPOSITORY_ID'\"",
        "",
        comment(
            "This workflow on the main branch, in its environment, is the account that deploys; otherwise it is the one that plans. "
            "No other workflow of the repository is either."
        ).rstrip(),
        on_account(up, f"{who}.may/deploy", "roles/iam.workloadIdentityUser"),
        on_account(plan, f"{who}.may/plan", "roles/iam.workloadIdentityUser"),
        "",
        f'echo "{PROVIDER}=projects/$number/locations/global/workloadIdentityPools/{pool}/providers/{_PROVIDER_ID}"',
    ]
    notes = [
        f"Lets the workflow {FILE} of one repository in, without a key. Say REPOSITORY=OWNER/NAME REPOSITORY_ID=NUMBER before it. It may be run again."
    ]
    return script(project, head("github", *notes), lines)


__all__ = ["KNOWS", "files"]
