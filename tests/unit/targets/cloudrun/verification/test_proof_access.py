"""The one who proves a revision may call it, be that the deployer or another: for the time of the proof, and no longer."""

from __future__ import annotations

import pytest

from cloud import Raw, act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from homeport.errors import PermissionDenied
from homeport.google import Binding, IamResource, policy
from homeport.targets.cloudrun.verification.access import door_of, granted

SERVICE = "projects/rehearsal/locations/europe-west4/services/home"
ON = IamResource(api="run", path=f"v2/{SERVICE}")


def deployed(*permissions: str) -> Cloud:
    """A cloud with a service, and a deployer `dev@example.com` with these permissions on the project."""
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "run", "iam", "cloudresourcemanager")

    async def work() -> None:
        raw = Raw(cloud)
        place = "run.googleapis.com/v2/projects/rehearsal/locations/europe-west4/services?serviceId=home"
        body = {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}
        assert (await raw.send("POST", place, body)).status == 200
        role = {"roleId": "deployer", "role": {"title": "d", "includedPermissions": list(permissions)}}
        made = await raw.send("POST", "iam.googleapis.com/v1/projects/rehearsal/roles", role)
        assert made.status == 200, made.body
        async with google_for(cloud) as google:
            project = IamResource(api="cloudresourcemanager", path="v3/projects/rehearsal")
            member = ("user:dev@example.com",)
            await policy.grant(
                google, project, [Binding(role="projects/rehearsal/roles/deployer", members=member)]
            )

    act(work())
    return cloud


def proven(cloud: Cloud, caller: str, who: str, *, seen_after: int = 0) -> tuple[str, int]:
    """Who was let in, and how often it was looked whether that is seen; afterwards nobody is left."""
    looks = 0

    async def is_let_in() -> bool:
        nonlocal looks
        looks += 1
        return looks > seen_after

    async def work() -> str:
        async with google_for(cloud, caller=caller) as google:
            async with granted(google, door_of(f"v2/{SERVICE}"), who, is_let_in) as member:
                within = cloud.access.policy("run", SERVICE).get("bindings", [])
                assert [one["members"] for one in within] == ([[member]] if member else [])
            return member

    member = act(work())
    assert not cloud.access.policy("run", SERVICE).get("bindings")
    return member, looks


SET = ("run.services.getIamPolicy", "run.services.setIamPolicy")


def test_a_deployer_who_may_call_is_let_in_by_nothing() -> None:
    assert proven(deployed(), OWNER, OWNER) == ("", 0)
    assert proven(deployed("run.routes.invoke"), "dev@example.com", "Dev@example.com") == ("", 0)


def test_a_deployer_who_may_not_call_is_let_in_for_the_time_of_the_proof() -> None:
    assert proven(deployed(*SET), "dev@example.com", "dev@example.com", seen_after=3) == (
        "user:dev@example.com",
        4,
    )


def test_another_account_of_gcloud_is_let_in_though_the_deployer_may_call() -> None:
    assert (
        proven(deployed(*SET, "run.routes.invoke"), "dev@example.com", "me@example.com")[0]
        == "user:me@example.com"
    )


def test_who_may_not_be_let_in_is_named_with_the_command() -> None:
    cloud = deployed("run.services.getIamPolicy")
    with pytest.raises(
        PermissionDenied, match=r"me@example\.com proves the new revision and may not call it"
    ) as caught:
        proven(cloud, "dev@example.com", "me@example.com", seen_after=1)
    assert proven(cloud, "dev@example.com", "me@example.com") == ("", 1), "by another grant"
    assert "--member=user:me@example.com --role=roles/run.servicesInvoker" in caught.value.hint


def test_the_grant_goes_also_where_the_proof_fails() -> None:
    cloud = deployed(*SET)

    async def work() -> None:
        async with google_for(cloud, caller="dev@example.com") as google:

            async def is_let_in() -> bool:
                return True

            async with granted(google, door_of(f"v2/{SERVICE}"), "dev@example.com", is_let_in):
                raise RuntimeError("not as promised")

    with pytest.raises(RuntimeError):
        act(work())
    assert not cloud.access.policy("run", SERVICE).get("bindings")
