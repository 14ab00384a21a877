"""A deployment of weights in a bucket, as its users see it: plans, changes, drift, others, stops, and its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cloud import Raw, act
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays
from homeport.errors import Interrupted, NotManaged, PlanStale
from homeport.google import Google
from homeport.progress import Silent
from homeport.reconcile import Cancellation, Plan, Resource, apply, make_plan
from homeport.resources.google.traffic import Body, Receipt
from ways import NAME, PROJECT, REGION, Carrying, Wanted, other_weights, wanted

READS = {"get", "list", "batchGet", "getIamPolicy", "access", "wait"}
SERVICE = f"run.googleapis.com/v2/projects/{PROJECT}/locations/{REGION}/services/{NAME}"
WEIGHTS = f"{PROJECT}-{NAME}-weights"
SERVED_ANEW = ["update service/home", "update release/home"]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(delays=AT_ONCE, steps=Carrying())


@pytest.fixture
def wish(tmp_path: Path) -> Wanted:
    return wanted("vllm", tmp_path)


def resources(google: Google, wish: Wanted) -> list[Resource]:
    async def prove(service: Body, revision: str, url: str) -> Receipt:
        return Receipt(at="2026-11-25T00:00:00Z", passed=True, counts={"passed": 20})

    return wish.target(google, prove).resources()


async def plan(cloud: Cloud, wish: Wanted) -> Plan:
    async with google_for(cloud) as google:
        return await make_plan(NAME, "cloudrun", resources(google, wish))


async def up(cloud: Cloud, wish: Wanted, halt: Cancellation | None = None) -> list[str]:
    """Apply; returns what was done, as the plan said it."""
    async with google_for(cloud) as google:
        made = await make_plan(NAME, "cloudrun", resources(google, wish))
        await apply(made, Silent(), halt)
        return told(made)


def told(plan: Plan) -> list[str]:
    return [f"{action.kind} {action.resource.id}" for action in plan.pending]


def writes(cloud: Cloud, since: int = 0) -> list[str]:
    methods = [logged.method for logged in cloud.log[since:]]
    return [method for method in methods if method.rpartition(".")[2] not in READS]


def test_a_plan_writes_nothing_and_shows_all_that_is_to_be_made(cloud: Cloud, wish: Wanted) -> None:
    made = act(plan(cloud, wish))
    assert len(made.pending) == len(made.actions) == 33
    assert writes(cloud) == []


def test_what_is_deployed_needs_nothing_more(cloud: Cloud, wish: Wanted) -> None:
    assert len(act(up(cloud, wish))) == 33
    before = len(cloud.log)
    assert act(up(cloud, wish)) == []
    assert writes(cloud, before) == []


def test_grants_and_apis_that_take_minutes_to_be_seen_are_waited_for(wish: Wanted) -> None:
    cloud = Cloud(delays=Delays(grants=180, accounts=30, apis=60), steps=Carrying())
    assert len(act(up(cloud, wish))) == 33
    assert act(up(cloud, wish)) == []


def at_once(wish: Wanted, requests: int) -> Wanted:
    """The same, for so many requests at once."""
    engine = wish.spec.engine.model_copy(update={"parallel": requests})
    return replace(wish, spec=wish.spec.model_copy(update={"engine": engine}))


def on_another_image(wish: Wanted) -> Wanted:
    assert wish.spec.cloudrun is not None
    cloudrun = wish.spec.cloudrun.model_copy(update={"image": f"vllm/vllm-openai@sha256:{'0' * 64}"})
    return replace(wish, spec=wish.spec.model_copy(update={"cloudrun": cloudrun}))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda wish: replace(wish, token="hf_second"), ["update secret-version/home-hub-token"]),
        (lambda wish: at_once(wish, 8), SERVED_ANEW),
        (other_weights, ["create weights/model", *SERVED_ANEW]),
        (on_another_image, SERVED_ANEW),
    ],
)
def test_a_change_touches_what_it_is_about(
    cloud: Cloud, wish: Wanted, change: Callable[[Wanted], Wanted], what: list[str]
) -> None:
    act(up(cloud, wish))
    assert act(up(cloud, change(wish))) == what
    assert act(up(cloud, change(wish))) == []


@pytest.mark.parametrize(
    ("verb", "url", "body", "what"),
    [
        ("PATCH", f"{SERVICE}?updateMask=ingress", {"ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY"}, "update service/home"),
        ("PATCH", f"storage.googleapis.com/storage/v1/b/{WEIGHTS}", {"labels": {"homeport": NAME}, "iamConfiguration": {"publicAccessPrevention": "inherited"}}, f"update bucket/{WEIGHTS}"),
        ("DELETE", f"storage.googleapis.com/storage/v1/b/{WEIGHTS}/o/models%2Fhomeport%2Fsmall%2F{'1' * 40}%2Fhomeport-manifest.json", None, "create weights/model"),
        ("DELETE", f"dns.googleapis.com/dns/v1/projects/{PROJECT}/managedZones/home-pkg-dev/rrsets/pkg.dev./A", None, "create record/home-pkg-dev/pkg.dev.A"),
        ("POST", f"secretmanager.googleapis.com/v1/projects/{PROJECT}/secrets/home-hub-token:addVersion", {"payload": {"data": "aGZfb3RoZXI="}}, "update secret-version/home-hub-token"),
        ("POST", f"secretmanager.googleapis.com/v1/projects/{PROJECT}/secrets/home-hub-token/versions/1:disable", {}, "create secret-version/home-hub-token"),
        ("PATCH", f"iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts/home-run@{PROJECT}.iam.gserviceaccount.com", {"serviceAccount": {"displayName": "mine"}, "updateMask": "displayName"}, "update service-account/home-run"),
        ("POST", f"compute.googleapis.com/compute/v1/projects/{PROJECT}/regions/{REGION}/subnetworks/home/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": False}, "update subnetwork/home"),
        ("POST", f"{SERVICE}:setIamPolicy", {"policy": {"bindings": []}}, "create grant/run.servicesInvoker/friend@example.com/service/home"),
    ],
)  # fmt: skip
def test_what_somebody_changed_by_hand_is_seen_and_mended(
    cloud: Cloud, wish: Wanted, verb: str, url: str, body: object, what: str
) -> None:
    act(up(cloud, wish))
    answer = act(Raw(cloud).send(verb, url, body))
    assert answer.status in {200, 204}, answer.body
    act(asyncio.sleep(60))
    assert told(act(plan(cloud, wish)))[0] == what
    act(up(cloud, wish))
    assert told(act(plan(cloud, wish))) == []


def test_what_somebody_added_by_hand_is_left_alone(cloud: Cloud, wish: Wanted) -> None:
    act(up(cloud, wish))
    url = f"storage.googleapis.com/storage/v1/b/{WEIGHTS}"
    act(Raw(cloud).send("PATCH", url, {"labels": {"team": "theirs"}}))
    assert told(act(plan(cloud, wish))) == []
    act(up(cloud, other_weights(wish)))
    assert act(Raw(cloud).send("GET", url)).body["labels"] == {"homeport": NAME, "team": "theirs"}


def test_a_thing_of_somebody_elses_stops_everything_before_anything_is_done(
    cloud: Cloud, wish: Wanted
) -> None:
    url = f"storage.googleapis.com/storage/v1/b?project={PROJECT}"
    act(Raw(cloud).send("POST", url, {"name": WEIGHTS, "location": REGION}))
    before = len(cloud.log)
    with pytest.raises(NotManaged, match=WEIGHTS):
        act(up(cloud, wish))
    assert writes(cloud, before) == []


def test_two_who_deploy_the_same_at_once_make_everything_once(cloud: Cloud, wish: Wanted) -> None:
    async def both() -> list[list[str] | BaseException]:
        return list(await asyncio.gather(up(cloud, wish), up(cloud, wish), return_exceptions=True))

    ends = act(both())
    assert [end for end in ends if isinstance(end, BaseException)] == []
    assert act(up(cloud, wish)) == []
    made = [logged.method for logged in cloud.log if logged.status == 200]
    assert made.count("run.projects.locations.services.create") == 1
    assert len([kept for kept in cloud.store.everything() if "/versions/" in kept.name and kept.api == "secretmanager"]) <= 2  # fmt: skip


def test_of_two_who_change_it_at_once_the_second_is_told_and_nothing_is_lost(
    cloud: Cloud, wish: Wanted
) -> None:
    act(up(cloud, wish))
    mine, theirs = at_once(wish, 2), at_once(wish, 8)

    async def both() -> list[object]:
        async with google_for(cloud) as google:
            plans = [await make_plan(NAME, "cloudrun", resources(google, one)) for one in (mine, theirs)]
            return await asyncio.gather(*(apply(one, Silent()) for one in plans), return_exceptions=True)

    ends = act(both())
    refused = [end for end in ends if isinstance(end, BaseException)]
    assert [type(one) for one in refused] == [PlanStale]
    assert "service/home" in str(refused[0])
    won = mine if ends.index(refused[0]) else theirs
    assert told(act(plan(cloud, won))) == []


@pytest.mark.parametrize("seconds", [0.5, 8.0, 20.0, 40.0, 70.0])
def test_a_stop_finishes_what_is_under_way_and_the_next_run_goes_on(wish: Wanted, seconds: float) -> None:
    cloud = Cloud(steps=Carrying())

    async def stopped() -> None:
        halt = Cancellation()
        asyncio.get_running_loop().call_later(seconds, halt.ask)
        await up(cloud, wish, halt)

    with pytest.raises(Interrupted, match="not begun"):
        act(stopped())
    assert not [kept for kept in cloud.store.everything() if "operations" in kept.collection and not kept.body.get("done", True)]  # fmt: skip
    act(up(cloud, wish))
    assert told(act(plan(cloud, wish))) == []


def test_nobody_sees_the_token(cloud: Cloud, wish: Wanted) -> None:
    heard = Heard()

    async def deployed() -> Plan:
        async with google_for(cloud) as google:
            await apply(await make_plan(NAME, "cloudrun", resources(google, wish)), heard)
            return await make_plan(NAME, "cloudrun", resources(google, replace(wish, token="hf_2secret")))

    changed = act(deployed())
    assert told(changed) == ["update secret-version/home-hub-token"]
    everything = json.dumps(changed.as_json()) + repr(changed) + "\n".join(heard.lines)
    assert "secret-version" in everything
    assert wish.token not in everything
    assert "hf_2" not in everything


@dataclass
class Heard(Silent):
    """Keeps all that is told."""

    lines: list[str] = field(default_factory=list)

    def started(self, key: str, what: str) -> None:
        self.lines.append(what)

    def finished(self, key: str, what: str) -> None:
        self.lines.append(what)

    def note(self, text: str) -> None:
        self.lines.append(text)
