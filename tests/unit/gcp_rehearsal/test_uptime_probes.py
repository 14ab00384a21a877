"""Uptime checks are made: as who they say they come as, when they are due, and of what there is. The real front end is asked elsewhere."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.apis.iam.tokens import verify_id_token
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.runtime.uptime_probes import PASSED, UptimeProbes

SERVICES = "run.googleapis.com/v2/projects/rehearsal/locations/us-central1/services"
CHECKS = "monitoring.googleapis.com/v3/projects/rehearsal/uptimeCheckConfigs"
CHECK: dict[str, Any] = {
    "displayName": "x", "timeout": "10s", "period": "300s", "selectedRegions": ["EUROPE", "ASIA_PACIFIC", "USA_IOWA"],
    "httpCheck": {"useSsl": True, "path": "/health", "serviceAgentAuthentication": {"type": "OIDC_TOKEN"}},
    "monitoredResource": {
        "type": "cloud_run_revision",
        "labels": {"project_id": "rehearsal", "location": "us-central1", "service_name": "home"},
    },
}  # fmt: skip


class Door:
    """A front end that lets the monitoring agent's token in, if it is for the host that is asked."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.asked, self.status, self.never = cloud, list[str](), 200, False

    async def __call__(self, scope: Any, receive: Any, send: Any, asked: str) -> None:  # Any: ASGI
        self.asked.append(f"{asked}{scope['path']}")
        assert (await receive())["more_body"] is False
        if self.never:
            await receive()
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        status = 403
        if token:
            claims = verify_id_token(self.cloud, token, f"https://{asked}")
            number = self.cloud.projects[0].number
            wanted = f"service-{number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
            status = self.status if claims["email"] == wanted else 403
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud(delays=AT_ONCE)
    enable(made, "run", "monitoring")
    body = {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}
    assert act(Raw(made).send("POST", f"{SERVICES}?serviceId=home", body)).status == 200
    return made


def check(cloud: Cloud, **more: Any) -> str:  # Any: JSON
    answer = act(Raw(cloud).send("POST", CHECKS, {**CHECK, **more}))
    assert answer.status == 200, answer.body
    return str(answer.body["name"])


def told(probes: UptimeProbes) -> dict[str, str]:
    return dict(re.findall(rf'^{PASSED}\{{.*checker_location="(.*?)"\}} (\d)$', probes.text(), re.MULTILINE))


def looked(probes: UptimeProbes) -> dict[str, str]:
    async def look() -> None:
        probes.look()
        await asyncio.sleep(0)
        while waits := [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]:
            await asyncio.wait(waits)

    asyncio.run(look())
    return told(probes)


def test_each_place_asks_with_a_token_for_the_host_and_tells_what_came(cloud: Cloud) -> None:
    name = check(cloud)
    door = Door(cloud)
    probes = UptimeProbes(cloud, door)
    assert told(probes) == {}, "what was not tried is not told"
    assert looked(probes) == {"eur-belgium": "1", "apac-singapore": "1", "usa-iowa": "1"}
    assert len(door.asked) == 3
    assert all(re.fullmatch(r"home-.*\.run\.app/health", one) for one in door.asked)
    labels = 'monitored_resource="cloud_run_revision",project_id="rehearsal",location="us-central1",service_name="home"'
    assert f'{PASSED}{{{labels},check_id="{name.rpartition("/")[2]}",' in probes.text()


def test_it_is_made_again_when_it_is_due_and_not_before(cloud: Cloud) -> None:
    check(cloud)
    door = Door(cloud)
    probes = UptimeProbes(cloud, door)
    looked(probes)
    door.status = 503
    assert set(looked(probes).values()) == {"1"}
    assert len(door.asked) == 3
    cloud.clock.jump(301)
    assert set(looked(probes).values()) == {"0"}
    assert len(door.asked) == 6


def test_without_a_token_or_an_answer_in_time_it_has_not_passed(cloud: Cloud) -> None:
    check(cloud, httpCheck={"useSsl": True})
    door = Door(cloud)
    assert set(looked(UptimeProbes(cloud, door)).values()) == {"0"}, "403"
    cloud.store.remove(next(cloud.store.of("monitoring")))
    check(cloud, timeout="1s")
    door.never = True
    assert set(looked(UptimeProbes(cloud, door)).values()) == {"0"}


@pytest.mark.parametrize(
    "more",
    [
        {"disabled": True},
        {"monitoredResource": {"type": "uptime_url", "labels": {"host": "example.com"}}},
        {"monitoredResource": {**CHECK["monitoredResource"], "labels": {**CHECK["monitoredResource"]["labels"], "service_name": "other"}}},
    ],
)  # fmt: skip
def test_what_is_off_or_not_here_is_not_asked(cloud: Cloud, more: dict[str, Any]) -> None:
    check(cloud, **more)
    door = Door(cloud)
    assert looked(UptimeProbes(cloud, door)) == {}
    assert door.asked == []
