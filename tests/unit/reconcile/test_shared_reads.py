"""A plan asks once for what many of its resources are read from, and keeps none of it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from cloud import act
from deployment import PROJECT, deployment, google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import Fault
from homeport.errors import PermissionDenied
from homeport.google import Binding, IamResource, policy
from homeport.progress import Silent
from homeport.reconcile import Plan, apply, destroy, make_plan
from homeport.reconcile.shared_reads import read_together, shared
from homeport.reconcile.teardown import teardown
from homeport.resources.google.monitoring import POLICY, monitoring_part

ON_PROJECT = IamResource(api="cloudresourcemanager", path=f"v3/projects/{PROJECT}")


async def planned(cloud: Cloud) -> Plan:
    return await make_plan("home", "cloudrun", deployment(google_for(cloud)))


@pytest.fixture
def cloud() -> Cloud:
    """A cloud in which the endpoint is."""
    made = Cloud(delays=AT_ONCE)

    async def work() -> None:
        await apply(await planned(made), Silent())

    act(work())
    made.log.clear()
    return made


def asked(cloud: Cloud, what: str) -> Counter[str]:
    """How often each thing was asked for by methods of that last word."""
    return Counter(one.name for one in cloud.log if one.method.endswith(f".{what}"))


def test_a_plan_asks_for_each_policy_once_however_many_grants_are_in_it(cloud: Cloud) -> None:
    assert act(planned(cloud)).pending == ()
    policies = asked(cloud, "getIamPolicy")
    assert len(policies) == 5
    assert set(policies.values()) == {1}


def test_so_does_what_shows_all_that_would_go(cloud: Cloud) -> None:
    act(teardown("home", "cloudrun", deployment(google_for(cloud))))
    assert set(asked(cloud, "getIamPolicy").values()) == {1}


def test_the_next_plan_asks_anew(cloud: Cloud) -> None:
    google = google_for(cloud)
    resources = deployment(google)
    writer = f"serviceAccount:home-run@{PROJECT}.iam.gserviceaccount.com"

    async def pending() -> list[str]:
        plan = await make_plan("home", "cloudrun", resources)
        return [action.resource.id for action in plan.pending]

    async def work() -> tuple[list[str], list[str]]:
        before = await pending()
        await policy.revoke(
            google, ON_PROJECT, [Binding(role="roles/monitoring.metricWriter", members=(writer,))]
        )
        return before, await pending()

    assert act(work()) == ([], [f"grant/monitoring.metricWriter/home-run/project/{PROJECT}"])


def test_a_grant_is_read_anew_before_it_is_touched(cloud: Cloud) -> None:
    act(destroy(deployment(google_for(cloud)), Silent()))
    cloud.log.clear()

    async def work() -> None:
        await apply(await planned(cloud), Silent())

    act(work())
    # Of two grants: one look by the plan, then each before it is made and as part of the change itself.
    assert asked(cloud, "getIamPolicy")[f"/v3/projects/{PROJECT}:getIamPolicy"] == 5
    assert asked(cloud, "setIamPolicy")[f"/v3/projects/{PROJECT}:setIamPolicy"] == 2


def test_a_policy_that_may_not_be_read_is_told(cloud: Cloud) -> None:
    cloud.faults.append(
        Fault(method="cloudresourcemanager.projects.getIamPolicy", nth=1, times=9, status=403)
    )
    with pytest.raises(PermissionDenied):
        act(planned(cloud))


def test_things_of_cloud_monitoring_are_looked_for_in_one_list() -> None:
    cloud = Cloud(delays=AT_ONCE)
    google = google_for(cloud)
    parts = [monitoring_part(google, "home", POLICY, part, {}) for part in ("down", "slow", "dear")]
    plan = act(make_plan("home", "cloudrun", parts))
    assert len(plan.pending) == 3
    assert len([one for one in cloud.log if one.method.endswith("alertPolicies.list")]) == 1


def test_what_is_not_read_together_is_asked_for_by_each() -> None:
    looks: list[str] = []

    async def look() -> str:
        looks.append("look")
        return "seen"

    async def work() -> None:
        assert await shared("it", look) == "seen"
        assert await shared("it", look) == "seen"
        assert await read_together(shared("it", look) for _ in range(3)) == ["seen"] * 3
        assert await read_together(shared(key, look) for key in ("it", "another")) == ["seen"] * 2

    act(work())
    assert len(looks) == 2 + 1 + 2


def test_each_that_shares_a_failure_is_told_of_it() -> None:
    async def refused() -> str:
        raise PermissionDenied("no")

    async def work() -> list[str | BaseException]:
        return await read_together(shared("it", refused) for _ in range(2))

    assert [type(one) for one in act(work())] == [PermissionDenied] * 2


def test_one_that_gives_up_takes_the_answer_from_nobody_else() -> None:
    looks: list[str] = []

    async def slow() -> str:
        looks.append("look")
        await asyncio.sleep(10)
        return "seen"

    async def within(seconds: float) -> str:
        async with asyncio.timeout(seconds):
            return await shared("it", slow)

    async def work() -> list[str | BaseException]:
        return await read_together(within(seconds) for seconds in (1, 60, 60))

    assert [one if isinstance(one, str) else type(one) for one in act(work())] == [
        TimeoutError,
        "seen",
        "seen",
    ]
    assert looks == ["look"]


def test_what_nobody_waits_for_any_more_is_not_asked_for_any_longer() -> None:
    ends: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("given up")

    async def given_up() -> None:
        async with asyncio.timeout(1):
            await shared("it", endless)

    async def work() -> None:
        assert [type(one) for one in await read_together([given_up()])] == [TimeoutError]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await read_together([shared("it", endless)])
        await asyncio.sleep(0)
        assert ends == ["given up"] * 2

    act(work())
