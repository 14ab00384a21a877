"""Identity-Aware Proxy before a rehearsed service: whom it lets in, in whose words it refuses, what it hands on; tokens are google-auth's own."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from google.auth import crypt, jwt
from google.auth.crypt.es import EsVerifier

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud, Project
from gcp_rehearsal.runtime.iap_front import signing_key, through_iap
from gcp_rehearsal.runtime.request_refused import RequestRefused

PLACE = "projects/rehearsal/locations/europe-west4/services"
BY_NUMBER = "projects/481516234200"
POLICY = f"iap.googleapis.com/v1/{BY_NUMBER}/iap_web/cloud_run-europe-west4/services/home"
HOST = "home-481516234200.europe-west4.run.app"
EMAIL = "program@rehearsal.iam.gserviceaccount.com"
AGENT = "service-481516234200@gcp-sa-iap.iam.gserviceaccount.com"
CREDENTIALS = f"iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{EMAIL}"
AUDIENCE = f"/{BY_NUMBER}/locations/europe-west4/services/home"


def granted(on: str, role: str, *members: str) -> tuple[str, dict[str, Any]]:  # Any: JSON
    return f"{on}:setIamPolicy", {"policy": {"bindings": [{"role": role, "members": list(members)}]}}


@pytest.fixture
def cloud() -> Cloud:
    """A cloud with a service behind the proxy, whose account may call it, and an account that may come in and sign."""
    return furnished(Cloud(delays=AT_ONCE, projects=(Project(organization="123"),)))


def furnished(cloud: Cloud) -> Cloud:
    enable(cloud, "run", "iam", "iamcredentials", "iap")
    raw = Raw(cloud)
    body = {
        "iapEnabled": True,
        "template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]},
    }
    sent = [
        ("iam.googleapis.com/v1/projects/rehearsal/serviceAccounts", {"accountId": "program"}),
        (f"run.googleapis.com/v2/{PLACE}?serviceId=home", body),
        granted(f"run.googleapis.com/v2/{PLACE}/home", "roles/run.invoker", f"serviceAccount:{AGENT}"),
        granted(POLICY, "roles/iap.httpsResourceAccessor", f"serviceAccount:{EMAIL}"),
        granted(
            f"iam.googleapis.com/v1/projects/rehearsal/serviceAccounts/{EMAIL}",
            "roles/iam.serviceAccountTokenCreator",
            f"user:{OWNER}",
        ),
    ]
    for url, content in sent:
        answer = act(raw.send("POST", url, content))
        assert answer.status == 200, answer.body
    return cloud


def claims(audience: str = f"https://{HOST}/*", **more: object) -> dict[str, object]:
    now = int(time.time())
    return {"iss": EMAIL, "sub": EMAIL, "aud": audience, "iat": now, "exp": now + 600, **more}


def signed(cloud: Cloud, said: dict[str, object], caller: str = OWNER) -> Answer:
    return act(Raw(cloud, caller).send("POST", f"{CREDENTIALS}:signJwt", {"payload": json.dumps(said)}))


def token(cloud: Cloud, audience: str = f"https://{HOST}/*", **more: object) -> str:
    answer = signed(cloud, claims(audience, **more))
    assert answer.status == 200, answer.body
    return str(answer.body["signedJwt"])


def keyed(cloud: Cloud, said: dict[str, object]) -> str:
    """A token that google-auth signs with a key that was made for the account."""
    path = f"iam.googleapis.com/v1/projects/rehearsal/serviceAccounts/{EMAIL}/keys"
    made = act(Raw(cloud).send("POST", path, {})).body
    file = json.loads(base64.b64decode(made["privateKeyData"]))
    signer = crypt.RSASigner.from_service_account_info(file)  # type: ignore[no-untyped-call]
    return str(jwt.encode(signer, said).decode())  # type: ignore[no-untyped-call]


def read(shown: str) -> dict[str, object]:
    """What a token says, by google-auth's reading."""
    return dict(jwt.decode(shown, verify=False))  # type: ignore[no-untyped-call]


def handed_on(
    cloud: Cloud, shown: str = "", header: str = "authorization", path: str = "/v1/models"
) -> dict[str, str]:
    service = cloud.store.get("run", f"{PLACE}/home")
    assert service is not None
    headers = [("host", HOST), ("x-goog-authenticated-user-email", "accounts.google.com:forged@example.com")]
    headers += [(header, f"Bearer {shown}")] if shown else []
    through = through_iap(cloud, service, path, headers)
    assert len(dict(through)) == len(through), "no header comes twice"
    return dict(through)


def refused(cloud: Cloud, shown: str = "", path: str = "/v1/models") -> tuple[int, str]:
    with pytest.raises(RequestRefused) as caught:
        handed_on(cloud, shown, path=path)
    assert not caught.value.own or dict(caught.value.own)[b"x-goog-iap-generated-response"] == b"true"
    return caught.value.status, caught.value.text


@pytest.mark.parametrize("header", ["authorization", "proxy-authorization"])
def test_who_may_come_in_is_told_to_the_service_by_the_proxy_alone(cloud: Cloud, header: str) -> None:
    headers = handed_on(cloud, token(cloud), header)
    assert headers["x-goog-authenticated-user-email"] == f"accounts.google.com:{EMAIL}"
    assert ("proxy-authorization" in headers, headers["x-serverless-authorization"][:7]) == (False, "bearer ")
    verifier = EsVerifier(signing_key(cloud).public_key())
    assertion = headers["x-goog-iap-jwt-assertion"]
    signed_part, _, signature = assertion.rpartition(".")
    assert verifier.verify(signed_part.encode(), base64.urlsafe_b64decode(f"{signature}=="))
    said = read(assertion)
    assert (said["iss"], said["aud"], said["email"]) == ("https://cloud.google.com/iap", AUDIENCE, EMAIL)


def test_a_key_of_the_account_s_own_signs_as_well(cloud: Cloud) -> None:
    assert handed_on(cloud, keyed(cloud, claims()))
    assert handed_on(cloud, keyed(cloud, claims(f"https://{HOST}/v1/models"))), "the very address"


def test_each_refusal_has_the_words_that_are_quoted_of_the_proxy(cloud: Cloud) -> None:
    assert refused(cloud) == (302, "Invalid IAP credentials: empty token")
    assert refused(cloud, "nonsense") == (401, "Invalid IAP credentials: Unable to parse JWT")
    other = (401, "Invalid IAP credentials: Invalid bearer token. Invalid JWT audience.")
    for audience in (f"https://{HOST}", "https://another.example.com/*", f"https://{HOST}/v2/*", "/*", ""):
        assert refused(cloud, token(cloud, audience)) == other, audience
    assert refused(cloud, id_token(cloud, EMAIL, f"https://{HOST}")) == other, "what Cloud Run itself takes"
    assert refused(cloud, token(cloud)[:-8] + "AAAAAAAA")[0] == 401
    assert refused(cloud, token(cloud, sub="somebody@example.com"))[0] == 401
    ended = keyed(cloud, claims(exp=int(time.time()) - 60))
    assert refused(cloud, ended)[1].endswith("Expired JWT.")


@pytest.mark.parametrize(
    "audience",
    [
        "https://*", "https:/*", "*", "https://*/*", "https://*.run.app/*", f"http://{HOST}/*", f"https://{HOST}*",
        f"https://{HOST}/*/models", f"https://{HOST}/v1/mod*", f"https://{HOST}.example.com/*", f"https://me@{HOST}/*",
        f"https://{HOST}/v1/*?a=b", f"https://{HOST}/**", "https://[/*",
    ],
)  # fmt: skip
def test_an_audience_names_the_very_scheme_and_host_and_a_wildcard_only_what_is_below_a_path(
    cloud: Cloud, audience: str
) -> None:
    refusal = (401, "Invalid IAP credentials: Invalid bearer token. Invalid JWT audience.")
    assert refused(cloud, token(cloud, audience)) == refusal
    assert handed_on(cloud, token(cloud, f"https://{HOST}/v1/*"))


def test_a_token_is_good_for_an_hour_at_most_and_says_from_when_on(cloud: Cloud) -> None:
    now = int(time.time())
    for begins, ends in ((now, now + 3700), (now + 3000, now + 3600), (None, now + 600), ("now", now + 600)):
        said = {**claims(), "iat": begins, "exp": ends}
        assert refused(cloud, keyed(cloud, said))[1].endswith("Invalid JWT issue time or lifetime."), said
    assert handed_on(cloud, keyed(cloud, {**claims(), "iat": now, "exp": now + 3600}))


def test_who_may_not_come_in_is_refused_and_so_is_the_proxy_where_cloud_run_does_not_let_it_in(
    cloud: Cloud,
) -> None:
    shown, raw = token(cloud), Raw(cloud)
    assert (
        act(raw.send("POST", *granted(f"run.googleapis.com/v2/{PLACE}/home", "roles/run.invoker"))).status
        == 200
    )
    assert refused(cloud, shown)[0] == 403
    mask = f"run.googleapis.com/v2/{PLACE}/home?updateMask=invokerIamDisabled"
    assert act(raw.send("PATCH", mask, {"invokerIamDisabled": True})).status == 200
    assert handed_on(cloud, shown), "nobody is asked for a token of Cloud Run's then"
    assert act(raw.send("POST", *granted(POLICY, "roles/iap.httpsResourceAccessor"))).status == 200
    assert refused(cloud, shown) == (403, "You don't have access")


def test_its_policy_wants_a_service_and_the_permission_and_outlasts_the_service(cloud: Cloud) -> None:
    raw, friend = Raw(cloud), Raw(cloud, "friend@example.com")
    denied = act(friend.send("POST", f"{POLICY}:getIamPolicy", {}))
    assert (denied.status, "iap.webServices.getIamPolicy" in denied.error) == (403, True)
    there = act(raw.send("POST", f"{POLICY}:getIamPolicy", {"options": {"requestedPolicyVersion": 3}})).body
    assert [one["members"] for one in there["bindings"]] == [[f"serviceAccount:{EMAIL}"]]
    asked = {"permissions": ["iap.webServices.setIamPolicy", "iap.webServiceVersions.accessViaIAP"]}
    held = act(raw.send("POST", f"{POLICY}:testIamPermissions", asked)).body
    assert held == {"permissions": ["iap.webServices.setIamPolicy"]}, "an owner does not come in by that"
    web = f"iap.googleapis.com/v1/{BY_NUMBER}/iap_web:getIamPolicy"
    assert act(raw.send("POST", web, {})).status == 501
    service = f"run.googleapis.com/v2/{PLACE}/home"
    assert act(raw.send("DELETE", service)).status == 200
    assert act(raw.send("POST", f"{POLICY}:getIamPolicy", {})).status == 404
    again = {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}
    assert act(raw.send("POST", f"run.googleapis.com/v2/{PLACE}?serviceId=home", again)).status == 200
    assert act(raw.send("POST", f"{POLICY}:getIamPolicy", {})).body["bindings"] == there["bindings"]


def test_what_an_account_signs_says_what_was_asked_and_only_who_may_has_it(cloud: Cloud) -> None:
    said = claims()
    assert read(token(cloud)) == said
    denied = signed(cloud, said, "friend@example.com")
    assert (denied.status, "iam.serviceAccounts.signJwt" in denied.error) == (403, True)
    for wrong in ({**said, "exp": 1}, {**said, "exp": int(time.time()) + 50_000}, {**said, "exp": "soon"}):
        assert signed(cloud, wrong).status == 400
    nothing = act(Raw(cloud).send("POST", f"{CREDENTIALS}:signJwt", {"payload": "[]"}))
    assert nothing.status == 400


SETTINGS = f"iap.googleapis.com/v1/{BY_NUMBER}"
OF_THE_SERVICE = "/iap_web/cloud_run-europe-west4/services/home"
CLIENT = {
    "accessSettings": {"oauthSettings": {"clientId": "1.apps.googleusercontent.com", "clientSecret": "s3"}}
}


@pytest.mark.parametrize("level", ["", "/iap_web", "/iap_web/cloud_run-europe-west4", OF_THE_SERVICE])
def test_in_a_project_of_no_organisation_nobody_comes_in_before_there_is_a_client_of_ones_own(
    level: str,
) -> None:
    cloud = furnished(Cloud(delays=AT_ONCE))
    raw, path = Raw(cloud), f"{SETTINGS}{level}:iapSettings"
    for shown in (token(cloud), ""):
        assert refused(cloud, shown) == (502, "Empty Google Account OAuth client ID(s)/secret(s).")
    assert set(act(raw.send("GET", path)).body) == {"name"}
    half = {"accessSettings": {"oauthSettings": {"clientId": "1.apps.googleusercontent.com"}}}
    assert act(raw.send("PATCH", path, half)).status == 400
    told = act(raw.send("PATCH", path, CLIENT)).body
    assert told["name"] == f"{BY_NUMBER}{level}"
    oauth = act(raw.send("GET", path)).body["accessSettings"]["oauthSettings"]
    assert (set(oauth), "s3" in json.dumps(told)) == ({"clientId", "clientSecretSha256"}, False)
    assert handed_on(cloud, token(cloud))
    assert act(raw.send("PATCH", path, {"accessSettings": {}})).status == 200
    assert refused(cloud)[0] == 502


def test_settings_are_of_what_is_rehearsed_and_asked_for_by_whoever_may() -> None:
    cloud = furnished(Cloud(delays=AT_ONCE))
    assert act(Raw(cloud).send("GET", f"{SETTINGS}/iap_web/compute:iapSettings")).status == 501
    gone = f"{SETTINGS}/iap_web/cloud_run-europe-west4/services/gone:iapSettings"
    assert act(Raw(cloud).send("GET", gone)).status == 404
    for level, right in (("", "projects"), ("/iap_web", "web"), (OF_THE_SERVICE, "webServices")):
        answer = act(Raw(cloud, "stranger@example.com").send("GET", f"{SETTINGS}{level}:iapSettings"))
        assert (answer.status, f"iap.{right}.getSettings" in str(answer.body)) == (403, True)
