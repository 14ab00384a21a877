"""Who calls, and what they may do. Grants take time to be seen, as they do at Google."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from zlib import crc32

from gcp_rehearsal import credentials
from gcp_rehearsal.apis.iam.signing import signed_in
from gcp_rehearsal.context import Call, Cloud
from gcp_rehearsal.errors import ApiError, aborted, info, invalid, unimplemented
from gcp_rehearsal.iam import policy_versions
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.iam.permissions import permissions_of, required
from gcp_rehearsal.json_types import Json, JsonObject

_ANOTHERS = " (A rehearsal takes the tokens that it made itself, and prints the variables that hold yours.)"
_KINDS = ("user:", "serviceAccount:", "group:", "domain:", "principal:", "principalSet:", "deleted:",
          "projectOwner:", "projectEditor:", "projectViewer:")  # fmt: skip
_EVERYONE = ("allUsers", "allAuthenticatedUsers")
_READ = frozenset(("getIamPolicy", "testIamPermissions", "testPermissions"))

_ROLE = re.compile(
    r"roles/[a-zA-Z0-9_.]+(?<!_withcond)|(?:projects|organizations)/[^/]+/roles/[a-zA-Z0-9_.]{3,64}"
)

Policy = Mapping[str, Json]


class Access:
    """Policies on everything that can have one, and who may do what by them."""

    def __init__(self, cloud: Cloud, *, delay: float) -> None:
        self._cloud = cloud
        self.delay = delay
        """Seconds until a change of a policy is seen by those who check it."""
        self._policies: dict[tuple[str, str], list[tuple[float, Policy]]] = {}

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """
        Return who sent a request with these headers. Raises `ApiError` 401 for anybody without a token of
        this rehearsal's, or a JWT that a service account has signed for this API.
        """
        email = self.email(headers)
        if not email:
            raise ApiError(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
                "other valid authentication credential. See "
                "https://developers.google.com/identity/sign-in/web/devconsole-project."
                + (_ANOTHERS if " rehearsal." in headers.get("authorization", "") else ""),
            )
        return Caller(email)

    def email(self, headers: Mapping[str, str]) -> str:
        """Return the e-mail of whoever sent a request with these headers; '' for anybody whom `caller` refuses."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return ""
        return credentials.whose(self._cloud.secret, token) or signed_in(
            self._cloud, token, headers.get("host", "")
        )

    def policy(self, api: str, name: str) -> JsonObject:
        """Return the policy as it was last set; one that nobody has set has no version, and an etag that all of them share."""
        versions = self._policies.get((api, name))
        last = {"version": 1, **versions[-1][1]} if versions else {}
        return {**last, "etag": _etag(len(versions or ()), name)}

    def set_policy(self, api: str, name: str, policy: Policy, *, at_once: bool = False) -> JsonObject:
        """
        Set a policy; its etag, where it has one, must be that of the policy as it is.

        Raises `ApiError`: 409 for another etag, 400 for a role or member that does not exist.
        """
        versions = self._policies.setdefault((api, name), [])
        if policy.get("etag") and policy["etag"] != _etag(len(versions), name):
            raise aborted(
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                "backoff."
            )
        bindings = [_clean(binding) for binding in policy.get("bindings", ()) if binding.get("members")]
        new = {key: value for key, value in policy.items() if key not in {"etag", "bindings"}}
        if not at_once:
            policy_versions.check(policy, bindings, versions[-1][1] if versions else {})
            self._check(bindings)
        new["version"] = int(new.get("version") or 1)
        moment = float("-inf") if at_once else self._cloud.clock.now()
        versions.append((moment, {**new, "bindings": bindings}))
        return self.policy(api, name)

    def forget(self, api: str, name: str) -> None:
        """Forget a thing that is gone, and what lies under it, and their policies with them."""
        for key in [key for key in self._policies if key[0] == api and (key[1] + "/").startswith(f"{name}/")]:
            del self._policies[key]

    def grants(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield all that is granted, whether it is seen already or not: API, the thing's name, role, member."""
        for (api, name), versions in self._policies.items():
            for binding in versions[-1][1]["bindings"]:
                for member in binding["members"]:
                    yield api, name, binding["role"], member

    def held(self, caller: Caller, permissions: Iterable[str], api: str, name: str, project: str) -> set[str]:
        """Return which of `permissions` the caller has on a thing, by its policy and those above it, as seen by now."""
        granted: set[str] = set()
        for role in self._roles(caller, api, name, project):
            granted |= {permission for permission in permissions if self._grants(role, permission)}
        return granted

    def anybody(self, permission: str, api: str, name: str) -> bool:
        """Return True if a thing's own policy allows it even to callers who do not say who they are."""
        return any(
            "allUsers" in binding["members"] and self._grants(binding["role"], permission)
            for binding in self._visible_bindings((api, name))
        )

    def demand(self, call: Call) -> None:
        """Raise `ApiError` 403 where the caller lacks what the method asks for."""
        needed = required(call.method.id)
        if not needed or not call.project or call.api == "iamcredentials":
            return  # Accounts belong to iam, whatever API is asked for their tokens: behaviours/tokens.py.
        missing = set(needed) - self.held(call.caller, needed, call.api, call.name, call.project)
        if missing:
            raise denied(call, min(missing))

    def _roles(self, caller: Caller, api: str, name: str, project: str) -> Iterator[str]:
        places = [("cloudresourcemanager", f"projects/{project}")]
        segments = name.split("/")
        places += [(api, "/".join(segments[:end])) for end in range(1, len(segments) + 1)]
        who = {caller.member, *_EVERYONE, *caller.sets}
        for place in filter(self._policies.__contains__, places):
            for binding in self._visible_bindings(place):
                if not who.isdisjoint(binding["members"]):
                    yield binding["role"]

    def _visible_bindings(self, place: tuple[str, str]) -> list[JsonObject]:
        """Return the bindings of a policy as checks see them: changes need time to spread."""
        by_now = self._cloud.clock.now() - self.delay
        effective: list[JsonObject] = []
        for moment, policy in self._policies.get(place, ()):
            if moment <= by_now:
                effective = policy["bindings"]
        return effective

    def _grants(self, role: str, permission: str) -> bool:
        if role.startswith("projects/"):
            stored = self._cloud.store.get("iam", role)
            return (
                stored is not None
                and not stored.body.get("deleted")
                and permission in stored.body.get("includedPermissions", ())
            )
        granted = permissions_of(role)
        return granted is not None and permission in granted

    def _check(self, bindings: list[JsonObject]) -> None:
        for binding in bindings:
            role = binding.get("role") or ""
            if not _ROLE.fullmatch(role):
                raise invalid(f"Role {role} is not supported for this resource.")
            if role.startswith("roles/") and permissions_of(role) is None:
                raise unimplemented(f"the role {role}, which Google may have")
            for member in binding["members"]:
                self._check_member(member)

    def _check_member(self, member: str) -> None:
        if member in _EVERYONE:
            if self._cloud.policies.restricts_members:
                raise ApiError(
                    400,
                    "One or more users named in the policy do not belong to a permitted customer, perhaps due to an "
                    "organization policy.",
                    status="FAILED_PRECONDITION",
                    reason="conditionNotMet",
                )
            return
        kind, colon, email = member.partition(":")
        if not colon or not email or not member.startswith(_KINDS):
            raise invalid(f"Invalid value for member: {member}.")
        if kind == "serviceAccount" and not self._cloud.account_is_visible(email):
            raise invalid(f"Service account {email} does not exist.")


def denied(call: Call, permission: str) -> ApiError:
    """Return the 403, as Google words it for this API."""
    if call.api == "storage":
        target = "/".join(call.params.values()) or f"project {call.project}"
        return ApiError(
            403,
            f"{call.caller.email} does not have {permission} access to the Google Cloud Storage resource {target}. "
            f"Permission '{permission}' denied on resource (or it may not exist).",
        )
    if call.api == "compute":
        return ApiError(403, f"Required '{permission}' permission for '{call.name}'")
    # Cloud KMS names the thing alone, as users quote it.
    resource = call.name if call.api == "cloudkms" else f"//{call.api}.googleapis.com/{call.name}"
    return ApiError(
        403,
        f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
        details=[
            info(
                "IAM_PERMISSION_DENIED",
                f"{call.api}.googleapis.com",
                permission=permission,
                resource=call.name,
            )
        ],
    )


def _clean(binding: Mapping[str, Json]) -> JsonObject:
    members = list(dict.fromkeys(binding["members"]))
    return {**binding, "members": members}


def _etag(version: int, name: str) -> str:
    if not version:
        return "ACAB"
    return base64.b64encode(f"{version:08d}{crc32(name.encode()):08x}".encode()).decode()
