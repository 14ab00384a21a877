"""Each defect of a deployment is found by the checks that are there for it, and by no other."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest

from cloud import act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport.endpoint import Endpoint
from homeport.engines.registry import module
from homeport.errors import HomeportError, NetworkError
from homeport.fit import cold_start as expected
from homeport.gateway.screens.base import FILTERS
from homeport.google import Binding, IamResource, policy
from homeport.resources.google.traffic import CLOSED
from homeport.secret import Secret
from homeport.targets.cloudrun.edge.backends_check import behind
from homeport.targets.cloudrun.logs import Line
from homeport.targets.cloudrun.verification import cold_start_check
from homeport.targets.cloudrun.verification.checks import (
    CLOUD_CHECKS,
    ExpectedDeployment,
    ObservedDeployment,
    ProbeToken,
    StoredBucket,
    verify_deployed,
)
from homeport.targets.cloudrun.verification.cold_start_check import (
    Asleep,
    Measured,
    NotMeasured,
    and_cold_start,
    cold_start,
    finding,
)
from homeport.targets.cloudrun.verification.observed_deployment import OtherEndpoint
from homeport.verify import Outcome, Report
from homeport.verify.report import Finding
from scripted_engine import KEY, MODEL, Engine

PARENT = "v2/projects/rehearsal/locations/us-central1/services"
WEIGHTS, ANNOTATION, PREFIX = "ab" * 32, "homeport.dev/weights", "models/org/name/commit"
DIGEST = "sha256:" + "cd" * 32
ADAPTER, ADAPTED = "adapters/org/tone/commit", f"tone={'ef' * 32}"
STRANGER, ELSEWHERE, OWN = Secret("stranger"), Secret("elsewhere"), Secret("own")
NAMES = {check.name for check in CLOUD_CHECKS} - {"behind"}
"""That of other endpoints has tests of its own."""


@cache
def live() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:  # Any: JSON
    """Service, revision and policy, as the rehearsal tells them of a deployment that is as planned."""
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "run")
    body = {
        "ingress": "INGRESS_TRAFFIC_ALL",
        "template": {
            "annotations": {ANNOTATION: WEIGHTS, "homeport/adapters": ADAPTED},
            "maxInstanceRequestConcurrency": 4,
            "scaling": {"maxInstanceCount": 1},
            "nodeSelector": {"accelerator": "nvidia-l4"},
            "gpuZonalRedundancyDisabled": True,
            "containers": [
                {
                    "name": "serving",
                    "image": f"us-docker.pkg.dev/org/repo/vllm@{DIGEST}",
                    "resources": {
                        "limits": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
                        "cpuIdle": False,
                    },
                },
                {
                    "name": "gateway",
                    "image": f"us-docker.pkg.dev/org/repo/gateway@{DIGEST}",
                    "ports": [{"containerPort": 8080}],
                },
            ],
        },
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100, "tag": "next"}],
    }

    async def work() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:  # Any: JSON
        google = google_for(cloud)
        made = await google.post("run", PARENT, body, serviceId="home", repeatable=True)
        await google.finish("run", made)
        thing = IamResource(api="run", path=f"{PARENT}/home")
        await policy.grant(
            google, thing, [Binding(role="roles/run.servicesInvoker", members=("user:a@example.com",))]
        )
        service = await google.get("run", f"{PARENT}/home")
        revision = await google.get("run", f"v2/{service['latestReadyRevision']}")
        return service, revision, dict(await policy.read(google, thing))

    service, revision, granted = act(work())
    # What needs a bucket and an image of one's own in the rehearsal.
    options = [f"only-dir={PREFIX}", "implicit-dirs=false"]
    revision["volumes"] = [
        {"name": "weights", "gcs": {"bucket": "w", "readOnly": True, "mountOptions": options}},
        {
            "name": "adapter-1",
            "gcs": {"bucket": "w", "readOnly": True, "mountOptions": [f"only-dir={ADAPTER}"]},
        },
    ]
    revision["containerStatuses"] = [
        {"name": "serving", "imageDigest": f"us-docker.pkg.dev/org/repo/vllm@{DIGEST}"}
    ]
    return service, revision, granted


@dataclass
class Front:
    """A front that refuses as Cloud Run's does, except for what a test opens."""

    opened: Callable[[str, str, Secret | None], bool] = lambda url, path, token: False
    asked: list[tuple[str, str]] = field(default_factory=list)
    gone: bool = False
    screened: Callable[[str], tuple[int, str]] = lambda text: (400, "match")
    texts: list[str] = field(default_factory=list)

    async def status(self, url: str, path: str, *, token: Secret | None) -> int:
        self.asked.append((url, path))
        if self.gone:
            raise NetworkError(f"nothing answers at {url}")
        if self.opened(url, path, token):
            return 200
        if token == OWN and "metrics" in path:
            return 404
        return 401 if token is not None and token.reveal() == "elsewhere" else 403

    async def without_token(self, url: str, path: str) -> tuple[int, bool]:
        return await self.status(url, path, token=None), False

    def with_headers(self, headers: Mapping[str, str]) -> Front:
        return self

    async def models(self, url: str, path: str, *, token: Secret | None) -> tuple[int, tuple[str, ...]]:
        return await self.status(url, path, token=token), ()

    async def refusal(
        self, url: str, path: str, body: Any, *, token: Secret | None
    ) -> tuple[int, str]:  # Any: JSON
        self.texts.append(str(body))
        if self.gone:
            raise NetworkError(f"nothing answers at {url}")
        return self.screened(str(body)) if token == OWN or token is None else (403, "")


def deployed(front: Front | None = None, **changes: Any) -> ObservedDeployment:
    service, revision, granted = deepcopy(live())
    made = ObservedDeployment(
        service=service,
        revision=revision,
        policy=granted,
        planned=ExpectedDeployment(
            image_digest=DIGEST,
            gpu="nvidia-l4",
            concurrency=4,
            max_instances=1,
            weights_digest=WEIGHTS,
            weights_annotation=ANNOTATION,
            callers=frozenset(("user:A@example.com",)),
            bucket="w",
            prefixes=frozenset((PREFIX, ADAPTER)),
            adapters=ADAPTED,
            adapters_annotation="homeport/adapters",
            observed=True,
            screened=frozenset(FILTERS),
            model=MODEL,
        ),
        sender=front or Front(),
        bucket=StoredBucket(digest=WEIGHTS),
        stranger=ProbeToken(token=STRANGER),
        elsewhere=ProbeToken(token=ELSEWHERE),
        own=ProbeToken(token=OWN),
    )
    return replace(made, **changes)


def outcomes(one: ObservedDeployment, outcome: Outcome) -> dict[str, str]:
    results = asyncio.run(verify_deployed(one))
    assert {result.name for result in results} == NAMES | {"behind"}
    results = tuple(result for result in results if result.name in NAMES)
    return {result.name: result.detail for result in results if result.outcome is outcome}


def test_a_deployment_as_planned_passes_everything() -> None:
    assert outcomes(deployed(), Outcome.PASSED).keys() == NAMES


def test_who_may_not_see_whom_identity_aware_proxy_lets_in_is_told_that_this_was_not_checked() -> None:
    seen = deployed(entrants_unread="you lack it - gcloud grants it")
    skipped = outcomes(seen, Outcome.SKIPPED)
    assert skipped["private"] == "not checked: you lack it - gcloud grants it"
    opened = replace(seen, service={**seen.service, "invokerIamDisabled": True})
    assert "private" in outcomes(opened, Outcome.FAILED), "what was seen to be open is told all the same"


def test_without_a_token_every_known_path_of_every_engine_is_asked() -> None:
    front = Front()
    one = deployed(front)
    asyncio.run(verify_deployed(one, only=("no-token",)))
    paths = {path for url, path in front.asked if url == one.service["uri"]}
    assert {"/", "/v1/chat/completions", "/api/tags", "/metrics", "/shutdown_weight_transfer_engine"} <= paths


Change = Callable[[ObservedDeployment], object]
MAIN = live()[0]["uri"]
DEFECTS: dict[str, tuple[Change, str, str]] = {
    "ingress": (lambda d: change(d.service, ingress="INGRESS_TRAFFIC_INTERNAL_ONLY"), "around", "ingress is INGRESS_TRAFFIC_INTERNAL_ONLY"),
    "second port": (lambda d: d.revision["containers"].append({"name": "side", "ports": [{"containerPort": 9}]}), "around", "several containers"),
    "no gateway": (lambda d: moved_port(d.revision["containers"]), "guard", "requests go to serving, not to the gateway"),
    "allUsers": (lambda d: d.policy["bindings"].append({"role": "roles/run.invoker", "members": ["allUsers"]}), "private", "allUsers may call it, by roles/run.invoker"),
    "any account": (lambda d: d.policy["bindings"][0]["members"].append("allAuthenticatedUsers"), "private", "allAuthenticatedUsers"),
    "somebody else": (lambda d: d.policy["bindings"].append({"role": "roles/run.invoker", "members": ["user:b@example.com"]}), "private", "user:b@example.com may call it, though"),
    "no check of callers": (lambda d: change(d.service, invokerIamDisabled=True), "private", "invokerIamDisabled"),
    "written mount": (lambda d: change(d.revision["volumes"][0]["gcs"], readOnly=False), "mount", "can be written"),
    "option rw": (lambda d: d.revision["volumes"][0]["gcs"]["mountOptions"].append("rw"), "mount", "an option"),
    "whole bucket": (lambda d: d.revision["volumes"][0]["gcs"]["mountOptions"].pop(0), "mount", "the whole bucket"),
    "another folder": (lambda d: d.revision["volumes"][0]["gcs"]["mountOptions"].__setitem__(0, "only-dir=models/other"), "mount", "models/other"),
    "another bucket": (lambda d: change(d.revision["volumes"][0]["gcs"], bucket="theirs"), "mount", "gs://theirs"),
    "no mount": (lambda d: d.revision["volumes"].clear(), "mount", "no bucket is mounted"),
    "another image": (lambda d: change(d.revision["containerStatuses"][0], imageDigest="x@sha256:" + "0" * 64), "image", "sha256:000000000000"),
    "other weights": (lambda d: change(d.revision["annotations"], **{ANNOTATION: "0" * 64}), "weights", "made for 000000000000"),
    "no adapter": (lambda d: d.revision["volumes"].pop(), "mount", f"not mounted: {ADAPTER}"),
    "other adapters": (lambda d: change(d.revision["annotations"], **{"homeport/adapters": "tone=0"}), "weights", "made for tone=0, not for tone="),
    "unnamed weights": (lambda d: d.revision["annotations"].pop(ANNOTATION), "weights", "no weights that it names"),
    "another GPU": (lambda d: change(d.revision["nodeSelector"], accelerator="nvidia-rtx-pro-6000"), "size", "GPU is nvidia-rtx-pro-6000"),
    "no GPU": (lambda d: d.revision["containers"][0]["resources"]["limits"].pop("nvidia.com/gpu"), "size", "GPUs is 0"),
    "concurrency": (lambda d: change(d.revision, maxInstanceRequestConcurrency=80), "size", "concurrency is 80, not 4"),
    "instances": (lambda d: change(d.revision, scaling={"maxInstanceCount": 100}), "size", "max_instances is 100, not 1"),
    "redundancy": (lambda d: change(d.revision, gpuZonalRedundancyDisabled=False), "size", "zonal_redundancy is True"),
}  # fmt: skip


def change(
    thing: Any, **values: Any
) -> None:  # Any: a dict of JSON, which a Deployed only shows as a Mapping
    thing.update(values)


def moved_port(containers: list[Any]) -> None:  # Any: JSON
    """As somebody could by hand, so that requests go to the engine."""
    containers[0]["ports"] = containers[1].pop("ports")


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_the_deployment_is_found_by_its_check_alone(defect: str) -> None:
    inject, check, says = DEFECTS[defect]
    one = deployed()
    inject(one)
    found = outcomes(one, Outcome.FAILED)
    assert found.keys() == {check}, found
    assert says in found[check]


OPENED: dict[str, tuple[Callable[[str, str, Secret | None], bool], str]] = {
    "one path": (lambda url, path, token: url == MAIN and path == "/api/tags" and token is None, "no-token"),
    "a tag": (lambda url, path, token: "next---" in url and token is None, "around"),
    "the other address": (
        lambda url, path, token: url.endswith(".us-central1.run.app") and token is None,
        "around",
    ),
    "to strangers": (lambda url, path, token: token == STRANGER, "stranger"),
    "to what the engine counts": (lambda url, path, token: token == OWN and path == "/metrics/", "metrics"),
    "to any audience": (lambda url, path, token: token == ELSEWHERE, "audience"),
}


@pytest.mark.parametrize("way", OPENED)
def test_a_door_that_is_open_is_found_by_its_check_alone(way: str) -> None:
    opened, check = OPENED[way]
    found = outcomes(deployed(Front(opened=opened)), Outcome.FAILED)
    assert found.keys() == {check}, found
    assert "gets 200" in found[check]


@pytest.mark.parametrize(
    "answer", [(503, "unavailable"), (503, "denied"), (503, "skipped"), (400, "unreadable")], ids=str
)
def test_a_screen_that_does_not_screen_gets_no_traffic(answer: tuple[int, str]) -> None:
    front = Front(screened=lambda text: answer if "bomb" in text else (400, "match"))
    found = outcomes(deployed(front), Outcome.FAILED)
    assert found == {"guard": f"not stopped by the screen: harm: {answer[0]} {answer[1]}"}
    assert len(front.texts) == len(FILTERS)


@pytest.mark.parametrize("status", [200, 404])
def test_a_screen_that_stops_nothing_gets_no_traffic_and_one_that_misses_a_text_is_told(status: int) -> None:
    none = outcomes(deployed(Front(screened=lambda text: (status, ""))), Outcome.FAILED)
    assert none.keys() == {"guard"}
    assert f"urls: {status}" in none["guard"]
    front = Front(screened=lambda text: (200, ""))
    behind = deployed(front)
    change(behind.service, ingress=CLOSED)
    behind = replace(behind, planned=replace(behind.planned, ingress=CLOSED))
    assert "guard" in outcomes(behind, Outcome.FAILED), "behind a load balancer, too"
    assert all(f"'model': '{MODEL}'" in text for text in front.texts), "another name would get 404"
    missing = Front(screened=lambda text: (status, "") if "bomb" in text else (400, "match"))
    told = outcomes(deployed(missing), Outcome.SKIPPED)
    assert told == {
        "guard": "injection, secrets, urls: stopped; not shown of harm, whose text was let through"
    }


def test_a_screen_that_cannot_be_asked_or_is_not_wanted_is_skipped() -> None:
    assert "guard" in outcomes(deployed(own=ProbeToken(why_none="none")), Outcome.SKIPPED)
    closed = deployed(Front(screened=lambda text: (403, "")))
    assert "let in nowhere" in outcomes(closed, Outcome.SKIPPED)["guard"]
    one = deployed()
    none = replace(one, planned=replace(one.planned, screened=frozenset()))
    assert "no [guard]" in outcomes(none, Outcome.SKIPPED)["guard"]
    front = Front(screened=lambda text: (400, "match"))
    newer = deployed(front)
    newer = replace(newer, planned=replace(newer.planned, screened=frozenset({"of-next-year"})))
    told = outcomes(newer, Outcome.SKIPPED)["guard"]
    assert (told, front.texts) == ("not checked: there is no text to try of-next-year with", [])


def test_a_mount_where_none_was_planned_is_found() -> None:
    none = replace(deployed().planned, prefixes=frozenset())
    assert "not nothing" in outcomes(deployed(planned=none), Outcome.FAILED)["mount"]


def test_the_bucket_of_startup_caches_is_mounted_whole_and_read_only_where_it_was_planned() -> None:
    def mounted(bucket: str, *, read_only: bool, planned: str) -> dict[str, str]:
        one = deployed(planned=replace(deployed().planned, caches=planned))
        one.revision["volumes"].append({"name": "c", "gcs": {"bucket": bucket, "readOnly": read_only}})
        return outcomes(one, Outcome.FAILED)

    assert mounted("caches", read_only=True, planned="caches") == {}
    assert "can be written" in mounted("caches", read_only=False, planned="caches")["mount"]
    assert "the whole bucket" in mounted("caches", read_only=True, planned="")["mount"]
    assert "the whole bucket" in mounted("w", read_only=True, planned="caches")["mount"]


def test_weights_that_are_gone_or_changed_in_the_bucket_are_found() -> None:
    assert outcomes(deployed(bucket=StoredBucket()), Outcome.FAILED).keys() == {"weights"}
    assert outcomes(deployed(bucket=StoredBucket(digest="ef" * 32)), Outcome.FAILED).keys() == {"weights"}


def test_what_cannot_be_looked_at_is_skipped_with_its_reason() -> None:
    one = deployed(
        stranger=ProbeToken(why_none="no service account without grants was given"),
        elsewhere=ProbeToken(),
        bucket=StoredBucket(unread="403"),
    )
    one.revision["containerStatuses"].clear()
    found = outcomes(one, Outcome.SKIPPED)
    assert found.keys() == {"stranger", "audience", "weights", "image"}
    assert "no service account without grants was given" in found["stranger"]


def test_a_strangers_token_that_is_not_taken_proves_nothing() -> None:
    one = deployed(stranger=ProbeToken(token=ELSEWHERE))
    assert "401" in outcomes(one, Outcome.SKIPPED)["stranger"]


def test_a_public_service_is_not_said_to_be_closed() -> None:
    front = Front(opened=lambda url, path, token: True)
    one = deployed(front)
    one = replace(one, planned=replace(one.planned, public=True, observed=False))
    skips = {"no-token", "stranger", "audience", "around", "metrics", "private"}
    assert outcomes(one, Outcome.SKIPPED).keys() == skips
    assert outcomes(one, Outcome.FAILED) == {}
    assert front.asked == []


def test_what_the_engine_counts_is_hidden_from_everybody_where_the_service_is_public() -> None:
    one = deployed(Front(opened=lambda url, path, token: True))
    one = replace(one, planned=replace(one.planned, public=True))
    assert outcomes(one, Outcome.FAILED).keys() == {"metrics"}


def test_an_internal_service_may_say_that_there_is_nothing() -> None:
    class Internal(Front):
        async def status(self, url: str, path: str, *, token: Secret | None) -> int:
            return 404

        async def refusal(
            self, url: str, path: str, body: Any, *, token: Secret | None
        ) -> tuple[int, str]:  # Any: JSON
            return 404, ""

    internal = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    one = deployed(Internal())
    assert {"no-token", "stranger", "audience", "around", "guard"} == outcomes(one, Outcome.FAILED).keys()
    change(one.service, ingress=internal)
    one = replace(one, planned=replace(one.planned, ingress=internal))
    assert outcomes(one, Outcome.FAILED) == {}
    unlooked = outcomes(one, Outcome.SKIPPED)
    assert unlooked.keys() == {"stranger", "audience", "metrics", "guard"}, (
        "404 for everybody says nothing of their tokens"
    )
    assert "within the network" in unlooked["stranger"]


EDGE = "https://llm.example.com"


def closed(front: Front, own: ProbeToken, **planned: Any) -> ObservedDeployment:
    """A service that takes requests from its load balancer alone."""
    one = deployed(front, own=own, url=EDGE)
    change(one.service, ingress=CLOSED, annotations={"homeport/edge": EDGE})
    return replace(one, planned=replace(one.planned, ingress=CLOSED, **planned))


def test_behind_a_load_balancer_the_callers_own_token_is_tried_and_without_one_no_pass_is_told() -> None:
    own = ProbeToken(token=OWN)
    assert outcomes(closed(Front(), own), Outcome.PASSED).keys() == NAMES
    leak = Front(opened=lambda url, path, token: url == MAIN and token == OWN)
    assert outcomes(closed(leak, own), Outcome.FAILED).keys() == {"around"}
    without = outcomes(closed(leak, ProbeToken(why_none="nobody is logged in")), Outcome.SKIPPED)
    assert without.keys() == {"around", "metrics", "guard"}
    assert without["around"].endswith("nobody is logged in")
    wide = Front(opened=lambda url, path, token: url == MAIN)
    assert outcomes(closed(wide, ProbeToken()), Outcome.FAILED).keys() == {"around"}
    assert outcomes(closed(wide, ProbeToken(), public=True), Outcome.FAILED).keys() == {"around"}


def test_of_a_service_without_addresses_or_containers_nothing_is_said_to_hold() -> None:
    none = deployed(url="https://asked.example.com")
    for key in ("uri", "urls", "trafficStatuses"):
        none.service.pop(key, None)  # type: ignore[attr-defined]
    assert "no address" in outcomes(none, Outcome.SKIPPED)["around"]
    bare = deployed()
    change(bare.revision, containers=[])
    assert "which containers" in outcomes(bare, Outcome.SKIPPED)["around"]


def test_a_service_that_does_not_answer_has_failed() -> None:
    found = outcomes(deployed(Front(gone=True)), Outcome.FAILED)
    assert found.keys() == {"no-token", "stranger", "audience", "around", "metrics", "guard"}


BUDGET = expected.expected(engine="vllm", delivery="stream", weights_bytes=10**9)


def measured(engine: Engine, *, starts: bool, **how: Any) -> Measured | NotMeasured:
    endpoint = Endpoint(name="home", base_url=f"{engine.url}/v1", model=MODEL, api_key=Secret(KEY))
    told = [frozenset({"an earlier one"})]

    async def logged() -> frozenset[str]:
        seen = told[-1]
        if starts:
            told.append(seen | {f"start {len(told)}"})
        return seen

    return asyncio.run(cold_start(Asleep(endpoint=endpoint, starts=logged, budget=BUDGET, idle=0.0, **how)))


def test_a_cold_start_is_measured_where_an_instance_started_for_it() -> None:
    with Engine(None) as engine:
        came = measured(engine, starts=True)
    assert isinstance(came, Measured)
    assert 0 < came.seconds < BUDGET.high
    assert finding(came).outcome is Outcome.PASSED
    late = finding(replace(came, seconds=BUDGET.high + 1))
    assert late.outcome is Outcome.FAILED
    assert f"most of it for {max(BUDGET.terms, key=lambda term: term.high).name} (" in late.detail


def test_what_the_log_tells_of_the_start_stands_beside_what_was_expected_of_it() -> None:
    lines = [("2026-11-28T08:00:00Z", "init engine (profile, create kv cache, warmup model) took 900.00 s")]

    async def log(after: str) -> list[Line]:
        new = [
            ("2026-11-28T08:10:00Z", "INFO [default_loader.py:501] Loading weights took 0.02 seconds"),
            (
                "2026-11-28T08:11:00Z",
                "init engine (profile, create kv cache, warmup model) took 0.05 s (compilation: 0.03 s)",
            ),
        ]
        return [Line(at=at, text=text, key=("", at, "")) for at, text in (new if after else lines)]

    with Engine(None) as engine:
        came = measured(engine, starts=True, log=log, parts=module("vllm").start_times)
    assert isinstance(came, Measured)
    assert came.told == pytest.approx({"fetch": 0.02, "compile": 0.03, "warm-up": 0.02})
    assert came.rest == pytest.approx(max(came.seconds - 0.07, 0.0))
    said = finding(came)
    assert (
        "by its log fetch 0.0 s (expected 1 s), compile 0.0 s (expected 50 s), warm-up 0.0 s (expected 45 s)"
        in said.detail
    )
    assert said.evidence["told_s"] == {"fetch": 0.02, "compile": 0.03, "warm-up": 0.02}


def test_a_warm_answer_is_no_cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start_check, "_LOGGED_WITHIN_S", 0.0)
    with Engine(None) as engine:
        came = measured(engine, starts=False)
    assert isinstance(came, NotMeasured)
    assert "no instance that started" in came.why
    assert finding(came).outcome is Outcome.SKIPPED


def test_where_another_check_failed_nothing_is_waited_for() -> None:
    results = asyncio.run(verify_deployed(deployed(Front(gone=True)), only=("no-token",)))
    report = Report(
        endpoint="home", model=MODEL, engine="vllm", weights_digest="", started_at="", seconds=1.0, results=results
    )  # fmt: skip
    endpoint = Endpoint(name="home", base_url="http://127.0.0.1:9/v1", model=MODEL)

    async def logged() -> frozenset[str]:
        raise AssertionError

    whole = asyncio.run(and_cold_start(report, Asleep(endpoint=endpoint, starts=logged, budget=BUDGET)))
    assert [(one.name, one.outcome) for one in whole.results] == [
        ("no-token", Outcome.FAILED), ("cold", Outcome.SKIPPED),
    ]  # fmt: skip


def test_instances_that_always_run_have_no_cold_start() -> None:
    with Engine(None) as engine:
        assert isinstance(measured(engine, starts=True, min_instances=1), NotMeasured)


@pytest.mark.parametrize("readable", range(3))
def test_a_log_that_may_not_be_read_is_no_failed_start(readable: int) -> None:
    """It is read before the wait, before the question and after the answer, and refuses after `readable` times."""
    told: list[str] = []

    async def logged() -> frozenset[str]:
        if len(told) == readable:
            raise HomeportError("no logging.logEntries.list")
        told.append("")
        return frozenset()

    with Engine(None) as engine:
        endpoint = Endpoint(name="home", base_url=f"{engine.url}/v1", model=MODEL, api_key=Secret(KEY))
        came = asyncio.run(
            cold_start(
                Asleep(endpoint=endpoint, starts=logged, budget=BUDGET, idle=0.0 if readable else math.inf)
            )
        )
    assert isinstance(came, NotMeasured)
    assert "cannot be read: no logging.logEntries.list" in came.why
    assert ("; the first token came after " in came.why) is (readable == 2)
    assert finding(came).outcome is Outcome.SKIPPED


def test_an_endpoint_that_is_gone_is_not_measured() -> None:
    with Engine(None) as engine:
        pass
    came = measured(engine, starts=True)
    assert isinstance(came, NotMeasured)
    assert "no token came" in came.why
    assert finding(came).outcome is Outcome.FAILED


OTHER = OtherEndpoint(way="/ollama", path="/ollama", name="other", model="first")


@pytest.mark.parametrize(
    ("status", "models", "bare", "outcome", "says"),
    [
        (200, ("first",), 403, Outcome.PASSED, "/ollama is other"),
        (200, ("second",), 403, Outcome.FAILED, "leads to second, not to first of other"),
        (200, ("first",), 200, Outcome.FAILED, "answered with 200 without a token"),
        (401, (), 401, Outcome.FAILED, "does not take tokens"),
        (401, (), 302, Outcome.FAILED, "answered with 302 without a token"),
        (404, (), 403, Outcome.FAILED, "is answered with 404"),
        (403, (), 403, Outcome.SKIPPED, "may not call what is behind /ollama"),
    ],
)  # fmt: skip
def test_verify_asks_each_path_with_and_without_a_token(
    status: int, models: tuple[str, ...], bare: int, outcome: Outcome, says: str
) -> None:
    found = asked_behind(OTHER, status, models, bare)
    assert (found.outcome, says in found.detail) == (outcome, True), found.detail
    assert act(behind(deployed(Front()))).outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    ("models", "bare", "outcome", "says"),
    [
        (("whatever",), 403, Outcome.SKIPPED, "which model should answer at /ollama: no permission"),
        (("whatever",), 200, Outcome.FAILED, "answered with 200 without a token"),
    ],
)
def test_no_path_passes_where_nobody_knows_which_model_should_answer(
    models: tuple[str, ...], bare: int, outcome: Outcome, says: str
) -> None:
    found = asked_behind(replace(OTHER, model="", why_no_model="no permission"), 200, models, bare)
    assert (found.outcome, says in found.detail) == (outcome, True), found.detail


SHARE = replace(OTHER, way="10% of the requests", path="", headers={"x-number": "7"}, is_share=True)


@pytest.mark.parametrize(
    ("names", "outcome", "says"),
    [
        (("first", "adapter"), Outcome.PASSED, "10% of the requests is other"),
        (
            ("first",),
            Outcome.FAILED,
            "other answers 10% of the requests and does not serve adapter, but first",
        ),
        (("second", "adapter"), Outcome.FAILED, "and does not serve first, but second, adapter"),
    ],
)
def test_what_shares_the_traffic_is_asked_by_its_number_and_must_serve_every_name(
    names: tuple[str, ...], outcome: Outcome, says: str
) -> None:
    said = list[Mapping[str, str]]()

    class Shared(Front):
        def with_headers(self, headers: Mapping[str, str]) -> Front:
            said.append(headers)
            return Numbered()

        async def models(self, url: str, path: str, *, token: Secret | None) -> tuple[int, tuple[str, ...]]:
            return 200, ("first", "adapter")

    class Numbered(Front):
        async def models(self, url: str, path: str, *, token: Secret | None) -> tuple[int, tuple[str, ...]]:
            return 200, names

    one = deployed(Shared())
    planned = replace(one.planned, behind=(SHARE,), model="first")
    found = act(behind(replace(one, planned=planned)))
    assert (found.outcome, says in found.detail) == (outcome, True), found.detail
    assert said == [{"x-number": "7"}], "its number alone leads there for certain"


def test_what_plan_refuses_fails_and_what_could_not_be_told_is_not_passed() -> None:
    for other, outcome in (
        (replace(OTHER, misfit="it is not screened"), Outcome.FAILED),
        (replace(OTHER, untold="it is not screened"), Outcome.SKIPPED),
    ):
        found = asked_behind(other, 200, ("first",), 403)
        assert (found.outcome, "it is not screened" in found.detail) == (outcome, True), found.detail


def test_two_that_share_alike_are_each_in_the_evidence() -> None:
    class Shared(Front):
        def with_headers(self, headers: Mapping[str, str]) -> Front:
            return self

        async def models(self, url: str, path: str, *, token: Secret | None) -> tuple[int, tuple[str, ...]]:
            return 403, ()

        async def status(self, url: str, path: str, *, token: Secret | None) -> int:
            return 403

    one = deployed(Shared())
    planned = replace(one.planned, behind=(SHARE, replace(SHARE, name="detail")))
    found = act(behind(replace(one, planned=planned)))
    assert list(found.evidence) == ["other", "detail"]
    assert "what is behind other, detail" in found.detail


def asked_behind(other: OtherEndpoint, status: int, models: tuple[str, ...], bare: int) -> Finding:
    """What verify finds of one path that is answered so with a token, and with `bare` without one."""

    class Balanced(Front):
        async def models(self, url: str, path: str, *, token: Secret | None) -> tuple[int, tuple[str, ...]]:
            assert (path, token) == ("/ollama/v1/models", OWN)
            return status, models

        async def status(self, url: str, path: str, *, token: Secret | None) -> int:
            assert (path, token) == ("/ollama/v1/models", None)
            return bare

    one = deployed(Balanced())
    return act(behind(replace(one, planned=replace(one.planned, behind=(other,)))))
