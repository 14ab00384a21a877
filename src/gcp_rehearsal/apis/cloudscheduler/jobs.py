"""Cloud Scheduler's jobs, which really call: at their times by the rehearsal's clock, as the account that they name."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gcp_rehearsal import generic
from gcp_rehearsal.apis.iam.service_accounts import may_act_as
from gcp_rehearsal.bodies import patched, writable
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.context import Call, Cloud, Handler, Kind
from gcp_rehearsal.errors import ApiError, exists, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

COLLECTION = "cloudscheduler.projects.locations.jobs"
_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/jobs/[a-zA-Z0-9_-]{1,500}")
_BODIED = ("POST", "PUT", "PATCH")
_DEADLINES = (15.0, 1800.0)
_MOST_RETRIES, _LONGEST_DESCRIPTION = 5, 500
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 501: 12, 503: 14}


def _create(call: Call) -> Json:
    body = writable(call)
    name = call.cloud.by_id(str(body.get("name") or f"{call.name}/{call.cloud.number()}"))
    if not _NAME.fullmatch(name) or not name.startswith(f"{call.name}/"):
        raise invalid(f'Job name must be formatted: "{call.name}/jobs/JOB_ID", and is "{name}".')
    if call.cloud.store.get("cloudscheduler", name) is not None:
        raise exists(f"Job {name} already exists.")
    body["name"] = name
    _check(call, body)
    job = call.cloud.keep(call, name, COLLECTION, {**body, "state": "ENABLED"})
    _changed(call.cloud, job)
    return job.body


def _get(call: Call) -> Json:
    return _existing(call).body


def _list(call: Call) -> Json:
    return generic.page(
        call, "jobs", [job.body for job in call.cloud.store.under("cloudscheduler", call.name)]
    )


def _patch(call: Call) -> Json:
    job = _existing(call)
    body = {**patched(call, job, writable(call), whole=False), "name": job.name}
    _check(call, body)
    job.body = body
    _changed(call.cloud, job)
    return job.body


def _delete(call: Call) -> Json:
    job = _existing(call)
    job.hidden["turn"] = None
    call.cloud.forget(job)
    return {}


def _pause(call: Call) -> Json:
    return _switched(call, wanted="ENABLED", new="PAUSED")


def _resume(call: Call) -> Json:
    return _switched(call, wanted="PAUSED", new="ENABLED")


def _run(call: Call) -> Json:
    job = _existing(call)
    _attempt(call.cloud, job, retry=0, turn=job.hidden["turn"])
    return job.body


def _switched(call: Call, *, wanted: str, new: str) -> Json:
    job = _existing(call)
    if job.body["state"] not in {wanted, new}:
        raise precondition(f"Job.state must be {wanted} for this request.")
    job.body["state"] = new
    _plan(call.cloud, job)
    return job.body


def _existing(call: Call) -> StoredResource:
    job = call.cloud.store.get("cloudscheduler", call.name)
    if job is None:
        raise not_found("Job not found.")
    return job


def _check(call: Call, body: JsonObject) -> None:
    """Set the defaults; raise `ApiError` for what Cloud Scheduler would not take, or the rehearsal not act out."""
    for other in ("pubsubTarget", "appEngineHttpTarget"):
        if body.get(other):
            raise unimplemented(f"jobs with {other}")
    target = body.get("httpTarget") or {}
    if len(str(body.get("description") or "")) > _LONGEST_DESCRIPTION:
        raise invalid("Job.description must not contain more than 500 characters.")
    body.setdefault("timeZone", "Etc/UTC")
    try:
        next(_times(body, 0.0))
    except (ZoneInfoNotFoundError, ValueError):
        raise invalid(f"Time zone '{body['timeZone']}' is invalid.") from None
    except _NotCronError:
        raise invalid(f"Schedule or time zone is invalid: '{body.get('schedule')}'.") from None
    _check_target(call, target)
    body.setdefault("attemptDeadline", "180s")
    low, high = _DEADLINES
    if not low <= _seconds(body["attemptDeadline"]) <= high:
        raise invalid("Job.attempt_deadline must be in the interval [15 seconds, 30 minutes].")
    retries = body.setdefault("retryConfig", {})
    defaults = {
        "maxRetryDuration": "0s",
        "minBackoffDuration": "5s",
        "maxBackoffDuration": "3600s",
        "maxDoublings": 5,
    }
    body["retryConfig"] = {**defaults, **retries}
    if not 0 <= int(retries.get("retryCount", 0)) <= _MOST_RETRIES:
        raise invalid("RetryConfig.retry_count must be from 0 to 5.")


def _check_target(call: Call, target: Mapping[str, Json]) -> None:
    parts = urlsplit(str(target.get("uri") or ""))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise invalid("HttpTarget.url must begin with http:// or https://.")
    if not parts.hostname.endswith(".googleapis.com"):
        raise unimplemented("jobs that call anything but Google's APIs")
    if target.get("body") and target.get("httpMethod", "POST") not in _BODIED:
        raise invalid("HttpTarget.body is allowed only if the HTTP method is POST, PUT, or PATCH.")
    if target.get("oidcToken"):
        raise unimplemented("jobs with oidcToken")
    email = (target.get("oauthToken") or {}).get("serviceAccountEmail")
    if email and not may_act_as(call, str(email)):
        raise ApiError(
            403,
            'The principal (user or service account) lacks IAM permission "iam.serviceAccounts.actAs" for the resource '
            f'"{email}" (or the resource may not exist).',
        )


def _changed(cloud: Cloud, job: StoredResource) -> None:
    job.body["userUpdateTime"] = cloud.clock.text()
    _plan(cloud, job)


def _plan(cloud: Cloud, job: StoredResource) -> None:
    """Set the next turn; what was planned before does not come any more."""
    turn = job.hidden["turn"] = object()
    if job.body["state"] != "ENABLED":
        job.body.pop("scheduleTime", None)
        return
    at = next(_times(job.body, cloud.clock.now()))
    job.body["scheduleTime"] = cloud.clock.text(at)

    def due() -> None:
        if job.hidden["turn"] is turn:
            _attempt(cloud, job, retry=0, turn=turn)
            if "retrying" not in job.hidden:
                _plan(cloud, job)

    cloud.clock.after(at - cloud.clock.now(), due)


def _attempt(cloud: Cloud, job: StoredResource, *, retry: int, turn: object) -> None:
    """Call; and again later where that failed, as often as the job says."""
    job.hidden.pop("retrying", None)
    job.body["lastAttemptTime"] = cloud.clock.text()
    reply = _called(cloud, job.body["httpTarget"])
    failed = reply.status >= 400
    job.body["status"] = {"code": _CODES.get(reply.status, 2)} if failed else {}
    config = job.body["retryConfig"]
    if not failed or retry >= int(config.get("retryCount", 0)):
        return
    doubled = min(retry, int(config["maxDoublings"]))
    pause = min(_seconds(config["minBackoffDuration"]) * 2.0**doubled, _seconds(config["maxBackoffDuration"]))
    job.hidden["retrying"] = True
    job.body["scheduleTime"] = cloud.clock.text(cloud.clock.now() + pause)

    def again() -> None:
        if job.hidden["turn"] is turn:
            _attempt(cloud, job, retry=retry + 1, turn=turn)
            if "retrying" not in job.hidden:
                _plan(cloud, job)

    cloud.clock.after(pause, again)


def _called(cloud: Cloud, target: Mapping[str, Json]) -> Reply:
    parts = urlsplit(str(target["uri"]))
    email = (target.get("oauthToken") or {}).get("serviceAccountEmail")
    headers = {str(key).lower(): str(value) for key, value in (target.get("headers") or {}).items()}
    headers["user-agent"] = "Google-Cloud-Scheduler"
    if email and not cloud.account_is_visible(str(email)):
        return Reply(status=401, body=json.dumps({"error": "the account is gone"}).encode())
    if email:
        headers["authorization"] = f"Bearer {cloud.token(str(email))}"
    return cloud.answered(
        Request(
            verb=str(target.get("httpMethod") or "POST"),
            host=parts.netloc,
            path=parts.path,
            query=parts.query,
            headers=headers,
            body=base64.b64decode(str(target.get("body") or "")),
        )
    )


class _NotCronError(Exception):
    """A schedule that is none in cron's form."""


def _times(body: Mapping[str, Json], since: float) -> _Times:
    return _Times(str(body.get("schedule") or ""), str(body["timeZone"]), since)


class _Times:
    """The moments of a schedule after one, as seconds since 1970; clocks that change are taken as Debian's cron takes them."""

    def __init__(self, schedule: str, zone: str, since: float) -> None:
        from cronsim import CronSim, CronSimError

        place = ZoneInfo("UTC" if zone.lower() == "utc" else zone)
        if len(schedule.split()) != 5:
            raise _NotCronError
        try:
            self._moments = CronSim(schedule, datetime.fromtimestamp(since, place))
        except CronSimError as error:
            raise _NotCronError from error

    def __next__(self) -> float:
        return next(self._moments).timestamp()


def _seconds(text: Json) -> float:
    return float(str(text).removesuffix("s"))


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.create": _create,
    f"{COLLECTION}.get": _get,
    f"{COLLECTION}.list": _list,
    f"{COLLECTION}.patch": _patch,
    f"{COLLECTION}.delete": _delete,
    f"{COLLECTION}.pause": _pause,
    f"{COLLECTION}.resume": _resume,
    f"{COLLECTION}.run": _run,
}
