"""Behind Identity-Aware Proxy people log in by an OAuth client that Google has for organisations alone: a plan says what a project without one needs."""

from __future__ import annotations

import pytest

from cloud import Raw, act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.faults import parse
from gcp_rehearsal.settings import Project
from homeport.targets.cloudrun.findings import findings_of
from homeport.targets.cloudrun.iap.entry import iap_resource
from homeport.targets.cloudrun.iap.organisation import organisation_findings
from homeport.targets.cloudrun.preflight import PreflightFinding, PreflightVerdict
from preflights import looked
from proxied import TEAM, Proxied

RESOURCES = "cloudresourcemanager.googleapis.com"


PROJECT = "iap.googleapis.com/v1/projects/481516234200"
CLIENT = "1.apps.googleusercontent.com"
WITH_CLIENT = {"accessSettings": {"oauthSettings": {"clientId": CLIENT, "clientSecret": "s3"}}}


def found(cloud: Cloud, caller: str = OWNER) -> PreflightFinding:
    async def work() -> list[PreflightFinding]:
        async with google_for(cloud, caller=caller) as google:
            return await organisation_findings(
                google, before, iap_resource("481516234200", "europe-west4", "home")
            )

    before = looked(cloud)
    (one,) = act(work())
    return one


def alone(cloud: Cloud) -> Cloud:
    """A project in no organisation, whose proxy can be asked for its settings."""
    enable(cloud, "iap", "run")
    return cloud


def test_in_an_organisation_its_people_log_in_and_others_need_a_client() -> None:
    one = found(Cloud(delays=AT_ONCE, projects=(Project(organization="123"),)))
    assert (one.verdict, one.data["parent"]) == (PreflightVerdict.OK, "organizations/123")
    assert "others need one of yours" in one.text


def test_without_one_what_the_proxy_needs_is_said_with_the_commands() -> None:
    one = found(alone(Cloud(delays=AT_ONCE)))
    assert (one.verdict, one.data["client"]) == (PreflightVerdict.WARNING, "")
    assert "it has none of yours" in one.text
    assert "answer 502" in one.text
    assert "gcloud iap settings set FILE --project=rehearsal" in one.hint


@pytest.mark.parametrize("level", ["", "/iap_web", "/iap_web/cloud_run-europe-west4"])
def test_once_it_has_one_there_is_nothing_to_be_warned_of(level: str) -> None:
    cloud = alone(Cloud(delays=AT_ONCE))
    assert act(Raw(cloud).send("PATCH", f"{PROJECT}{level}:iapSettings", WITH_CLIENT)).status == 200
    one = found(cloud)
    assert (one.verdict, one.data["client"]) == (PreflightVerdict.OK, CLIENT)


def test_settings_that_may_not_be_read_are_not_taken_for_ones_without_a_client() -> None:
    one = found(alone(Cloud(delays=AT_ONCE)), "stranger@example.com")
    assert (one.verdict, one.data["client"]) == (PreflightVerdict.WARNING, None)
    assert "could not be read" in one.text
    assert "it has none of yours" not in one.text
    assert one.hint.endswith("--member=user:stranger@example.com --role=roles/iap.settingsAdmin")


def test_who_may_read_some_of_the_settings_sees_the_client_there() -> None:
    cloud = alone(Cloud(delays=AT_ONCE))
    assert act(Raw(cloud).send("PATCH", f"{PROJECT}/iap_web:iapSettings", WITH_CLIENT)).status == 200
    cloud.faults.append(parse("iap.getIapSettings:403:times=1"))
    assert found(cloud).verdict is PreflightVerdict.OK


def test_while_the_proxy_s_api_is_off_that_is_not_known() -> None:
    one = found(Cloud(delays=AT_ONCE))
    assert (one.verdict, one.data["client"]) == (PreflightVerdict.WARNING, None)


def test_a_project_that_may_not_be_seen_is_not_taken_for_one_in_an_organisation() -> None:
    cloud = Cloud(delays=AT_ONCE, projects=(Project(organization="123"),))
    cloud.faults.append(parse("cloudresourcemanager.projects.get:403:times=9"))
    assert found(cloud).verdict is PreflightVerdict.NOT_CHECKED


def test_a_plan_warns_of_it_and_only_where_the_file_has_the_proxy() -> None:
    deployer = Proxied("ollama")
    _, with_proxy, _ = deployer.looked_by(OWNER, deployer.through(TEAM))
    assert with_proxy["iap/organisation"].verdict is PreflightVerdict.WARNING
    _, without, _ = deployer.looked_by(OWNER, deployer.through())
    assert "iap/organisation" not in without


def test_the_project_is_asked_for_its_organisation_once_for_all() -> None:
    def asked(*members: str) -> int:
        deployer = Proxied("ollama")
        target = deployer.made(deployer.through(*members))
        deployer.cloud.log.clear()
        act(findings_of(target))
        return [one.method for one in deployer.cloud.log].count("cloudresourcemanager.projects.get")

    assert asked(TEAM) == asked() == 1


@pytest.mark.parametrize("organization", ["", "123"])
def test_a_rehearsed_project_tells_its_organisation_in_each_version_and_among_its_ancestors(
    organization: str,
) -> None:
    raw = Raw(Cloud(delays=AT_ONCE, projects=(Project(organization=organization),)))
    newer = act(raw.send("GET", f"{RESOURCES}/v3/projects/rehearsal")).body
    older = act(raw.send("GET", f"{RESOURCES}/v1/projects/rehearsal")).body
    above = act(raw.send("POST", f"{RESOURCES}/v1/projects/rehearsal:getAncestry", {})).body["ancestor"]
    assert newer.get("parent") == (f"organizations/{organization}" if organization else None)
    assert older.get("parent") == ({"type": "organization", "id": organization} if organization else None)
    assert [one["resourceId"]["type"] for one in above] == [
        "project",
        *(["organization"] if organization else []),
    ]
