"""What `[observe]` takes, as calls of Google's API: gcloud finds none of it by our labels, and changes a dashboard only under its etag."""

from __future__ import annotations

import json

from homeport.export.builds import found
from homeport.export.fields import Fields
from homeport.export.gcloud_commands import GcloudCommands
from homeport.resources.google.monitoring import MonitoringPart
from homeport.resources.google.rest import RestResource

NAMED = "__NAMED__"
"""Stands for the name of what was found."""


def monitoring_part(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the calls for a dashboard, an alert policy, a channel or an uptime check."""
    assert isinstance(one, MonitoringPart)
    remaining = body.rest()
    file = f"{one.kind.replace(' ', '-')}-{one.part}.json".replace("dashboard-dashboard", "dashboard")
    host, version = f"{one.address.api}.googleapis.com", one.address.made_at.partition("/")[0]
    mask = "" if one.change == "merge" else f"?updateMask={','.join(sorted(remaining))}"
    return GcloudCommands(
        look=found(one),
        make=("rest", "POST", host, f"/{one.address.made_at}", file),
        change=("rest", "PATCH", host, f"/{version}/{NAMED}{mask}", file),
        files={file: json.dumps(remaining, indent=2) + "\n"},
    )


def budget(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the calls for a budget, which lies with the project's billing account and is known by its title."""
    remaining, project = body.rest(), one.google.project
    host, file = f"{one.address.api}.googleapis.com", "budget.json"
    # Google tells a project back by its number.
    numbered = {
        **remaining,
        "budgetFilter": {**remaining["budgetFilter"], "projects": ["projects/__NUMBER__"]},
    }
    ours = (f"displayName={remaining['displayName']}", "budgetFilter.projects=projects/__NUMBER__")
    describe_call = f"gcloud billing projects describe {project} --format='value(billingAccountName)'"
    return GcloudCommands(
        first=(
            f"ACCOUNT=$({describe_call})",
            f'[ -n "$ACCOUNT" ] || die "the project {project} has no billing account, and a budget lies with one"',
            f"NUMBER=$(gcloud projects describe {project} --format='value(projectNumber)')",
        ),
        look=("rest", "FIND", host, "/v1/__ACCOUNT__/budgets", "budgets", *ours),
        make=("rest", "POST", host, "/v1/__ACCOUNT__/budgets", file),
        change=("rest", "PATCH", host, f"/v1/{NAMED}?updateMask={','.join(sorted(remaining))}", file),
        files={file: json.dumps(numbered, indent=2) + "\n"},
        compared=numbered,
        marks={"__ACCOUNT__": "$ACCOUNT", "__NUMBER__": "$NUMBER"},
    )
