"""A deployment of the size of a real one, as its users see it: plans, changes, drift, others, stops, and its end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from cloud import Raw, act, enable, things
from deployment import NAME, PROJECT, REGION, Wish, deployment, google_for
from homeport.errors import Changed, Interrupted, NotOurs
from homeport.progress import Silent
from homeport.reconcile import Halt, Plan, apply, destroy, make_plan
from homeport.rehearsal.cloud import AT_ONCE, Cloud, Delays

FIRST = Wish()
READS = {"get", "list", "batchGet", "getIamPolicy", "access", "wait"}
SERVICE = f"run.googleapis.com/v2/projects/{PROJECT}/locations/{REGION}/services/{NAME}"
WEIGHTS = f"{PROJECT}-{NAME}-weights"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(delays=AT_ONCE)


async def plan(cloud: Cloud, wish: Wish = FIRST) -> Plan:
    async with google_for(cloud) as google:
        return await make_plan(NAME, "cloudrun", deployment(google, wish))


async def up(cloud: Cloud, wish: Wish = FIRST, halt: Halt | None = None) -> list[str]:
    """Apply; returns what was done, as the plan said it."""
    async with google_for(cloud) as google:
        made = await make_plan(NAME, "cloudrun", deployment(google, wish))
        await apply(made, Silent(), halt)
        return told(made)


def told(plan: Plan) -> list[str]:
    return [f"{action.kind} {action.resource.id}" for action in plan.pending]


def writes(cloud: Cloud, since: int = 0) -> list[str]:
    methods = [logged.method for logged in cloud.log[since:]]
    return [method for method in methods if method.rpartition(".")[2] not in READS]


def test_a_plan_writes_nothing_and_shows_all_that_is_to_be_made(cloud: Cloud) -> None:
    made = act(plan(cloud))
    assert len(made.pending) == len(made.actions) == 28
    assert writes(cloud) == []


def test_what_is_deployed_needs_nothing_more(cloud: Cloud) -> None:
    assert len(act(up(cloud))) == 28
    before = len(cloud.log)
    assert act(up(cloud)) == []
    assert writes(cloud, before) == []


def test_grants_and_apis_that_take_minutes_to_be_seen_are_waited_for() -> None:
    cloud = Cloud(delays=Delays(grants=180, accounts=30, apis=60))
    assert len(act(up(cloud))) == 28
    assert act(up(cloud)) == []


@pytest.mark.parametrize(
    ("wish", "what"),
    [
        (Wish(token="hf_second"), ["update secret-version/home-token"]),
        (Wish(concurrency=8), ["update service/home"]),
        (Wish(manifest=b"{}"), [f"update object/{WEIGHTS}/models/manifest.json"]),
        (Wish(tag="def456"), ["create image/serving", "update service/home"]),
    ],
)
def test_a_change_touches_what_it_is_about(cloud: Cloud, wish: Wish, what: list[str]) -> None:
    act(up(cloud))
    assert act(up(cloud, wish)) == what
    assert act(up(cloud, wish)) == []


@pytest.mark.parametrize(
    ("verb", "url", "body", "what"),
    [
        ("PATCH", f"{SERVICE}?updateMask=ingress", {"ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY"}, "update service/home"),
        ("PATCH", f"storage.googleapis.com/storage/v1/b/{WEIGHTS}", {"labels": {"homeport": NAME}, "iamConfiguration": {"publicAccessPrevention": "inherited"}}, f"update bucket/{WEIGHTS}"),
        ("DELETE", f"storage.googleapis.com/storage/v1/b/{WEIGHTS}/o/models%2Fmanifest.json", None, f"create object/{WEIGHTS}/models/manifest.json"),
        ("DELETE", f"dns.googleapis.com/dns/v1/projects/{PROJECT}/managedZones/home-pkg-dev/rrsets/pkg.dev./A", None, "create record/home-pkg-dev/pkg.dev.A"),
        ("POST", f"secretmanager.googleapis.com/v1/projects/{PROJECT}/secrets/home-token:addVersion", {"payload": {"data": "aGZfb3RoZXI="}}, "update secret-version/home-token"),
        ("POST", f"secretmanager.googleapis.com/v1/projects/{PROJECT}/secrets/home-token/versions/1:disable", {}, "create secret-version/home-token"),
        ("PATCH", f"iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts/home-run@{PROJECT}.iam.gserviceaccount.com", {"serviceAccount": {"displayName": "mine"}, "updateMask": "displayName"}, "update service-account/home-run"),
        ("POST", f"compute.googleapis.com/compute/v1/projects/{PROJECT}/regions/{REGION}/subnetworks/home/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": False}, "update subnetwork/home"),
        ("POST", f"{SERVICE}:setIamPolicy", {"policy": {"bindings": []}}, "create grant/run.servicesInvoker/you/service/home"),
    ],
)  # fmt: skip
def test_what_somebody_changed_by_hand_is_seen_and_mended(
    cloud: Cloud, verb: str, url: str, body: object, what: str
) -> None:
    act(up(cloud))
    answer = act(Raw(cloud).send(verb, url, body))
    assert answer.status in {200, 204}, answer.body
    act(asyncio.sleep(60))
    assert told(act(plan(cloud))) == [what]
    act(up(cloud))
    assert told(act(plan(cloud))) == []


def test_what_somebody_added_by_hand_is_left_alone(cloud: Cloud) -> None:
    act(up(cloud))
    url = f"storage.googleapis.com/storage/v1/b/{WEIGHTS}"
    act(Raw(cloud).send("PATCH", url, {"labels": {"team": "theirs"}}))
    assert told(act(plan(cloud))) == []
    act(up(cloud, Wish(manifest=b"{}")))
    assert act(Raw(cloud).send("GET", url)).body["labels"] == {"homeport": NAME, "team": "theirs"}


def test_a_thing_of_somebody_elses_stops_everything_before_anything_is_done(cloud: Cloud) -> None:
    url = f"storage.googleapis.com/storage/v1/b?project={PROJECT}"
    act(Raw(cloud).send("POST", url, {"name": WEIGHTS, "location": REGION}))
    before = len(cloud.log)
    with pytest.raises(NotOurs, match=WEIGHTS):
        act(up(cloud))
    assert writes(cloud, before) == []


def test_two_who_deploy_the_same_at_once_make_everything_once(cloud: Cloud) -> None:
    async def both() -> list[list[str] | BaseException]:
        return list(await asyncio.gather(up(cloud), up(cloud), return_exceptions=True))

    ends = act(both())
    assert [end for end in ends if isinstance(end, BaseException)] == []
    assert act(up(cloud)) == []
    made = [logged.method for logged in cloud.log if logged.status == 200]
    assert made.count("run.projects.locations.services.create") == 1
    assert len([kept for kept in cloud.store.everything() if "/versions/" in kept.name and kept.api == "secretmanager"]) <= 2  # fmt: skip


def test_of_two_who_change_it_at_once_the_second_is_told_and_nothing_is_lost(cloud: Cloud) -> None:
    act(up(cloud))
    mine, theirs = Wish(concurrency=8), Wish(concurrency=16)

    async def both() -> list[object]:
        async with google_for(cloud) as google:
            plans = [await make_plan(NAME, "cloudrun", deployment(google, wish)) for wish in (mine, theirs)]
            return await asyncio.gather(*(apply(one, Silent()) for one in plans), return_exceptions=True)

    ends = act(both())
    refused = [end for end in ends if isinstance(end, BaseException)]
    assert [type(one) for one in refused] == [Changed]
    assert "service/home" in str(refused[0])
    won = mine if ends.index(refused[0]) else theirs
    assert told(act(plan(cloud, won))) == []


@pytest.mark.parametrize("seconds", [0.5, 8.0, 20.0, 40.0, 70.0])
def test_a_stop_finishes_what_is_under_way_and_the_next_run_goes_on(seconds: float) -> None:
    cloud = Cloud()

    async def stopped() -> None:
        halt = Halt()
        asyncio.get_running_loop().call_later(seconds, halt.ask)
        await up(cloud, halt=halt)

    with pytest.raises(Interrupted, match="not begun"):
        act(stopped())
    assert not [kept for kept in cloud.store.everything() if "operations" in kept.collection and not kept.body.get("done", True)]  # fmt: skip
    act(up(cloud))
    assert told(act(plan(cloud))) == []


def test_nobody_sees_the_token(cloud: Cloud) -> None:
    heard = Heard()

    async def deployed() -> Plan:
        async with google_for(cloud) as google:
            made = await make_plan(NAME, "cloudrun", deployment(google, Wish(token="hf_1secret")))
            await apply(made, heard)
            return await make_plan(NAME, "cloudrun", deployment(google, Wish(token="hf_2secret")))

    changed = act(deployed())
    assert told(changed) == ["update secret-version/home-token"]
    everything = json.dumps(changed.as_json()) + repr(changed) + "\n".join(heard.lines)
    assert "secret-version" in everything
    assert "hf_1" not in everything
    assert "hf_2" not in everything


def test_down_leaves_nothing_of_ours_and_all_of_theirs(cloud: Cloud) -> None:
    enable(cloud, "secretmanager")
    url = f"secretmanager.googleapis.com/v1/projects/{PROJECT}/secrets?secretId=theirs"
    act(Raw(cloud).send("POST", url, {"replication": {"automatic": {}}}))
    before = names(cloud)
    act(up(cloud))
    assert names(cloud) > before

    async def down() -> tuple[str, ...]:
        async with google_for(cloud) as google:
            ours = [thing for thing in deployment(google) if thing.id != "apis"]
            ended = await destroy(ours, Silent())
            assert ended.errors == ()
            return ended.left

    assert act(down()) == ()
    assert names(cloud) == before


def names(cloud: Cloud) -> set[str]:
    return {thing.name for thing in things(cloud)}


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
