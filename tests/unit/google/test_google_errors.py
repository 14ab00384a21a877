"""What Google says, in its own texts, and the errors that people see."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from cloud import act
from google_door import YOU, Script, door, info, older, refuses, says
from homeport.errors import (
    AlreadyExists,
    ApiDisabled,
    Conflict,
    GoogleError,
    InvalidArgument,
    NotFound,
    OutOfCapacity,
    PermissionDenied,
    PolicyViolated,
    QuotaExceeded,
    RemoteError,
)
from homeport.google.credentials import Credentials, FixedToken
from homeport.google.grants import _ROLES, command, role_for
from homeport.secret import Secret

SERVICE = "v2/projects/p/locations/us-central1/services/home"


def error(
    reply: httpx2.Response, api: str = "run", path: str = SERVICE, **kwargs: Any
) -> GoogleError:  # Any: of door
    """What is raised for an answer."""
    with pytest.raises(GoogleError) as told:
        act(door(Script(reply), **kwargs).get(api, path))
    return told.value


GPU = (
    "spec.template.spec.node_selector: Max instances must be set to 1 or fewer in order to set GPU requirements. Quota "
    "violated: NvidiaRtxPro6000GpuAllocNoZonalRedundancyPerProjectRegion requested: 3 allowed: 1"
)
NO_GPU = (
    "You do not have quota for using GPUs without zonal redundancy. To request quota: g.co/cloudrun/gpu-quota"
)
STARTING = "Quota exceeded for total allowable count of GPUs per project per region."
MEMORY = (
    "Max instances must be set to 2 or fewer to set the requested total memory. Quota violated: MemAllocPerProjectRegion "
    "requested: 85899345920 allowed: 42949672960"
)
MANY = (
    "Max instances must be set to 28 or fewer to set the requested total CPU.\nQuota violated:\n- CpuAllocPerProjectRegion "
    "requested: 200000 allowed: 56000\n- MemAllocPerProjectRegion requested: 214748364800 allowed: 120259084288"
)
STOCKOUT = (
    "The zone 'projects/p/zones/us-central1-a' does not have enough resources available to fulfill the request. Try a "
    "different zone, or try again later."
)
PEOPLE = "One or more users named in the policy do not belong to a permitted customer, perhaps due to an organization policy."
PLACE = "'us-central1' violates constraint 'constraints/gcp.resourceLocations' on the resource 'projects/p'."
LAUNCH = "The feature is not supported in the declared launch stage"
ABORTED = (
    "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
)
GONE = "Resource 'home' of kind 'SERVICE' in region 'us-central1' in project 'p' does not exist."


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refuses(404, GONE, name="NOT_FOUND"), NotFound),
        (refuses(404, "Unknown service account", name="NOT_FOUND"), NotFound),
        (older(404, "The specified bucket does not exist.", "notFound"), NotFound),
        (refuses(409, "Service account x already exists within project projects/p.", name="ALREADY_EXISTS"), AlreadyExists),
        (older(409, "The resource 'projects/p/global/networks/n' already exists", "alreadyExists"), AlreadyExists),
        (older(409, "Your previous request to create the named bucket succeeded and you already own it.", "conflict"), AlreadyExists),
        (older(409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system.", "conflict"), AlreadyExists),
        (older(409, "The bucket you tried to delete is not empty.", "conflict"), Conflict),
        (refuses(409, "Conflict for resource 'home': version '17861' was specified but current version is '17862'.", name="ABORTED"), Conflict),
        (refuses(409, ABORTED, name="ABORTED"), Conflict),
        (older(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet"), Conflict),
        (older(412, "Invalid fingerprint.", "conditionNotMet"), Conflict),
        (refuses(400, GPU, name="FAILED_PRECONDITION"), QuotaExceeded),
        (refuses(400, NO_GPU, name="INVALID_ARGUMENT"), QuotaExceeded),
        (refuses(429, STARTING, name="RESOURCE_EXHAUSTED"), QuotaExceeded),
        (older(403, "Quota 'BACKEND_SERVICES' exceeded.  Limit: 3.0 globally.", "quotaExceeded"), QuotaExceeded),
        (older(403, STOCKOUT, "ZONE_RESOURCE_POOL_EXHAUSTED"), OutOfCapacity),
        (refuses(429, f"Resource exhausted: {STOCKOUT}", name="RESOURCE_EXHAUSTED"), OutOfCapacity),
        (refuses(400, PEOPLE, name="FAILED_PRECONDITION"), PolicyViolated),
        (older(412, PEOPLE, "conditionNotMet"), PolicyViolated),
        (older(412, PLACE, "conditionNotMet"), PolicyViolated),
        (refuses(403, "Permission denied on 'locations/me-central2' (or it may not exist).", name="PERMISSION_DENIED",
                 details=[info("LOCATION_POLICY_VIOLATED", location="me-central2")]), PolicyViolated),
        (refuses(400, "Request contains an invalid argument.", name="INVALID_ARGUMENT"), InvalidArgument),
        (older(400, "Invalid value for field 'resource.name': 'A'.", "invalid"), InvalidArgument),
        (refuses(403, "The caller does not have permission", name="PERMISSION_DENIED"), PermissionDenied),
    ],
)  # fmt: skip
def test_each_refusal_is_an_error_of_its_own(reply: httpx2.Response, kind: type[RemoteError]) -> None:
    told = error(reply)
    assert told.listed() is kind
    assert told.status == reply.status_code
    assert told.reason
    assert told.request == f"GET run.googleapis.com/{SERVICE}"


def test_what_google_refuses_is_a_neutral_error_and_one_of_googles() -> None:
    told = error(refuses(404, GONE, name="NOT_FOUND"))
    assert isinstance(told, NotFound)
    assert isinstance(told, GoogleError)
    assert (told.exit_code, told.as_json()["error"]) == (NotFound.exit_code, "NotFound")
    assert not isinstance(NotFound("a thing of another provider is gone"), GoogleError)


def test_what_is_refused_in_this_state_of_things_is_no_wrong_argument() -> None:
    told = error(refuses(400, LAUNCH, name="FAILED_PRECONDITION"))
    assert type(told) is GoogleError
    assert told.reason == "FAILED_PRECONDITION"
    assert LAUNCH in str(told)


def test_permission_resource_and_principal_are_named_with_the_grant_that_mends_it() -> None:
    message = "Permission 'run.services.create' denied on resource 'projects/p/locations/us-central1/services' (or it may not exist)."
    told = error(refuses(403, message, name="PERMISSION_DENIED"))
    assert isinstance(told, PermissionDenied)
    assert str(told).startswith(
        "you@example.com lacks run.services.create on projects/p/locations/us-central1/services"
    )
    assert told.hint.endswith(
        "gcloud projects add-iam-policy-binding p --member=user:you@example.com --role=roles/run.admin"
    )


@pytest.mark.parametrize(
    ("reply", "permission", "role"),
    [
        (older(403, "Required 'compute.networks.create' permission for 'projects/p/global/networks/home'", "forbidden"),
         "compute.networks.create", "roles/compute.networkAdmin"),
        (older(403, "you@example.com does not have storage.buckets.create access to the Google Cloud project. Permission "
                    "'storage.buckets.create' denied on resource (or it may not exist).", "forbidden"),
         "storage.buckets.create", "roles/storage.admin"),
        (older(403, "Caller does not have storage.objects.get access to the Google Cloud Storage object.", "forbidden"),
         "storage.objects.get", "roles/storage.objectViewer"),
        (refuses(403, "Permission denied.", details=[info("IAM_PERMISSION_DENIED", permission="secretmanager.versions.access",
                                                          resource="projects/p/secrets/s")]),
         "secretmanager.versions.access", "roles/secretmanager.secretAccessor"),
        (refuses(403, "Permission 'serviceusage.services.use' denied on project"), "serviceusage.services.use",
         "roles/serviceusage.serviceUsageConsumer"),
    ],
)  # fmt: skip
def test_permissions_are_found_in_each_apis_words(reply: httpx2.Response, permission: str, role: str) -> None:
    told = error(reply)
    assert isinstance(told, PermissionDenied)
    assert f"you@example.com lacks {permission}" in str(told)
    assert f"--member=user:you@example.com --role={role}" in told.hint


def test_acting_as_an_account_is_granted_on_that_account() -> None:
    message = "Permission 'iam.serviceaccounts.actAs' denied on service account home@p.iam.gserviceaccount.com (or it may not exist)."
    told = error(refuses(403, message, name="PERMISSION_DENIED"))
    assert told.hint.endswith(
        "gcloud iam service-accounts add-iam-policy-binding home@p.iam.gserviceaccount.com --project=p "
        "--member=user:you@example.com --role=roles/iam.serviceAccountUser"
    )


def test_a_denial_that_names_no_resource_is_about_the_account_of_its_path() -> None:
    message = "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource (or it may not exist)."
    path = "v1/projects/-/serviceAccounts/home@p.iam.gserviceaccount.com:generateIdToken"
    told = error(refuses(403, message, name="PERMISSION_DENIED"), path=path)
    assert "lacks iam.serviceAccounts.getOpenIdToken on home@p.iam.gserviceaccount.com (" in str(told)


def test_who_lacks_it_is_asked_for_where_it_is_not_known() -> None:
    class Somebody(FixedToken):
        def who(self) -> str:
            return "ci@p.iam.gserviceaccount.com"

    reply = refuses(403, "Permission 'run.services.get' denied on resource 'x' (or it may not exist).")
    told = error(reply, credentials=Credentials(Somebody(Secret("t"))))
    assert "--member=serviceAccount:ci@p.iam.gserviceaccount.com" in told.hint
    unknown = error(reply, credentials=Credentials(FixedToken(Secret("t"))))
    assert "the caller lacks run.services.get" in str(unknown)


def test_a_permission_that_is_not_named_is_said_to_be_not_named() -> None:
    told = error(refuses(403, "The caller does not have permission", name="PERMISSION_DENIED"))
    assert "does not say which permission" in told.hint


def test_a_wrong_project_is_not_taken_for_a_missing_role() -> None:
    told = error(
        refuses(
            403,
            "Permission denied on resource project p.",
            details=[info("CONSUMER_INVALID", consumer="projects/p")],
        )
    )
    assert "gcloud projects list" in told.hint
    assert "add-iam-policy-binding" not in told.hint


def test_an_api_that_is_off_comes_with_the_command_that_turns_it_on() -> None:
    page = "https://console.developers.google.com/apis/api/run.googleapis.com/overview?project=1"
    message = f"Cloud Run Admin API has not been used in project 1 before or it is disabled. Enable it by visiting {page} then retry."
    told = error(
        refuses(403, message, name="PERMISSION_DENIED",
                details=[info("SERVICE_DISABLED", service="run.googleapis.com", activationUrl=page)])
    )  # fmt: skip
    assert isinstance(told, ApiDisabled)
    assert told.hint == "gcloud services enable run.googleapis.com --project p"
    assert told.url == page
    compute = error(older(403, message.replace("Cloud Run", "Compute Engine"), "accessNotConfigured"), "compute", "compute/v1/projects/q/global/networks/n")  # fmt: skip
    assert isinstance(compute, ApiDisabled)
    assert compute.hint == "gcloud services enable compute.googleapis.com --project q"


def test_a_persons_credentials_without_a_project_to_charge_are_no_disabled_api() -> None:
    message = (
        "Your application is authenticating by using local Application Default Credentials. The cloudquotas.googleapis.com "
        "API requires a quota project, which is not set by default."
    )
    told = error(
        refuses(403, message, details=[info("SERVICE_DISABLED", service="cloudquotas.googleapis.com")])
    )
    assert isinstance(told, PermissionDenied)
    assert told.hint == "gcloud auth application-default set-quota-project p"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GPU, "NvidiaRtxPro6000GpuAllocNoZonalRedundancyPerProjectRegion: 3 GPU asked, 1 GPU allowed"),
        (GPU.replace("requested: 3 allowed: 1", "requested: 3000 allowed: 1000"), "3 GPU asked, 1 GPU allowed"),
        (MEMORY, "MemAllocPerProjectRegion: 80 GiB asked, 40 GiB allowed"),
        (MANY, "CpuAllocPerProjectRegion: 200 CPU asked, 56 CPU allowed; MemAllocPerProjectRegion: 200 GiB asked, 112 GiB allowed"),
        ("Quota 'CPUS' exceeded.  Limit: 8.0 in region us-central1.", "CPUS: 8.0 allowed in region us-central1"),
        (STARTING, STARTING),
    ],
)  # fmt: skip
def test_a_quota_is_told_by_name_asked_and_allowed(text: str, told: str) -> None:
    assert told in str(error(refuses(400, text, name="FAILED_PRECONDITION")))


def test_a_quota_says_where_to_ask_for_more() -> None:
    for text in (GPU, NO_GPU, STARTING):
        found = error(refuses(400, text))
        assert "g.co/cloudrun/gpu-quota" in found.hint
        assert found.url == "https://g.co/cloudrun/gpu-quota"
    assert "console.cloud.google.com/iam-admin/quotas?project=p" in error(refuses(400, MEMORY)).hint


def test_a_quota_of_things_is_not_waited_for() -> None:
    script = Script(refuses(429, STARTING, name="RESOURCE_EXHAUSTED"))
    with pytest.raises(QuotaExceeded):
        act(door(script).get("run", SERVICE))
    assert len(script.requests) == 1


def test_too_many_requests_are_waited_for_and_then_told() -> None:
    script = Script(
        refuses(429, "Quota exceeded for quota metric 'Reads' and limit 'Reads per minute' of service 'run'")
    )
    with pytest.raises(QuotaExceeded) as told:
        act(door(script).get("run", SERVICE))
    assert len(script.requests) == 8
    assert "in a minute" in told.value.hint


def test_a_policy_is_told_by_its_constraint() -> None:
    assert (
        "gcloud org-policies describe gcp.resourceLocations --effective --project=p"
        in error(older(412, PLACE, "x")).hint
    )
    assert "invokerIamDisabled" in error(refuses(400, PEOPLE, name="FAILED_PRECONDITION")).hint
    custom = error(
        older(412, "Constraint: custom.noDefaultNetwork violated for projects/p", "conditionNotMet")
    )
    assert "describe custom.noDefaultNetwork" in custom.hint


def test_a_wrong_argument_is_told_with_googles_path() -> None:
    detail = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {"field": "service.template.containers[0].image", "description": "must be set"},
            {"field": "service.ingress", "description": "unknown value"},
        ],
    }
    told = error(refuses(400, "Violation in the request", name="INVALID_ARGUMENT", details=[detail]))
    assert isinstance(told, InvalidArgument)
    assert told.hint == "service.template.containers[0].image: must be set; service.ingress: unknown value"


def test_googles_own_pages_are_passed_on() -> None:
    detail = {
        "@type": "type.googleapis.com/google.rpc.Help",
        "links": [{"description": "x", "url": "https://cloud.google.com/x"}],
    }
    assert error(refuses(400, "no", details=[detail])).url == "https://cloud.google.com/x"


def test_a_page_instead_of_json_is_read_as_far_as_it_goes() -> None:
    page = b"<html><head><title>Error 502</title><style>p {}</style></head><body><h1>Bad Gateway</h1><p>Try again.</p></body></html>"
    told = error(httpx2.Response(502, content=page, headers={"content-type": "text/html"}))
    assert type(told) is GoogleError
    assert str(told).startswith("Bad Gateway Try again.")
    assert told.status == 502
    assert error(httpx2.Response(500, content=b"")).status == 500
    assert error(says([{"error": {"code": 404, "message": "in a list"}}], 404)).status == 404
    assert "is gone" in str(error(says({"error": "invalid_grant", "error_description": "it is gone"}, 400)))


def test_a_path_that_no_api_has_does_not_look_like_a_missing_thing() -> None:
    page = b"<!DOCTYPE html><p><b>404.</b> The requested URL was not found on this server."
    assert type(error(httpx2.Response(404, content=page))) is GoogleError
    assert type(error(refuses(404, "Method not found.", name="NOT_FOUND"))) is GoogleError


def test_roles_are_spelt_as_googles_are() -> None:
    assert all(role.startswith("roles/") for _, role in _ROLES)
    assert role_for("run.services.setIamPolicy") == "roles/run.admin"
    assert role_for("run.routes.invoke") == "roles/run.servicesInvoker"
    assert role_for("nothing.we.know") == ""
    assert command("nothing.we.know", principal=YOU, project="p").endswith("--role=ROLE")
