"""A perimeter of VPC Service Controls is told as one, in whichever envelope its refusal comes."""

from __future__ import annotations

import json

import pytest

from homeport.errors import PermissionDenied, PolicyViolated, QuotaExceeded
from homeport.google.errors import RequestContext, error_of
from homeport.google.refusal import read
from homeport.google.retry import Again, classify

ASKED = RequestContext(
    verb="GET", host="storage.googleapis.com", path="storage/v1/b/weights", project="my-project"
)
ID = "tG9zK-cW_3xQ"
WORDS = f"Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: {ID}"
NEW = {
    "error": {
        "code": 403, "message": WORDS, "status": "PERMISSION_DENIED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.PreconditionFailure",
             "violations": [{"type": "VPC_SERVICE_CONTROLS", "description": ID}]},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SECURITY_POLICY_VIOLATED",
             "domain": "googleapis.com", "metadata": {"uid": ID, "service": "run.googleapis.com"}},
        ],
    }
}  # fmt: skip
OLD = {
    "error": {
        "code": 403, "message": WORDS,
        "errors": [{"message": WORDS, "domain": "usageLimits", "reason": "vpcServiceControls"}],
    }
}  # fmt: skip
XML = (
    "<?xml version='1.0' encoding='UTF-8'?><Error><Code>SecurityPolicyViolated</Code>"
    "<Message>Request violates VPC Service Controls.</Message>"
    f"<Details>Request is prohibited by organization&#39;s policy. vpcServiceControlsUniqueIdentifier: {ID}</Details></Error>"
)


@pytest.mark.parametrize("body", [json.dumps(NEW), json.dumps(OLD), XML], ids=["new", "old", "xml"])
def test_a_perimeter_is_no_missing_role(body: str) -> None:
    refusal = read(403, body.encode())
    error = error_of(refusal, ASKED)
    assert isinstance(error, PolicyViolated)
    assert not isinstance(error, PermissionDenied)
    assert ID in error.hint
    assert "no role changes that" in error.hint
    assert "gcloud projects add-iam-policy-binding" not in error.hint
    assert "troubleshooter" in error.url
    assert "<" not in str(error)
    assert classify(refusal) is Again.NO


def test_a_refusal_in_xml_that_is_no_perimeter_stays_what_it_is() -> None:
    body = "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>"
    error = error_of(read(403, body.encode()), ASKED)
    assert isinstance(error, PermissionDenied)
    assert "Access denied." in str(error)


def test_a_build_that_quota_restrictions_refuse_comes_with_the_keys_to_change() -> None:
    words = (
        "generic::failed_precondition: due to quota restrictions, cannot run builds of this machine type in this region. "
        "Please see https://cloud.google.com/build/docs/locations#restricted_regions_for_some_projects."
    )
    body = {"error": {"code": 400, "message": words, "status": "FAILED_PRECONDITION"}}
    refusal = read(400, json.dumps(body).encode())
    error = error_of(refusal, ASKED)
    assert isinstance(error, QuotaExceeded)
    assert "cloudrun.build_machine" in error.hint
    assert "cloudrun.build_region" in error.hint
    assert classify(refusal) is Again.NO
