"""A job of Cloud Scheduler that sets how many instances of a service always run."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import ClassVar

from homeport.google import Google
from homeport.google.call import address_of
from homeport.reconcile.diff import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource

KIND = "scheduled job"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledJob(RestResource):
    """A job. One that is wanted no more goes before anything else: it would set again what is changed."""

    goes_first: ClassVar[bool] = True


def scheduled_job(google: Google, name: str, job_id: str, region: str) -> ScheduledJob:
    """Return the job `job_id` of the endpoint `name` as far as it is needed to take it away."""
    parent = f"v1/projects/{google.project}/locations/{region}/jobs"
    return ScheduledJob(
        google=google,
        name=name,
        id=f"scheduled-job/{job_id}",
        kind=KIND,
        address=Address(api="cloudscheduler", path=f"{parent}/{job_id}", made_at=parent),
        wanted={},
        marked="description",
        rules=Rules(immutable=frozenset(("name",))),
    )


def described(name: str, count: int) -> str:
    """Return the description by which a job is found."""
    return f"{LABEL}={name} keeps {count} instance{'' if count == 1 else 's'} from here on"


def least_instances_call(service: str, count: int, email: str) -> dict[str, object]:
    """Return the call that lets `count` instances of a service always run; a new revision does not come of it."""
    body = json.dumps({"scaling": {"minInstanceCount": count}}, separators=(",", ":")).encode()
    return {
        "uri": address_of("run", f"v2/{service}?updateMask=scaling.minInstanceCount"),
        "httpMethod": "PATCH",
        "headers": {"Content-Type": "application/json"},
        "body": base64.b64encode(body).decode(),
        "oauthToken": {"serviceAccountEmail": email},
    }
