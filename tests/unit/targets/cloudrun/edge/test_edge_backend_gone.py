"""What a group of the load balancer leads to once its service is gone: 404 there and nowhere else, and the next plan says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud import Raw, act
from edges import DOMAIN, WithEdge
from gcp_rehearsal.runtime.balancing import LoadBalancers
from gcp_rehearsal.runtime.front_end import Front
from homeport import spec

SMALL = "run.googleapis.com/v2/projects/rehearsal/locations/europe-west4/services/small"


@pytest.fixture
def deployer(tmp_path: Path) -> WithEdge:
    return WithEdge("ollama", tmp_path)


def status_at(deployer: WithEdge, path: str) -> int:
    """How the load balancer answers a request without a token there: 403 of a service that asks for one."""
    sent: list[dict[str, Any]] = []  # Any: ASGI

    async def work() -> None:
        balancers = LoadBalancers(deployer.cloud)
        (listener,) = [one for one in balancers.listeners() if one.secure]
        goal, _ = balancers.goal(listener, DOMAIN, path, {})

        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        await Front(deployer.cloud)({"type": "http", "headers": []}, receive, keep, goal)

    act(work())
    return int(sent[0]["status"])


def test_a_group_whose_service_is_gone_answers_404_and_the_plan_tells_it_before_anything_is_made(
    deployer: WithEdge,
) -> None:
    small = {"name": "small", "access": {"audience": f"https://{DOMAIN}"}}
    deployer.deployed(spec.parse({**deployer.wanted().model_dump(), **small}))
    wanted = deployer.behind(backends={"/small": "small"})
    deployer.deployed(wanted)
    assert [status_at(deployer, path) for path in ("/small/v1/models", "/v1/models")] == [403, 403]

    assert act(Raw(deployer.cloud).send("DELETE", SMALL)).status == 200
    assert [status_at(deployer, path) for path in ("/small/v1/models", "/v1/models")] == [404, 403]
    deployer.target_of(wanted)
    (told,) = deployer.told(wanted)
    assert (told.verdict.value, "small" in told.text) == ("problem", True)
    assert "take /small out of edge.backends" in told.hint
