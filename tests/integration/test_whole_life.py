"""Whatever a file says: what `up` makes is what it says, and `down` leaves nothing of it and all of everybody else's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as some

from cloud import Raw, act, enable, things
from crypto_keys import make_key
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport.errors import GoogleError
from homeport.progress import Progress, Silent
from homeport.reconcile import apply, make_plan
from homeport.resources.google.traffic import Body, Receipt
from on_cloudrun import deployment
from ways import NAME, PROJECT, REGION, Carrying, Wanted, Way, wanted

KEY = f"projects/{PROJECT}/locations/{REGION}/keyRings/theirs/cryptoKeys/theirs"
NETWORKS = ("theirs", NAME)
"""One of them is called as the endpoint is."""

Table = dict[str, Any]  # Any: values of homeport.toml

ways = some.sampled_from(("ollama", "vllm"))
accesses = some.fixed_dictionaries(
    {
        "callers": some.sampled_from(
            ([], ["user:friend@example.com"], ["group:all@example.com", "domain:example.com"])
        )
    },
    optional={"encryption_key": some.just(KEY), "audience": some.just("https://models.example.com")},
)
openness = some.sampled_from(({}, {"isolated": True}, {"public": True, "anyone_may_spend_my_money": True}))
clouds = some.fixed_dictionaries(
    {},
    optional={
        "hub_token": some.just("env:HF_TOKEN"),
    },
)
least = some.sampled_from((0, 1))
networks = some.sampled_from((None, *NETWORKS))


@pytest.mark.long
@settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # An example takes half a second.
)  # fmt: skip
@given(way=ways, access=accesses, opened=openness, cloudrun=clouds, least=least, network=networks)
@example(way="vllm", access={"callers": []}, opened={"isolated": True}, cloudrun={}, least=0, network=NAME)
@example(
    way="ollama",
    access={"encryption_key": KEY},
    opened={},
    cloudrun={"hub_token": "env:HF_TOKEN"},
    least=1,
    network=None,
)
def test_what_up_makes_down_takes_away(
    tmp_path_factory: pytest.TempPathFactory,
    way: Way,
    access: Table,
    opened: Table,
    cloudrun: Table,
    least: int,
    network: str | None,
) -> None:
    if way == "vllm":
        cloudrun = {**cloudrun, "hub_token": "env:HF_TOKEN"}  # These weights are gated.
    if network:
        cloudrun = {**cloudrun, "network": network, "subnetwork": network}
    folder = tmp_path_factory.mktemp("weights")
    wish = wanted(way, folder, access={**access, **opened}, cloudrun=cloudrun, scaling={"min": least})
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    act(_live_in(cloud, network or "theirs"))
    if "encryption_key" in access:
        make_key(cloud, KEY)
    before, enabled = _all_of(cloud), dict(cloud.enabled)

    assert _up(cloud, wish) > 10
    assert _up(cloud, wish) == 0
    _down(cloud, wish, purge=False)
    left = set(_all_of(cloud)) - set(before)
    assert {name.partition("/")[0] for name in left if " has " not in name} <= {"storage", "secretmanager"}
    assert not any("serviceAccount:" in name for name in left), (
        "a bucket's own grants name no account of ours"
    )
    assert any("/o/" in name for name in left), "the weights, which are kept"
    assert _up(cloud, wish) > 5
    assert _up(cloud, wish) == 0
    _down(cloud, wish, purge=True)
    assert _all_of(cloud) == before
    assert enabled.items() <= cloud.enabled.items(), "no API is disabled"


class Heard(Silent):
    """What a user is told while it goes."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.notes: list[str] = []

    def finished(self, key: str, what: str) -> None:
        self.ended.append(what)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_subnetwork_whose_addresses_cloud_run_still_keeps_is_all_that_down_leaves_and_goes_later(
    tmp_path: Path,
) -> None:
    wish, hold = wanted("vllm", tmp_path), 5400.0
    cloud = Cloud(delays=replace(AT_ONCE, addresses=hold), steps=Carrying())
    act(_live_in(cloud, "theirs"))
    before = _all_of(cloud)
    _up(cloud, wish)
    for heard in (Heard(), Heard()):
        with pytest.raises(
            GoogleError, match=r"^the subnetwork home is still in use: Cloud Run gives"
        ) as told:
            _down(cloud, wish, purge=True, progress=heard)
        assert told.value.reason == "resourceInUseByAnotherResource"
        assert told.value.hint == "run the same command again after that: it goes on from here"
        assert "network/home is left: comes after subnetwork/home, which is still there" in heard.notes
        if "deleted service/home" in heard.ended:
            assert len(heard.ended) > 15
            cloud.clock.jump(hold - 600)
        else:
            assert heard.ended == [], "all else went at the first try"
        left = {name.partition("/projects/rehearsal/")[2] for name in set(_all_of(cloud)) - set(before)}
        assert {name for name in left if "/routes/" not in name and "/addresses/" not in name} == {
            "global/networks/home", f"regions/{REGION}/subnetworks/home"
        }  # fmt: skip
    cloud.clock.jump(600)
    assert _down(cloud, wish, purge=True) == ("subnetwork home", "network home")
    assert _all_of(cloud) == before


def test_a_subnetwork_that_somebody_else_uses_is_not_blamed_on_cloud_run(tmp_path: Path) -> None:
    wish, cloud = wanted("ollama", tmp_path), Cloud(delays=AT_ONCE, steps=Carrying())
    _up(cloud, wish)
    place = f"projects/{PROJECT}/regions/{REGION}"
    body = {"name": "theirs", "addressType": "INTERNAL", "subnetwork": f"{place}/subnetworks/home"}
    sent = act(Raw(cloud).send("POST", f"compute.googleapis.com/compute/v1/{place}/addresses", body))
    assert sent.status == 200, sent.body
    with pytest.raises(GoogleError, match=r"is already being used by '.*/addresses/theirs'"):
        _down(cloud, wish, purge=True)


def _up(cloud: Cloud, wish: Wanted) -> int:
    """How many things there were to do."""

    async def prove(service: Body, revision: str, url: str) -> Receipt:
        return Receipt(at=cloud.clock.text(), passed=True, counts={"passed": 20})

    async def work() -> int:
        async with google_for(cloud) as google:
            plan = await make_plan(NAME, "cloudrun", wish.target(google, prove).resources())
            await apply(plan, Silent())
            return len(plan.pending)

    return act(work())


def _down(cloud: Cloud, wish: Wanted, *, purge: bool, progress: Progress | None = None) -> tuple[str, ...]:
    async def work() -> tuple[str, ...]:
        async with google_for(cloud) as google:
            one = deployment(google, wish.spec)
            return (await one.down(purge=purge, progress=progress)).gone

    return act(work())


def _all_of(cloud: Cloud) -> dict[str, str]:
    """Everything there, grants included, with what it says."""
    grants = {f"{member} has {role} on {api}/{name}": "" for api, name, role, member in cloud.access.grants()}
    return {f"{kept.api}/{kept.name}": json.dumps(kept.body) for kept in things(cloud)} | grants


async def _live_in(cloud: Cloud, network: str) -> None:
    """A user has a network, a bucket, a service and grants of their own."""
    enable(cloud, "compute", "secretmanager", "run")
    base, compute = f"projects/{PROJECT}", f"compute.googleapis.com/compute/v1/projects/{PROJECT}"
    for verb, url, body in (
        ("POST", f"storage.googleapis.com/storage/v1/b?project={PROJECT}", {"name": "theirs"}),
        ("POST", f"secretmanager.googleapis.com/v1/{base}/secrets?secretId=theirs", {"replication": {"automatic": {}}}),
        ("POST", f"{compute}/global/networks", {"name": network, "autoCreateSubnetworks": False}),
        ("POST", f"{compute}/regions/{REGION}/subnetworks",
         {"name": network, "network": f"{base}/global/networks/{network}", "ipCidrRange": "10.9.0.0/24",
          "region": REGION, "privateIpGoogleAccess": True}),
        ("POST", f"run.googleapis.com/v2/{base}/locations/{REGION}/services?serviceId=theirs",
         {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}),
        ("POST", f"cloudresourcemanager.googleapis.com/v3/{base}:setIamPolicy",
         {"policy": {"bindings": [{"role": "roles/owner", "members": ["user:you@example.com"]},
                                  {"role": "roles/logging.logWriter", "members": ["user:friend@example.com"]}]}}),
    ):  # fmt: skip
        answer = await Raw(cloud).send(verb, url, body)
        assert answer.status == 200, answer.body
