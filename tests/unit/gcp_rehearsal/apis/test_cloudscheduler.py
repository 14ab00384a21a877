"""The jobs of Cloud Scheduler: due by the rehearsal's clock, called as their account, again where that failed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import AT_ONCE, Cloud

PLACE = "projects/rehearsal/locations/europe-west4"
JOBS = f"cloudscheduler.googleapis.com/v1/{PLACE}/jobs"
BERLIN_SATURDAY_NOON = 1_795_863_600.0
"""2026-11-28, 11:00 UTC."""
EMAIL = "caller@rehearsal.iam.gserviceaccount.com"


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud(delays=AT_ONCE, clock=Clock(start=BERLIN_SATURDAY_NOON))
    enable(made, "cloudscheduler", "iam", "secretmanager", "cloudresourcemanager")
    return made


def job(**more: Any) -> dict[str, Any]:  # Any: JSON
    secret = "https://secretmanager.googleapis.com/v1/projects/rehearsal/secrets?secretId=made"
    return {
        "name": f"{PLACE}/jobs/one",
        "schedule": "0 8 * * 1",
        "timeZone": "Europe/Berlin",
        "httpTarget": {
            "uri": secret,
            "httpMethod": "POST",
            "body": base64.b64encode(b'{"replication": {"automatic": {}}}').decode(),
            "oauthToken": {"serviceAccountEmail": EMAIL},
        },
        **more,
    }


async def account(raw: Raw) -> None:
    made = await raw.send(
        "POST",
        "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts",
        {"accountId": EMAIL.partition("@")[0]},
    )
    assert made.status == 200


async def granted(raw: Raw) -> None:
    project = "cloudresourcemanager.googleapis.com/v3/projects/rehearsal"
    policy = (await raw.send("POST", f"{project}:getIamPolicy", {})).body
    policy["bindings"].append({"role": "roles/secretmanager.admin", "members": [f"serviceAccount:{EMAIL}"]})
    assert (await raw.send("POST", f"{project}:setIamPolicy", {"policy": policy})).status == 200


def test_a_job_calls_at_its_time_by_the_clock_on_its_wall_as_its_account(cloud: Cloud) -> None:
    async def scene() -> None:
        raw = Raw(cloud)
        await account(raw)
        await granted(raw)
        made = await raw.send("POST", JOBS, job())
        assert made.status == 200, made.body
        assert made.body["scheduleTime"].startswith("2026-11-30T07:00:00"), "8 in Berlin, in winter"
        assert made.body["state"] == "ENABLED"
        cloud.clock.jump(2 * 86400 - 5 * 3600)
        assert (await raw.send("GET", f"{JOBS}/one")).body.get("lastAttemptTime") is None
        cloud.clock.jump(2 * 3600)
        after = (await raw.send("GET", f"{JOBS}/one")).body
        assert after["lastAttemptTime"].startswith("2026-11-30T07:00:00")
        assert after["status"] == {}
        assert after["scheduleTime"].startswith("2026-12-07T07:00:00")
        called = [one for one in cloud.log if one.method == "secretmanager.projects.secrets.create"]
        assert [(one.caller, one.status) for one in called] == [(EMAIL, 200)]

    act(scene())


def test_a_call_that_is_refused_is_made_again_as_often_as_the_job_says(cloud: Cloud) -> None:
    async def scene() -> None:
        raw = Raw(cloud)
        await account(raw)
        retries = {"retryCount": 2, "minBackoffDuration": "60s"}
        await raw.send("POST", JOBS, job(retryConfig=retries))
        await raw.send("POST", f"{JOBS}/one:run", {})
        assert (await raw.send("GET", f"{JOBS}/one")).body["status"] == {"code": 7}
        await granted(raw)
        cloud.clock.jump(61)
        assert (await raw.send("GET", f"{JOBS}/one")).body["status"] == {}

    act(scene())


def test_a_job_that_is_paused_or_gone_does_not_call(cloud: Cloud) -> None:
    async def scene() -> None:
        raw = Raw(cloud)
        await account(raw)
        await granted(raw)
        await raw.send("POST", JOBS, job())
        assert (await raw.send("POST", f"{JOBS}/one:pause", {})).body["state"] == "PAUSED"
        cloud.clock.jump(14 * 86400)
        assert (await raw.send("GET", f"{JOBS}/one")).body.get("lastAttemptTime") is None
        assert (await raw.send("POST", f"{JOBS}/one:resume", {})).body["state"] == "ENABLED"
        changed = await raw.send("PATCH", f"{JOBS}/one?updateMask=schedule", {"schedule": "30 9 * * *"})
        assert changed.body["scheduleTime"].endswith("T08:30:00.000000Z")
        assert len((await raw.send("GET", JOBS)).body["jobs"]) == 1
        assert (await raw.send("DELETE", f"{JOBS}/one")).status == 200
        cloud.clock.jump(14 * 86400)
        cloud.clock.settle()
        assert not [one for one in cloud.log if one.caller == EMAIL]

    act(scene())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"schedule": "every day"}, "Schedule or time zone is invalid"),
        ({"timeZone": "Europe/Nowhere"}, "Time zone 'Europe/Nowhere' is invalid"),
        ({"retryConfig": {"retryCount": 6}}, "retry_count"),
        ({"attemptDeadline": "3600s"}, "attempt_deadline"),
        ({"name": f"{PLACE}/jobs/no such"}, "Job name must be formatted"),
    ],
)
def test_what_cloud_scheduler_refuses_is_refused(cloud: Cloud, more: dict[str, Any], words: str) -> None:
    async def scene() -> Answer:
        raw = Raw(cloud)
        await account(raw)
        return await raw.send("POST", JOBS, job(**more))

    answer = act(scene())
    assert answer.status == 400
    assert words in answer.error


def test_who_may_not_act_as_the_account_makes_no_job_of_it(cloud: Cloud) -> None:
    async def scene() -> Answer:
        await account(Raw(cloud))
        project = "cloudresourcemanager.googleapis.com/v3/projects/rehearsal"
        policy = (await Raw(cloud).send("POST", f"{project}:getIamPolicy", {})).body
        policy["bindings"].append(
            {"role": "roles/cloudscheduler.admin", "members": ["user:other@example.com"]}
        )
        await Raw(cloud).send("POST", f"{project}:setIamPolicy", {"policy": policy})
        return await Raw(cloud, "other@example.com").send("POST", JOBS, job())

    answer = act(scene())
    assert answer.status == 403
    assert "iam.serviceAccounts.actAs" in answer.error
