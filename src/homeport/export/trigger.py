"""Triggers of Cloud Build: `plan` on a pull request, `up` on a push to the main branch."""

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
    on_project,
    package_note,
    planner,
)
from homeport.export.graph import Things
from homeport.export.shell import script
from homeport.export.text import comment, head, to_yaml
from homeport.json_types import JsonObject
from homeport.resources.google.secret import SecretVersion

SET_UP = "trigger-setup.sh"
REPOSITORY = "__REPOSITORY__"
"""Stands in the files for the repository's link, which only its owner can make."""
_SUBSTITUTION = f"_{PACKAGE}"
_IMAGE = "python:3.12"
"""With git, by which pip may fetch homeport."""
_SECONDS, _SLACK_SECONDS, _LONGEST_S = 900, 1800, 86400


def files(things: Things) -> dict[str, str]:
    """Return both triggers, for `gcloud builds triggers import`, and the script that does that."""
    things = things.everywhere
    ensure_key_is_at_hand(things)
    note = f"For {SET_UP}, which puts the link of your repository in place of {REPOSITORY}."
    texts = {
        f"trigger-{purpose}.yaml": head("trigger", note) + to_yaml(trigger)
        for purpose, trigger in triggers(things).items()
    }
    return {**texts, SET_UP: _set_up(things)}


def triggers(things: Things) -> dict[str, JsonObject]:
    """
    Return the triggers by what they do, as the API takes them; their builds are in them, where no pull
    request changes them.
    """
    main = "^main$"
    return {
        "plan": {
            **_trigger(things, "plan", planner(things), "homeport plan --on cloudrun", _SECONDS),
            "repositoryEventConfig": {
                "repository": REPOSITORY,
                # Of somebody who may not write to the repository, only after an owner has commented /gcbrun.
                "pullRequest": {"branch": main, "commentControl": "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"},
            },
        },
        "up": {
            **_trigger(
                things, "up", deployer(things), "homeport up --on cloudrun --yes",
                min(_LONGEST_S, round(seconds(things)) + _SLACK_SECONDS),
            ),
            "repositoryEventConfig": {"repository": REPOSITORY, "push": {"branch": main}},
            # Somebody with roles/cloudbuild.builds.approver says yes before it runs.
            "approvalConfig": {"approvalRequired": True},
        },
    }  # fmt: skip


def _trigger(things: Things, purpose: str, account: DeployerAccount, line: str, limit: int) -> JsonObject:
    lines = (
        "#!/usr/bin/env bash",
        "set -euo pipefail",
        f'pip install --quiet --root-user-action=ignore "${{{PACKAGE}:?}}"',
        line,
    )
    step: JsonObject = {
        "name": _IMAGE,
        "id": purpose,
        "env": [f"{PACKAGE}=${{{_SUBSTITUTION}}}", "GOOGLE_CLOUD_PROJECT=$PROJECT_ID"],
        "script": "".join(f"{script_line}\n" for script_line in lines),
    }
    build: JsonObject = {
        "timeout": f"{limit}s",
        "options": {"logging": "CLOUD_LOGGING_ONLY"},
        "steps": [step],
    }
    secrets = things.all(SecretVersion)
    if secrets:
        step["secretEnv"] = [TOKEN]
        # The newest one: `up` compares it with the newest, and would put back an older one that is pinned.
        version = f"projects/{things.project}/secrets/{secrets[0].secret_id}/versions/latest"
        build["availableSecrets"] = {"secretManager": [{"versionName": version, "env": TOKEN}]}
    return {
        "name": f"homeport-{things.name}-{purpose}",
        "description": f"homeport {things.name}: {purpose}",
        "tags": ["homeport", things.name],
        "serviceAccount": account.name,
        "includedFiles": list(WATCHED),
        "includeBuildLogs": "INCLUDE_BUILD_LOGS_WITH_STATUS",
        "substitutions": {_SUBSTITUTION: f"__{PACKAGE}__"},
        "build": build,
    }


def _set_up(things: Things) -> str:
    plan, up = planner(things), deployer(things)
    lines = [
        "",
        ': "${REPOSITORY:?is projects/…/locations/…/connections/…/repositories/… : gcloud builds repositories list}"',
        f': "${{{PACKAGE}:?is what pip installs: see above}}"',
        "",
        "gcloud services enable cloudbuild.googleapis.com iam.googleapis.com iamcredentials.googleapis.com cloudresourcemanager.googleapis.com",
        *accounts(things),
        "",
        comment("Builds write their own logs.").rstrip(),
        *(_logs(things, account) for account in (plan, up)),
        "",
        comment("Both triggers; what is there under their names is changed.").rstrip(),
        "for file in trigger-plan.yaml trigger-up.yaml; do",
        f'  fill "$file" "$work/$file" {REPOSITORY} "$REPOSITORY" __{PACKAGE}__ "${PACKAGE}"',
        f'  again gcloud builds triggers import --source="$work/$file" --region={things.region}',
        "done",
    ]
    notes = [
        (
            "Makes two triggers: a pull request to the main branch plans, as an account that can read and nothing else; "
            "a push to it does what is planned. Their builds are in the triggers and not in the repository: a pull request "
            f"changes what is planned, and what runs only where {PACKAGE} is a wheel in the repository. It may be run again."
        ),
        (
            f"Link your repository to Cloud Build in {things.region} before: in the console, or by `gcloud builds connections "
            "create` and `gcloud builds repositories create`. Say REPOSITORY=… before this script: its full name there."
        ),
        package_note(things),
        (
            "A push to the main branch waits until somebody with roles/cloudbuild.builds.approver has approved its build; both run only "
            f"where one of {', '.join(WATCHED)} changes: add to includedFiles whatever else your homeport.toml names."
        ),
        (
            "Cloud Build does not keep two pushes from running at once. Then the later change of the service is refused, "
            "and that build fails: start it again."
        ),
    ]
    if things.all(SecretVersion):
        notes.append(
            f"{TOKEN} is the secret that `up` itself keeps the hub's token in: run `homeport up --on cloudrun` once from a machine that has "
            f"the token before the triggers can; cloudrun.hub_token must be env:{TOKEN}."
        )
    return script(
        things.project,
        head("trigger", *notes, *encryption.notes(things), *encryption.looks(things, planner(things).member)),
        lines,
    )


def _logs(things: Things, account: DeployerAccount) -> str:
    return on_project(things, account.member, "roles/logging.logWriter")


__all__ = ["KNOWS", "files"]
