"""Cloud Quotas: what a project may have of Cloud Run, and the wish for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal import generic
from gcp_rehearsal.apis.run.quota import used
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import exists, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.facts import limits as quota_limits
from gcp_rehearsal.facts.limits import SERVICE, Quota
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_PREFERENCES = "cloudquotas.projects.locations.quotaPreferences"
_INFOS = "cloudquotas.projects.locations.services.quotaInfos"
_DECIDED_AFTER = 45.0
"""Seconds from a wish to Google's answer, where no person looks at it."""
_GRANTED_TIMES = 3
"""Up to how many times the default is granted without a person: a few field reports, no rule of Google's."""
_FIXED = ("service", "quotaId", "dimensions")
_SMALL_STEP = 0.9
"""The fraction of itself to which a limit may fall without a word."""
_PAGE_TO_ASK = "https://console.cloud.google.com/iam-admin/quotas"


def _list_infos(call: Call) -> Json:
    _check_service(call.name.split("/")[5])
    infos = [_info(call, quota) for quota in quota_limits.QUOTAS]
    return generic.page(call, "quotaInfos", sorted(infos, key=lambda info: str(info["quotaId"])))


def _get_info(call: Call) -> Json:
    *_, service, _, name = call.name.split("/")
    return _info(call, _quota_of(service, name))


def _info(call: Call, quota: Quota) -> JsonObject:
    place = call.cloud.by_number(f"projects/{call.project}")
    body: JsonObject = {
        "name": f"{place}/locations/global/services/{SERVICE}/quotaInfos/{quota.id}",
        "quotaId": quota.id,
        "metric": quota.metric,
        "service": SERVICE,
        "isPrecise": True,
        "containerType": "PROJECT",
        "dimensions": ["region"],
        "metricDisplayName": quota.title.partition(",")[0],
        "quotaDisplayName": quota.title,
        "metricUnit": quota.unit,
        "quotaIncreaseEligibility": _eligibility(call.cloud, quota, call.project),
        "dimensionsInfos": _by_region(call.cloud, quota),
        "serviceRequestQuotaUri": f"{_PAGE_TO_ASK}?project={call.project}",
    }
    return body


def _eligibility(cloud: Cloud, quota: Quota, project: str) -> JsonObject:
    known = cloud.project(project)
    if known is not None and not known.billing:
        return {"ineligibilityReason": "NO_VALID_BILLING_ACCOUNT"}
    return {"ineligibilityReason": "NOT_ENOUGH_USAGE_HISTORY"} if quota.gpu else {"isEligible": True}


def _by_region(cloud: Cloud, quota: Quota) -> list[JsonObject]:
    """Return the more specific ones first: regions of their own, then all the others together."""
    own = [
        region for region in quota.regions or ZONES if quota.regions or f"{quota.id}@{region}" in cloud.quotas
    ]
    infos: list[JsonObject] = [
        {
            "dimensions": {"region": region},
            "details": _value(cloud, quota, region),
            "applicableLocations": [region],
        }
        for region in sorted(own)
    ]
    others = sorted(set(ZONES) - set(own))
    if not quota.regions and others:
        infos.append({"details": _value(cloud, quota, ""), "applicableLocations": others})
    return infos


def _value(cloud: Cloud, quota: Quota, region: str) -> JsonObject:
    """Return a limit as Google answers it: one of nothing is left out, as its JSON leaves out every zero."""
    limit = quota_limits.limit(cloud.quotas, quota.id, region)
    return {"value": str(limit)} if limit else {}


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        for key in _FIXED:
            if body.get(key) != before.body.get(key):
                raise invalid(
                    f"{key} of a quota preference cannot be changed.", (f"quota_preference.{key}", "is fixed")
                )
    if not body.get("dimensions"):
        body.pop("dimensions", None)
    quota = _quota_of(body.get("service") or "", body.get("quotaId") or "")
    region = _region(body.get("dimensions") or {}, quota)
    if before is None:
        _check_alone(call, body)
    preferred = (body.get("quotaConfig") or {}).get("preferredValue")
    if preferred is None or int(preferred) < 0:
        raise invalid(
            "quota_config.preferred_value is required.",
            ("quota_preference.quota_config.preferred_value", "is required"),
        )
    _check_change(call, quota, region, int(preferred))
    earlier = before.body["quotaConfig"] if before else {}
    body["quotaConfig"] = {
        "preferredValue": preferred,
        **{key: earlier[key] for key in ("grantedValue", "traceId") if key in earlier},
        **{key: value for key, value in body["quotaConfig"].items() if key == "annotations"},
    }
    body.pop("contactEmail", None)  # It is written, and never read.


def _check_service(service: str) -> None:
    if not service:
        raise invalid("service is required.", ("quota_preference.service", "is required"))
    if service != SERVICE:
        raise unimplemented(f"quotas of {service}")


def _quota_of(service: str, name: str) -> Quota:
    _check_service(service)
    known = quota_limits.quota(name)
    if known is None:
        raise not_found(f"The quota '{name}' of the service '{service}' was not found.")
    return known


def _region(dimensions: Mapping[str, str], quota: Quota) -> str:
    """Return the region of a preference; '' for all those that have none of their own."""
    if set(dimensions) - {"region"}:
        raise invalid(
            f"The quota '{quota.id}' has no other dimension than region.",
            ("quota_preference.dimensions", "is invalid"),
        )
    region = dimensions.get("region", "")
    if "region" in dimensions and region not in ZONES:
        raise invalid(f"Region '{region}' is not known.", ("quota_preference.dimensions", "is invalid"))
    return region


def _check_alone(call: Call, body: Mapping[str, Json]) -> None:
    place = f"projects/{call.project}/locations/global/quotaPreferences"
    for other in call.cloud.store.under(call.api, place):
        if all(other.body.get(key) == body.get(key) for key in _FIXED):
            raise exists(f"The quota preference '{other.name}' is for the same quota and dimensions.")


def _check_change(call: Call, quota: Quota, region: str, preferred: int) -> None:
    now = quota_limits.limit(call.cloud.quotas, quota.id, region)
    if preferred > now and not call.body.get("contactEmail"):
        raise invalid(
            "contact_email is required to ask for more quota.",
            ("quota_preference.contact_email", "is required"),
        )
    ignored = call.query.get("ignoreSafetyChecks") or []
    if preferred < now * _SMALL_STEP and "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH" not in ignored:
        raise precondition(
            f"The quota '{quota.id}' would fall from {now} to {preferred}, which is by more than 10 percent. Set "
            "ignore_safety_checks to QUOTA_DECREASE_PERCENTAGE_TOO_HIGH to have it all the same."
        )
    usage = max(used(call.cloud, quota.id, call.project, place) for place in ([region] if region else ZONES))
    if preferred < min(usage, now) and "QUOTA_DECREASE_BELOW_USAGE" not in ignored:
        raise precondition(
            f"The quota '{quota.id}' would fall to {preferred}, below its usage, {usage}. Set ignore_safety_checks to "
            "QUOTA_DECREASE_BELOW_USAGE to have it all the same."
        )


def _await_decision(call: Call, preference: StoredResource) -> None:
    cloud, config = call.cloud, preference.body["quotaConfig"]
    quota = _quota_of(preference.body["service"], preference.body["quotaId"])
    region = _region(preference.body.get("dimensions") or {}, quota)
    config.setdefault("grantedValue", str(quota_limits.limit(cloud.quotas, quota.id, region)))
    config["traceId"] = cloud.uuid()
    config.pop("stateDetail", None)
    preference.body["reconciling"] = True
    trace = config["traceId"]

    def decide() -> None:
        # A newer wish has taken the place of this one otherwise.
        if preference.body["quotaConfig"]["traceId"] == trace:
            _decide(cloud, preference, quota, region)

    cloud.clock.after(cloud.takes(_DECIDED_AFTER), decide)
    cloud.clock.settle()


def _decide(cloud: Cloud, preference: StoredResource, quota: Quota, region: str) -> None:
    config, now = preference.body["quotaConfig"], quota_limits.limit(cloud.quotas, quota.id, region)
    preferred = int(config["preferredValue"])
    most = now if quota.gpu else max(now, quota.default * _GRANTED_TIMES)
    eligible = _eligibility(cloud, quota, preference.project).get("isEligible", False)
    if preferred <= now or (eligible and preferred <= most):
        cloud.quotas[f"{quota.id}@{region}" if region else quota.id] = preferred
        config["grantedValue"] = str(preferred)
    else:
        config["grantedValue"] = str(now)
        config["stateDetail"] = (
            f"We cannot grant the preferred quota '{preferred}' for limit '{quota.id}' in service '{SERVICE}' at this "
            f"moment. '{now}' was granted."
        )
    del preference.body["reconciling"]
    preference.body["updateTime"] = cloud.clock.text()


def _of_a_project(call: Call) -> Json:
    raise unimplemented(f"{call.method.id}: quotas of anything but projects")


def _global(handler: Handler) -> Handler:
    """Refuse any location except `global`, the only one that Cloud Quotas knows."""

    def act(call: Call) -> Json:
        location = call.name.split("/")[3]
        if location != "global":
            raise invalid(f"The location must be 'global', not '{location}'.", ("parent", "is invalid"))
        return handler(call)

    return act


_ELSEWHERE = {
    f"cloudquotas.{holder}.locations.{method}": _of_a_project
    for holder in ("folders", "organizations")
    for method in (
        "quotaPreferences.create",
        "quotaPreferences.get",
        "quotaPreferences.list",
        "quotaPreferences.patch",
        "services.quotaInfos.get",
        "services.quotaInfos.list",
    )
}
KINDS: Mapping[str, Kind] = {_PREFERENCES: Kind(prepare=_prepare, made=_await_decision)}
HANDLERS: Mapping[str, Handler] = {
    **_ELSEWHERE,
    f"{_INFOS}.get": _global(_get_info),
    f"{_INFOS}.list": _global(_list_infos),
    f"{_PREFERENCES}.create": _global(generic.create),
    f"{_PREFERENCES}.get": _global(generic.get),
    f"{_PREFERENCES}.list": _global(generic.list_),
    f"{_PREFERENCES}.patch": _global(generic.patch),
}
