"""The project: is it there, is it paid for, is it more than a trial?"""

from __future__ import annotations

from collections.abc import Sequence

from homeport.errors import NotFound, PermissionDenied
from homeport.google import Google
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, not_checked, ok, problem
from homeport.targets.cloudrun.preflight.request import PreflightInput

_YOURS = "`gcloud projects list` shows yours; cloudrun.project names it"
_ACCOUNTS = "`gcloud billing accounts list` shows accounts"


async def project(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether the project exists and is active."""
    try:
        live = await google.get("cloudresourcemanager", f"v3/projects/{asked.project}")
    except (NotFound, PermissionDenied) as error:
        # Google does not tell whether it is missing or somebody else's.
        text = f"there is no project {asked.project}, or you may not see it: {error}"
        return [problem("project", text, f"{_YOURS}; {error.hint}" if error.hint else _YOURS)]
    state = live.get("state", "STATE_UNSPECIFIED")
    number = live.get("name", "").rpartition("/")[2]
    if state != "ACTIVE":
        undelete = f"gcloud projects undelete {asked.project}" if state == "DELETE_REQUESTED" else _YOURS
        return [
            problem("project", f"the project {asked.project} is {state}, not ACTIVE", undelete, state=state)
        ]
    return [
        ok(
            "project",
            f"{asked.project} (number {number}) is active",
            number=number,
            parent=str(live.get("parent") or ""),
        )
    ]


async def billing(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether somebody pays for the project."""
    info = await google.get("cloudbilling", f"v1/projects/{asked.project}/billingInfo")
    if not info.get("billingEnabled"):
        account = info.get("billingAccountName", "").rpartition("/")[2]
        link = f"gcloud billing projects link {asked.project} --billing-account={account or 'ACCOUNT'}"
        closed = f"its billing account {account} is closed" if account else "it has no billing account"
        return [problem("billing", f"billing is off: {closed}", f"{link}; {_ACCOUNTS}", account=account)]
    account = info.get("billingAccountName", "")
    return [ok("billing", f"billing is on, by {account}", account=account)]


async def trial(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Return one finding, not checked: no API tells a free trial."""
    return [
        not_checked(
            "free trial",
            "no API tells whether the billing account is on the free trial, which has no GPUs and no quota for them",
            "https://console.cloud.google.com/billing tells, and has a button to upgrade",
        )
    ]
