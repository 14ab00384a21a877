"""Behind Identity-Aware Proxy people log in by an OAuth client that Google has for organisations alone: a plan says what a project without one needs."""

from __future__ import annotations

import pytest

from cloud import Raw, act
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.faults import parse
from gcp_rehearsal.settings import Project
from homeport.targets.cloudrun.iap_organisation import organisation_findings
from homeport.targets.cloudrun.preflight import PreflightFinding, PreflightVerdict
from preflights import looked
from proxied import TEAM, Proxied

RESOURCES = "cloudresourcemanager.googleapis.com"


def found(cloud: Cloud) -> PreflightFinding:
    (one,) = organisation_findings(looked(cloud), "rehearsal")
    return one


def test_in_an_organisation_its_people_log_in_and_others_need_a_client() -> None:
    one = found(Cloud(delays=AT_ONCE, projects=(Project(organization="123"),)))
    assert (one.verdict, one.data["parent"]) == (PreflightVerdict.OK, "organizations/123")
    assert "others need one of yours" in one.text


def test_without_one_what_the_proxy_needs_is_said_with_the_commands() -> None:
    one = found(Cloud(delays=AT_ONCE))
    assert one.verdict is PreflightVerdict.WARNING
    assert "answer 502" in one.text
    assert "gcloud iap settings set FILE --project=rehearsal" in one.hint


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
        act(target.preflight())
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
