"""
From what Google said to the errors of `homeport.errors`: the one border at which that is done.

`RequestContext` is what a refusal is the answer to; `error_of` gives the error, with a hint which a person can act on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.errors import (
    AlreadyExists,
    ApiDisabled,
    Conflict,
    GoogleError,
    InvalidArgument,
    NoCredentials,
    NotFound,
    OutOfCapacity,
    PermissionDenied,
    PolicyViolated,
    QuotaExceeded,
    RemoteError,
)
from homeport.google.encryption import agent_of, letting_use
from homeport.google.error_kinds import of_google
from homeport.google.grants import command, role_for
from homeport.google.quotas import hint_of, is_quota, violated
from homeport.google.refusal import Refusal

ANSWER_LOST = "ANSWER_LOST"
"""The reason of a GoogleError: a request that must not be repeated was sent, and nobody knows what came of it."""
AFTER_RETRY = "ALREADY_EXISTS_AFTER_RETRY"
"""The reason of an AlreadyExists after a lost answer: what exists may be what the first try made. Read it."""
LOGIN = "gcloud auth application-default login"

_CAPACITY = re.compile(
    r"RESOURCE_POOL_EXHAUSTED|does not have enough resources|stock ?out|insufficient capacity|out of capacity"
    r"|no available capacity|(?:instances?|accelerators?|GPUs?) (?:is|are) currently unavailable",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"organi[sz]ation policy|constraints?/[\w.]+|violates constraint|LOCATION_POLICY_VIOLATED|ORG_POLICY"
    r"|permitted customer|Constraint:? \S+ violated"
    r"|organi[sz]ation's policy|vpcServiceControls|VPC_SERVICE_CONTROLS|VPC Service Controls|SECURITY_POLICY_VIOLATED",
    re.IGNORECASE,
)
_CONSTRAINT = re.compile(r"constraints/([\w.]+)|Constraint:? (custom\.\w+)")
_PERIMETER = re.compile(
    r"vpcServiceControls|VPC_SERVICE_CONTROLS|VPC Service Controls|SECURITY_POLICY_VIOLATED|SecurityPolicyViolated",
    re.IGNORECASE,
)
_PERIMETER_ID = re.compile(r"vpcServiceControlsUniqueIdentifier:? ?([\w-]+)")
_TROUBLESHOOTER = "https://docs.cloud.google.com/vpc-service-controls/docs/troubleshooter"
_DISABLED = re.compile(
    r"has not been used in project|SERVICE_DISABLED|accessNotConfigured|API .*is not enabled"
)
_OF_A_KEY = "Permission denied on Cloud KMS key"
_UNQUOTED = "requires a quota project"
_PERMISSION = (
    re.compile(
        r"Permission '(?P<permission>[\w.]+)' denied on (?:resource|service account) '?(?P<resource>(?!\(or )[^' ]+)"
    ),
    re.compile(r"Required '(?P<permission>[\w.]+)' permission for '(?P<resource>[^']+)'"),
    re.compile(
        r"(?P<who>\S+) does not have (?P<permission>[\w.]+) access(?: to (?:the )?(?:Google Cloud Storage )?"
        r"(?P<resource>(?:project|bucket|object|resource)[^.]*))?"
    ),
    re.compile(r"Permission '?(?P<permission>[\w]+\.[\w.]+)'? (?:is )?(?:denied|required)"),
)
_DENIED = re.compile(r"Permission denied on secret|must have permission to read the image")
_EXISTS = re.compile(
    r"already exists|already own it|bucket name is not available|ALREADY_EXISTS", re.IGNORECASE
)
_BY_CODE: Mapping[int, type[RemoteError]] = {
    400: InvalidArgument, 404: NotFound, 409: Conflict, 412: Conflict, 413: InvalidArgument,
}  # fmt: skip
_TROUBLE = "Google has trouble: try again in a while; https://status.cloud.google.com tells more"
_HINTS: Mapping[type[RemoteError], str] = {
    AlreadyExists: "choose another name, or remove what is there",
    Conflict: "somebody else changed it at the same time: run the same command again",
}
_PROJECT = re.compile(r"projects/([^/]+)")
_ACCOUNT = re.compile(r"[\w.-]+@[\w.-]+\.gserviceaccount\.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What was asked of Google, and by whom."""

    verb: str
    host: str
    path: str
    project: str = ""
    """The project that is worked on, where the path does not say one."""
    principal: str = ""
    """The e-mail of the caller, where it is known."""

    @property
    def text(self) -> str:
        """Describe the request, such as `POST run.googleapis.com/v2/…`."""
        return f"{self.verb} {self.host}/{self.path}"

    @property
    def about(self) -> str:
        """Return the project that the request is about."""
        match = _PROJECT.search(self.path)
        return match[1] if match and match[1] != "-" else self.project


def error_of(refusal: Refusal, asked: RequestContext) -> GoogleError | NoCredentials:
    """Return the error to raise for a refusal."""
    makers = (
        (_is_unauthenticated, _unauthenticated),
        (is_off, _disabled),
        (is_capacity, _out_of_capacity),
        (is_quota, _quota),
        (is_policy, _policy),
        (_is_denial, _denied),
    )
    make = next((make for fits, make in makers if fits(refusal)), _by_status)
    return make(refusal, asked)


def is_off(refusal: Refusal) -> bool:
    """Return True if an API is off, or was until a moment ago."""
    return (
        refusal.code == 403
        and bool(_DISABLED.search(refusal.searchable))
        and _UNQUOTED not in refusal.message
    )


def is_capacity(refusal: Refusal) -> bool:
    """Return True if Google has none left."""
    return bool(_CAPACITY.search(refusal.searchable))


def is_policy(refusal: Refusal) -> bool:
    """Return True if the organisation forbids it."""
    return bool(_POLICY.search(refusal.searchable))


def _is_unauthenticated(refusal: Refusal) -> bool:
    return refusal.code == 401


def _is_denial(refusal: Refusal) -> bool:
    return (
        refusal.code == 403
        or bool(_DENIED.search(refusal.searchable))
        or refusal.reason == "PERMISSIONS_ERROR"
    )


def _by_status(refusal: Refusal, request: RequestContext) -> GoogleError:
    kind = _kind(refusal)
    if kind is InvalidArgument:
        return _invalid(refusal, request)
    has_trouble = refusal.code in {408, 500, 502, 503, 504}
    return _error(kind, refusal, request, hint=_TROUBLE if has_trouble else _HINTS.get(kind, ""))


def _kind(refusal: Refusal) -> type[RemoteError]:
    if refusal.code == 404 and (not refusal.is_json or refusal.message == "Method not found."):
        return GoogleError  # It is the path that is wrong: nothing is said about the thing.
    if refusal.code == 409 and _EXISTS.search(f"{refusal.status} {refusal.searchable}"):
        return AlreadyExists
    if refusal.code == 400 and refusal.status == "FAILED_PRECONDITION" and not refusal.fields:
        return GoogleError
    return _BY_CODE.get(refusal.code, GoogleError)


def _unauthenticated(refusal: Refusal, request: RequestContext) -> NoCredentials:
    whose = f" of {request.principal}" if request.principal else ""
    return NoCredentials(f"Google does not take the credentials{whose}: {refusal.message}", hint=LOGIN)


def _out_of_capacity(refusal: Refusal, request: RequestContext) -> GoogleError:
    hint = "try another region or zone (`homeport fit` lists them), or try again later"
    return _error(OutOfCapacity, refusal, request, hint=hint)


def _error(
    kind: type[RemoteError],
    refusal: Refusal,
    request: RequestContext,
    *,
    message: str = "",
    hint: str = "",
    url: str = "",
) -> GoogleError:
    return of_google(kind)(
        message or f"{refusal.message} ({request.text}: {refusal.code or 'the operation failed'})",
        status=refusal.code,
        reason=refusal.reason or refusal.status,
        request=request.text,
        hint=hint,
        url=url or next(iter(refusal.links), ""),
    )


def _disabled(refusal: Refusal, request: RequestContext) -> GoogleError:
    service = refusal.metadata.get("service") or request.host
    enable = f"gcloud services enable {service}" + (f" --project {request.about}" if request.about else "")
    return _error(ApiDisabled, refusal, request, hint=enable, url=refusal.metadata.get("activationUrl", ""))


def _quota(refusal: Refusal, request: RequestContext) -> GoogleError:
    return _error(
        QuotaExceeded,
        refusal,
        request,
        message=violated(refusal.searchable),
        hint=hint_of(refusal, request.about),
        url="https://g.co/cloudrun/gpu-quota" if "gpu" in refusal.searchable.lower() else "",
    )


def _policy(refusal: Refusal, request: RequestContext) -> GoogleError:
    if _PERIMETER.search(refusal.searchable):
        return _perimeter(refusal, request)
    match = _CONSTRAINT.search(refusal.searchable)
    constraint = (match[1] or match[2]) if match else ""
    hint = "ask those who look after the organisation's policies"
    if constraint:
        hint += f"; `gcloud org-policies describe {constraint} --effective --project={request.about or 'PROJECT'}` shows it"
    elif refusal.reason == "LOCATION_POLICY_VIOLATED":
        where = refusal.metadata.get("location", "the region")
        hint = f"is {where} spelt as Google spells it? If so, it is not open to this project: {hint}"
    elif "permitted customer" in refusal.message:
        hint = (
            "only the organisation's own people may be granted anything (iam.allowedPolicyMemberDomains): for a public "
            f"service use `invokerIamDisabled` or IAP instead of allUsers, or {hint}"
        )
    return _error(PolicyViolated, refusal, request, hint=hint)


def _perimeter(refusal: Refusal, request: RequestContext) -> GoogleError:
    """Return the error of a perimeter of VPC Service Controls, which no role helps against."""
    named = _PERIMETER_ID.search(refusal.searchable)
    which = named[1] if named else refusal.metadata.get("uid", "")
    known = f"by the id {which}" if which else "in the audit log of the project"
    hint = (
        "a perimeter of VPC Service Controls stands between you and it, and no role changes that: work from a machine or an "
        f"access level that it lets in; those who look after it find the refusal {known} in its troubleshooter"
    )
    return _error(PolicyViolated, refusal, request, hint=hint, url=_TROUBLESHOOTER)


def _denied(refusal: Refusal, request: RequestContext) -> GoogleError:
    if _UNQUOTED in refusal.message:
        hint = f"gcloud auth application-default set-quota-project {request.about or 'PROJECT'}"
        return _error(PermissionDenied, refusal, request, hint=hint)
    if refusal.reason in {"CONSUMER_INVALID", "USER_PROJECT_DENIED"} or "esource project" in refusal.message:
        hint = f"is there a project {request.about or 'of that id'}, and is it yours? `gcloud projects list` shows yours"
        return _error(PermissionDenied, refusal, request, hint=hint)
    if refusal.reason == "BILLING_DISABLED":
        project = request.about or "PROJECT"
        hint = f"gcloud billing projects link {project} --billing-account=ACCOUNT"
        return _error(GoogleError, refusal, request, hint=hint)
    if _OF_A_KEY in refusal.message:
        api = request.host.partition(".")[0]
        return _error(PermissionDenied, refusal, request, hint=_letting_agent_use(api))
    permission, resource, who = _what_is_lacking(refusal)
    account = next(iter(_ACCOUNT.findall(f"{resource} {refusal.message} {request.path}")), "")
    if _DENIED.search(refusal.searchable):
        # The message names who lacks it: the service's own account or Google's agent, not the caller.
        return _error(PermissionDenied, refusal, request, hint=_for_another(refusal, request, account))
    message = (
        f"{who or request.principal or 'the caller'} lacks {permission} on {resource or account or request.about}"
        if permission
        else ""
    )
    if message:
        message += f" ({request.text}: {refusal.code or 'the operation failed'})"
    grant = command(
        permission,
        principal=request.principal or (who if "@" in who else ""),
        project=request.about,
        account=account,
    )
    return _error(PermissionDenied, refusal, request, message=message, hint=_advice(grant, permission))


def _advice(grant: str, permission: str) -> str:
    if not permission:
        return (
            f"Google does not say which permission is missing; somebody who may do so can grant one: {grant}"
        )
    unknown = "" if role_for(permission) else f" with a role that has {permission}"
    return f"somebody who may do so can grant it{unknown}: {grant}"


def _letting_agent_use(api: str) -> str:
    grant = letting_use(agent=agent_of(api) or "ITS_SERVICE_AGENT")
    return f"the key is not there, or its service agent may not use it: {grant}; a grant of the last minutes may not be seen yet"


def _for_another(refusal: Refusal, request: RequestContext, account: str) -> str:
    lacking = (
        "secretmanager.versions.access"
        if "secret" in refusal.message
        else "artifactregistry.repositories.downloadArtifacts"
    )
    grant = command(lacking, principal=account or "serviceAccount:ACCOUNT", project=request.about)
    return f"a grant of the last minutes may not be seen yet; otherwise: {grant}"


def _what_is_lacking(refusal: Refusal) -> tuple[str, str, str]:
    """Return (permission, resource, principal), as far as Google says them; '' for each that it does not say."""
    metadata = refusal.metadata
    for pattern in _PERMISSION:
        match = pattern.search(refusal.message)
        if match:
            named = match.groupdict()
            who = "" if named.get("who") in {None, "Caller"} else str(named["who"])
            resource = metadata.get("resource") or (named.get("resource") or "").strip(" .'")
            return metadata.get("permission") or named["permission"], resource, who
    return metadata.get("permission", ""), metadata.get("resource", ""), ""


def _invalid(refusal: Refusal, request: RequestContext) -> GoogleError:
    if not refusal.fields:
        return _error(InvalidArgument, refusal, request)
    wrong = "; ".join(f"{path}: {text}" if path else text for path, text in refusal.fields)
    return _error(InvalidArgument, refusal, request, hint=wrong)
