"""An endpoint behind another's load balancer that stands behind Identity-Aware Proxy is told as that, by what a rehearsed front end answers."""

from __future__ import annotations

import httpx2
import pytest

from cloud import act
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import OWNER, Cloud
from homeport.secret import Secret
from homeport.targets.cloudrun.edge.backends_check import behind
from homeport.targets.cloudrun.verification.observed_deployment import (
    ExpectedDeployment,
    ObservedDeployment,
    OtherEndpoint,
    ProbeToken,
)
from homeport.verify import Finding, Outcome
from late_iap import HOST, asking, cloud_of

OTHER = OtherEndpoint(way="x-tier: large", name="other", model="first")


def found(
    cloud: Cloud,
    other: OtherEndpoint,
    shown: list[bool] | None = None,
    *,
    front: bool = False,
    answers: tuple[int, int] = (0, 0),
) -> Finding:
    """
    What is found by one that stands behind the proxy itself with `front`; of each request it is noted in `shown` whether it had a token.

    With `answers` something else answers in the front end's place: with the first status to who shows a token, with the second to who does not.
    """

    async def note(request: httpx2.Request) -> None:
        if shown is not None:
            shown.append("authorization" in request.headers)

    async def instead(answer: httpx2.Response) -> None:
        answer.status_code = answers[0 if "authorization" in answer.request.headers else 1]
        answer.headers = httpx2.Headers()

    async def look() -> Finding:
        token = Secret(id_token(cloud, OWNER, "https://llm.example.com"))
        async with asking(cloud) as sender:
            sender.client.event_hooks["request"].append(note)
            if any(answers):
                sender.client.event_hooks["response"].append(instead)
            deployed = ObservedDeployment(
                service={"urls": [f"https://{HOST}"], "iapEnabled": front},
                revision={},
                policy={},
                planned=ExpectedDeployment(
                    image_digest="", gpu="", concurrency=1, max_instances=1, behind=(other,)
                ),
                sender=sender,
                url=f"https://{HOST}",
                own=ProbeToken(token=token),
            )
            return await behind(deployed)

    return act(look())


def test_one_that_answers_with_the_way_to_a_login_stands_behind_the_proxy_and_that_is_said() -> None:
    shown: list[bool] = []
    told = found(cloud_of(0, enabled=True), OTHER, shown)
    assert sorted(shown) == [False, True], "one request with a token, one without"
    assert told.outcome is Outcome.FAILED
    assert told.detail.startswith(
        "other stands behind Identity-Aware Proxy, which sends x-tier: large to Google's login"
    )
    assert told.evidence["x-tier: large"]["without_token"] == 302


def test_one_without_it_that_does_not_take_the_token_is_told_so_as_before() -> None:
    told = found(cloud_of(0, enabled=False), OTHER)
    assert told.outcome is Outcome.FAILED
    assert "does not take tokens" in told.detail


def test_behind_the_proxy_itself_one_that_is_behind_it_too_is_what_was_planned() -> None:
    told = found(cloud_of(0, enabled=True), OTHER, front=True)
    assert "does not take tokens that are made for" in told.detail, "an ID token is none of what is signed"
    assert told.evidence["x-tier: large"]["without_token"] == 302


def test_behind_the_proxy_itself_one_that_is_not_is_told_as_that() -> None:
    told = found(cloud_of(0, enabled=False), OTHER, front=True)
    assert told.outcome is Outcome.FAILED
    assert told.detail.startswith("other does not stand behind Identity-Aware Proxy as this endpoint does")


@pytest.mark.parametrize("bare", [200, 401, 403])
def test_behind_the_proxy_itself_one_that_lets_in_or_refuses_by_itself_stands_not_behind_it(
    bare: int,
) -> None:
    told = found(cloud_of(0, enabled=False), OTHER, front=True, answers=(401, bare))
    assert told.outcome is Outcome.FAILED
    assert "does not stand behind Identity-Aware Proxy" in told.detail


@pytest.mark.parametrize("front", [True, False])
@pytest.mark.parametrize("bare", [302, 404])
def test_one_that_answers_otherwise_without_a_token_is_told_with_that_and_no_remedy(
    bare: int, *, front: bool
) -> None:
    told = found(cloud_of(0, enabled=False), OTHER, front=front, answers=(403, bare))
    assert told.outcome is Outcome.FAILED
    assert told.detail == f"x-tier: large is answered with {bare} without a token"


@pytest.mark.parametrize("front", [True, False])
@pytest.mark.parametrize("bare", [429, 500, 503])
def test_one_that_is_too_busy_or_fails_without_a_token_is_not_checked(bare: int, *, front: bool) -> None:
    told = found(cloud_of(0, enabled=False), OTHER, front=front, answers=(403, bare))
    assert told.outcome is Outcome.SKIPPED
    assert told.detail.startswith("not checked: ")
    assert told.detail.endswith(f"; a request without a token is answered to x-tier: large with {bare}")


def test_one_that_is_too_busy_without_a_token_and_does_not_take_one_is_told_with_the_latter() -> None:
    told = found(cloud_of(0, enabled=False), OTHER, front=True, answers=(401, 503))
    assert told.outcome is Outcome.FAILED
    assert "does not take tokens" in told.detail
