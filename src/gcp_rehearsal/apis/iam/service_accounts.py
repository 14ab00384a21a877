"""Service accounts: made, not seen at once, known by e-mail and number, and for whom others may act."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal import generic
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import aborted, exists, invalid, not_found
from gcp_rehearsal.iam import policy_versions
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

COLLECTION = "iam.projects.serviceAccounts"
_ID = re.compile(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])")
_WRITTEN = ("displayName", "description")


def may_act_as(call: Call, email: str) -> bool:
    """Return True if the caller may let something run as this account, and the account is there."""
    project = project_of(call.cloud, email) or call.project
    name, permission = f"projects/{project}/serviceAccounts/{email}", "iam.serviceAccounts.actAs"
    held = call.cloud.access.held(call.caller, [permission], "iam", name, project)
    return permission in held and call.cloud.account_is_visible(email)


def project_of(cloud: Cloud, email: str) -> str:
    """Return the project that a service account is of, where it is one of this cloud's; else ''."""
    place = email.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
    return place if cloud.project(place) else ""


def found(call: Call, name: str = "") -> StoredResource:
    """Return the account that a call names by its e-mail or number. Raises `ApiError` 404 in Google's words."""
    account = by_name(call.cloud, name or call.name)
    if account is None or not call.cloud.account_is_visible(account.id):
        raise not_found("Unknown service account")
    return account


def by_name(cloud: Cloud, name: str) -> StoredResource | None:
    """
    Return the account of that name, whose project may be `-` and whose last part may be its number; None
    where none is.
    """
    last = name.rpartition("/")[2]
    return next(
        (
            account
            for account in cloud.store.of("iam", COLLECTION)
            if last in {account.id, account.body["uniqueId"]}
        ),
        None,
    )


def _create(call: Call) -> Json:
    account = str(call.body.get("accountId") or "")
    if not _ID.fullmatch(account):
        raise invalid(
            "Invalid service account id: it must be 6 to 30 lower-case letters, digits and dashes.",
            ("account_id", "6 to 30 lower-case letters, digits and dashes, beginning with a letter"),
        )
    email = f"{account}@{call.project}.iam.gserviceaccount.com"
    name = f"projects/{call.project}/serviceAccounts/{email}"
    if call.cloud.store.get("iam", name) is not None:
        raise exists(f"Service account {account} already exists within project projects/{call.project}.")
    number = call.cloud.number()
    sent = call.body.get("serviceAccount", {})
    body = {
        "name": name,
        "projectId": call.project,
        "uniqueId": number,
        "email": email,
        **{key: sent[key] for key in _WRITTEN if sent.get(key)},
        "etag": _etag(0),
        "oauth2ClientId": number,
    }
    return call.cloud.keep(call, name, COLLECTION, body).body


def _get(call: Call) -> Json:
    return found(call).body


def _list(call: Call) -> Json:
    parent = call.name.removesuffix("/serviceAccounts")
    accounts = [
        account.body
        for account in call.cloud.store.of("iam", COLLECTION)
        if account.name.startswith(f"{parent}/") and call.cloud.account_is_visible(account.id)
    ]
    return generic.page(call, "accounts", accounts)


def _patch(call: Call) -> Json:
    sent, mask = call.body.get("serviceAccount", {}), str(call.body.get("updateMask") or "")
    fields = [_camel(field) for field in mask.split(",") if field]
    wrong = [field for field in fields if field not in _WRITTEN]
    if wrong or not fields:
        raise invalid(
            f"Update mask {mask!r} is not supported.", ("update_mask", f"only {', '.join(_WRITTEN)}")
        )
    return _changed(call, {field: sent.get(field, "") for field in fields}, sent)


def _update(call: Call) -> Json:
    return _changed(call, {key: call.body[key] for key in _WRITTEN if key in call.body}, call.body)


def _changed(call: Call, fields: Mapping[str, Json], sent: Mapping[str, Json]) -> Json:
    account = found(call)
    if sent.get("etag") and sent["etag"] != account.body["etag"]:
        raise aborted("There were concurrent policy changes. Please retry the whole read-modify-write.")
    account.version += 1
    account.body |= {**fields, "etag": _etag(account.version)}
    return account.body


def _delete(call: Call) -> Json:
    call.cloud.forget(found(call))
    return {}


def _enable(call: Call) -> Json:
    found(call).body.pop("disabled", None)
    return {}


def _disable(call: Call) -> Json:
    found(call).body["disabled"] = True
    return {}


def _policy(call: Call) -> Json:
    return policy_versions.read(call, call.cloud.access.policy("iam", found(call).name))


def _set_policy(call: Call) -> Json:
    return call.cloud.access.set_policy("iam", found(call).name, call.body.get("policy", {}))


def _etag(version: int) -> str:
    return base64.b64encode(f"MDEw{version:04d}".encode()).decode()


def _camel(field: str) -> str:
    head, *rest = field.split("_")
    return head + "".join(part.title() for part in rest)


KINDS: Mapping[str, Kind] = {
    "iam.projects.locations.workloadIdentityPools": Kind(seconds=2.0),
    "iam.projects.locations.workloadIdentityPools.providers": Kind(seconds=2.0),
}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.create": _create,
    f"{COLLECTION}.get": _get,
    f"{COLLECTION}.list": _list,
    f"{COLLECTION}.patch": _patch,
    f"{COLLECTION}.update": _update,
    f"{COLLECTION}.delete": _delete,
    f"{COLLECTION}.enable": _enable,
    f"{COLLECTION}.disable": _disable,
    f"{COLLECTION}.getIamPolicy": _policy,
    f"{COLLECTION}.setIamPolicy": _set_policy,
}
