"""Projects and tokens in the rehearsal: who may act as whom, and what an identity token says."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.apis.iam.tokens import id_token, verify_id_token
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud, Policies, Project
from gcp_rehearsal.errors import ApiError
from homeport.google.identity import claims
from homeport.secret import Secret

EMAIL = "runner@rehearsal.iam.gserviceaccount.com"
ACCOUNT = f"projects/rehearsal/serviceAccounts/{EMAIL}"
CREDENTIALS = f"iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{EMAIL}"
FRIEND = "friend@example.com"
SCOPE = {"scope": ["https://www.googleapis.com/auth/cloud-platform"]}


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "iamcredentials", "cloudbilling", "orgpolicy")
    made = "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts"
    assert act(Raw(cloud).send("POST", made, {"accountId": "runner"})).status == 200
    return cloud


def grant(cloud: Cloud, role: str, member: str) -> None:
    policy = {"policy": {"bindings": [{"role": role, "members": [member]}]}}
    assert act(Raw(cloud).send("POST", f"iam.googleapis.com/v1/{ACCOUNT}:setIamPolicy", policy)).status == 200


def test_only_who_may_create_tokens_gets_one_of_an_account(cloud: Cloud) -> None:
    friend = Raw(cloud, FRIEND)
    refused = act(friend.send("POST", f"{CREDENTIALS}:generateAccessToken", SCOPE))
    assert refused.status == 403
    assert "iam.serviceAccounts.getAccessToken" in refused.error
    grant(cloud, "roles/iam.serviceAccountTokenCreator", f"user:{FRIEND}")
    given = act(friend.send("POST", f"{CREDENTIALS}:generateAccessToken", {**SCOPE, "lifetime": "600s"}))
    assert given.body["accessToken"] == cloud.token(EMAIL)
    assert given.body["expireTime"].endswith("Z")


@pytest.mark.parametrize("body", [{**SCOPE, "lifetime": "7200s"}, {"lifetime": "600s"}])
def test_a_token_that_lasts_too_long_or_is_for_nothing_is_refused(cloud: Cloud, body: object) -> None:
    grant(cloud, "roles/iam.serviceAccountTokenCreator", f"user:{OWNER}")
    assert act(Raw(cloud).send("POST", f"{CREDENTIALS}:generateAccessToken", body)).status == 400


def test_an_identity_token_says_who_it_is_and_for_whom(cloud: Cloud) -> None:
    grant(cloud, "roles/iam.serviceAccountOpenIdTokenCreator", f"user:{OWNER}")
    asked = {"audience": "https://home.example", "includeEmail": True}
    token = act(Raw(cloud).send("POST", f"{CREDENTIALS}:generateIdToken", asked)).body["token"]
    said = verify_id_token(cloud, token, "https://home.example")
    assert (said["email"], said["aud"]) == (EMAIL, "https://home.example")
    assert claims(Secret(token)) == said


def test_an_identity_token_of_another_cloud_or_for_another_or_an_old_one_is_not_taken(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = id_token(cloud, OWNER, "https://one.example")
    other = Cloud()
    for at, shown, audience in [
        (other, token, ""),
        (cloud, token, "https://two.example"),
        (cloud, token[:-2] + "xx", ""),
        (cloud, "nonsense", ""),
    ]:
        with pytest.raises(ApiError):
            verify_id_token(at, shown, audience)
    monkeypatch.setattr("time.time", lambda: 4e9)
    with pytest.raises(ApiError, match="expired"):
        verify_id_token(cloud, token)


def test_somebody_of_a_pool_gets_a_token_and_may_do_what_the_pool_may(cloud: Cloud) -> None:
    raw, pools = Raw(cloud), "projects/rehearsal/locations/global/workloadIdentityPools"
    act(raw.send("POST", f"iam.googleapis.com/v1/{pools}?workloadIdentityPoolId=github", {}))
    provider = {
        "oidc": {"issuerUri": "https://token.example"},
        "attributeMapping": {"google.subject": "assertion.sub"},
    }
    act(
        raw.send(
            "POST",
            f"iam.googleapis.com/v1/{pools}/github/providers?workloadIdentityPoolProviderId=repo",
            provider,
        )
    )
    pool = pools.replace("rehearsal", "481516234200") + "/github"
    federated = exchanged(cloud, f"//iam.googleapis.com/{pool}/providers/repo").body["access_token"]
    principal = f"principal://iam.googleapis.com/{pool}/subject/me"
    assert federated == cloud.token(principal)
    outside = Raw(cloud, principal)
    assert act(outside.send("POST", f"{CREDENTIALS}:generateAccessToken", SCOPE)).status == 403
    grant(cloud, "roles/iam.workloadIdentityUser", f"principalSet://iam.googleapis.com/{pool}/*")
    assert act(outside.send("POST", f"{CREDENTIALS}:generateAccessToken", SCOPE)).status == 200
    assert exchanged(cloud, f"//iam.googleapis.com/{pool}/providers/other").status == 400


def exchanged(cloud: Cloud, audience: str) -> Answer:
    subject = base64.urlsafe_b64encode(json.dumps({"sub": "me"}).encode()).decode()
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": audience,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": f"e30.{subject}.x",
    }
    kind = "application/x-www-form-urlencoded"
    return act(
        Raw(cloud).send(
            "POST", "sts.googleapis.com/v1/token", content=urlencode(form).encode(), content_type=kind
        )
    )


def test_a_project_tells_its_number_and_whether_it_is_billed(cloud: Cloud) -> None:
    raw = Raw(cloud)
    found = act(raw.send("GET", "cloudresourcemanager.googleapis.com/v3/projects/rehearsal")).body
    assert (found["name"], found["state"]) == ("projects/481516234200", "ACTIVE")
    older = act(raw.send("GET", "cloudresourcemanager.googleapis.com/v1/projects/rehearsal")).body
    assert older["projectNumber"] == "481516234200"
    billed = act(raw.send("GET", "cloudbilling.googleapis.com/v1/projects/rehearsal/billingInfo")).body
    assert billed["billingEnabled"] is True
    poor = Cloud(delays=AT_ONCE, projects=(Project(billing=False),))
    enable(poor, "cloudbilling")
    asked = act(Raw(poor).send("GET", "cloudbilling.googleapis.com/v1/projects/rehearsal/billingInfo")).body
    assert (asked["billingEnabled"], asked["billingAccountName"]) == (False, "")


def test_a_stranger_finds_no_projects(cloud: Cloud) -> None:
    search = "cloudresourcemanager.googleapis.com/v3/projects:search"
    assert len(act(Raw(cloud).send("GET", search)).body["projects"]) == 1
    assert act(Raw(cloud, FRIEND).send("GET", search)).body == {}


def test_what_the_organisation_forbids_can_be_read() -> None:
    cloud = Cloud(delays=AT_ONCE, policies=Policies(locations=frozenset({"europe-west4"})))
    enable(cloud, "orgpolicy")
    policies = "orgpolicy.googleapis.com/v2/projects/rehearsal/policies"
    effective = act(Raw(cloud).send("GET", f"{policies}/gcp.resourceLocations:getEffectivePolicy")).body
    assert effective["spec"]["rules"] == [{"values": {"allowedValues": ["in:europe-west4-locations"]}}]
    free = act(Raw(cloud).send("GET", f"{policies}/run.allowedIngress:getEffectivePolicy")).body
    assert free["spec"]["rules"] == [{"allowAll": True}]
    assert len(act(Raw(cloud).send("GET", policies)).body["policies"]) == 1


def test_a_condition_wants_the_third_version_of_a_policy(cloud: Cloud) -> None:
    condition = {"title": "t", "expression": "true"}
    bindings = [{"role": "roles/viewer", "members": [f"user:{FRIEND}"], "condition": condition},
                {"role": "roles/owner", "members": [f"user:{OWNER}"]}]  # fmt: skip
    url = "cloudresourcemanager.googleapis.com/v3/projects/rehearsal:setIamPolicy"
    assert act(Raw(cloud).send("POST", url, {"policy": {"bindings": bindings}})).status == 400
    assert act(Raw(cloud).send("POST", url, {"policy": {"version": 3, "bindings": bindings}})).status == 200
