"""Other endpoints behind an edge's address: found by their label, led to by paths, asked for, and left alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployment import google_for
from edges import DOMAIN, WithEdge
from gcp_rehearsal.apis.compute.url_maps import way_of
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.faults import parse
from homeport import spec
from homeport.errors import HomeportError, NoCredentials, SpecError, VerificationFailed
from homeport.export.graph import Things
from homeport.google import Google
from homeport.google.credentials import Credentials, FixedToken
from homeport.google.identity import Token
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.resources.google.traffic import behind_of, shares, targets
from homeport.secret import Secret
from homeport.targets.cloudrun.edge.backends import (
    FrontEndpoint,
    NamedBackend,
    find_backends,
    findings,
    misfit_of,
)
from homeport.targets.cloudrun.endpoints import describe
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.target import CloudRunTarget

ADDRESS = f"https://{DOMAIN}"
PATHS = {"/ollama": "other"}
FRONT = FrontEndpoint(guarded=False, model="demo", public=False)
OTHER = "v2/projects/rehearsal/locations/europe-west4/services/other"


@pytest.fixture
def deployer(tmp_path: Path) -> WithEdge:
    return WithEdge("ollama", tmp_path)


def other(
    deployer: WithEdge, name: str = "other", **access: Any
) -> spec.Spec:  # Any: values of homeport.toml
    """The file of another endpoint, which takes tokens that are made for the edge's address."""
    wanted = deployer.wanted()
    return spec.parse({**wanted.model_dump(), "name": name, "access": {"audience": ADDRESS, **access}})


def bodies(deployer: WithEdge, kind: str) -> dict[str, Any]:  # Any: JSON
    """What there is of a kind of Compute Engine, by name."""
    return {
        kept.name.rpartition("/")[2]: kept.body
        for kept in things(deployer.cloud)
        if kept.api == "compute" and f"/{kind}/" in kept.name
    }


@pytest.mark.parametrize("how", [{"path": "/small"}, {"header": ("x-tier", "large")}, {"percent": 10}])
def test_nothing_is_led_to_an_endpoint_behind_identity_aware_proxy(
    how: dict[str, Any],
) -> None:  # Any: fields
    service = {"name": OTHER.removeprefix("v2/"), "customAudiences": [ADDRESS], "iapEnabled": True}
    backend = NamedBackend(endpoint="other", service=service, model="demo", screened=False, **how)
    (found,) = findings((backend,), ADDRESS, FRONT)
    misfit = misfit_of(backend, FRONT)
    assert (found.verdict.value, misfit is not None) == ("problem", True)
    assert "stands behind Identity-Aware Proxy" in found.text
    assert misfit_of(backend, replace(FRONT, behind_iap=True)) is None, "all behind one address are, or none"
    assert (
        next(findings((backend,), "https://other.example.com", replace(FRONT, behind_iap=True))).verdict.value
        == "ok"
    )
    open_one = replace(backend, service={**service, "iapEnabled": False})
    (bare,) = findings((open_one,), ADDRESS, replace(FRONT, behind_iap=True))
    assert (bare.verdict.value, "does not stand behind Identity-Aware Proxy" in bare.text) == (
        "problem",
        True,
    )
    assert (misfit_of(open_one, FRONT), next(findings((open_one,), ADDRESS, FRONT)).verdict.value) == (
        None,
        "ok",
    )


def test_a_path_leads_to_another_endpoint_without_its_first_part(deployer: WithEdge) -> None:
    deployer.deployed(other(deployer))
    plan, after = deployer.up(deployer.behind(backends=PATHS, requests_per_minute=60))
    assert after.pending == (), after.pending
    assert "backend-service/home-edge-to-other" in [one.resource.id for one in plan.pending]
    assert bodies(deployer, "networkEndpointGroups")["home-edge-to-other"]["cloudRun"] == {"service": "other"}
    backends = bodies(deployer, "backendServices")
    assert backends["home-edge-to-other"]["securityPolicy"].endswith("/home-edge"), (
        "the limit holds there, too"
    )
    routes = bodies(deployer, "urlMaps")["home-edge"]
    to_other, home = (backends[name]["selfLink"] for name in ("home-edge-to-other", "home-edge"))
    number = backends["home-edge-candidate"]["id"]
    for path, headers, service, arrives in (
        ("/ollama/v1/models?a=b", {}, to_other, "/v1/models?a=b"),
        ("/ollama/v1/models", {CANDIDATE_HEADER: number}, to_other, "/v1/models"),
        ("/v1/models", {}, home, "/v1/models"),
        ("/ollama", {}, home, "/ollama"),
        ("/ollamas/v1/models", {}, home, "/ollamas/v1/models"),
    ):
        way = way_of(routes, DOMAIN, path, headers)
        assert (way.service, way.path) == (service, arrives), path
    (test,) = [one for one in routes["tests"] if "expectedOutputUrl" in one]
    assert test["expectedOutputUrl"] == f"{ADDRESS}/v1/chat/completions"
    assert behind_of(deployer.service) == PATHS
    assert act(describe(google_for(deployer.cloud), "home", "europe-west4")).behind == {
        "/ollama": f"{ADDRESS}/ollama/v1, which is other"
    }


def test_what_comes_to_an_edge_that_stands_is_asked_for_and_what_leaves_it_is_taken_away(
    deployer: WithEdge,
) -> None:
    deployer.deployed(other(deployer))
    deployer.deployed(deployer.behind())
    asked = len(deployer.asked_while)
    plan, after = deployer.up(deployer.behind(backends=PATHS))
    assert after.pending == ()
    assert plan.pending[-1].resource.id == "closed-door/home"
    assert len(deployer.asked_while) == asked + 1, "it waits until the new path answers"
    plan, after = deployer.up(deployer.behind(backends={"/b": "other"}))
    assert {one.resource.id for one in plan.pending} == {"url-map/home-edge", "closed-door/home"}
    assert after.pending == ()
    plan, after = deployer.up(deployer.behind())
    gone = [one.resource.id for one in plan.pending if one.kind.value == "delete"]
    assert gone == ["backend-service/home-edge-to-other", "endpoint-group/home-edge-to-other"]
    assert after.pending == ()
    assert behind_of(deployer.service) == {}
    assert "homeport/behind" not in deployer.service["annotations"]


def test_down_takes_the_way_to_it_and_leaves_the_other_endpoint(deployer: WithEdge) -> None:
    deployer.deployed(other(deployer))
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.behind(backends=PATHS))
    deployer.down(deployer.behind(backends=PATHS), purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    refused = [one for one in deployer.cloud.log if one.method.endswith(".delete") and one.status >= 400]
    assert [one for one in refused if one.status != 404] == []


def test_without_an_edge_the_mark_of_what_stood_behind_it_goes(deployer: WithEdge) -> None:
    deployer.deployed(other(deployer))
    deployer.deployed(deployer.behind(backends=PATHS))
    _, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    assert "homeport/behind" not in deployer.service.get("annotations", {})


def test_a_header_leads_to_another_endpoint_and_the_path_stays(deployer: WithEdge) -> None:
    deployer.up(other(deployer))
    headed = {"X-Engine: vllm": "other"}
    _, after = deployer.up(deployer.behind(backends=headed))
    assert after.pending == (), after.pending
    routes, backends = bodies(deployer, "urlMaps")["home-edge"], bodies(deployer, "backendServices")
    to_other, home, new = (backends[f"home-edge{end}"]["selfLink"] for end in ("-to-other", "", "-candidate"))
    number = {CANDIDATE_HEADER: backends["home-edge-candidate"]["id"]}
    for headers, service in (
        ({"x-engine": "vllm"}, to_other),
        ({"x-engine": "vllm"} | number, to_other),
        (number, new),
        ({"x-engine": "VLLM"}, home),
        ({}, home),
    ):
        way = way_of(routes, DOMAIN, "/v1/models", headers)
        assert (way.service, way.path) == (service, "/v1/models"), headers
    (test,) = [one for one in routes["tests"] if one["description"] == "x-engine: vllm to other"]
    assert test["headers"] == [{"name": "x-engine", "value": "vllm"}], (
        "Google tries the rule before it takes the map"
    )
    assert behind_of(deployer.service) == headed
    assert act(describe(google_for(deployer.cloud), "home", "europe-west4")).behind == {
        "X-Engine: vllm": f"{ADDRESS}/v1 with the header X-Engine: vllm, which is other"
    }


def test_endpoints_that_share_the_traffic_are_drawn_and_each_has_a_number_for_the_proof(
    deployer: WithEdge,
) -> None:
    deployer.up(other(deployer))
    deployer.up(deployer.behind())
    _, after = deployer.up(deployer.behind(shares={"other": 10}))
    assert after.pending == (), after.pending
    routes, backends = bodies(deployer, "urlMaps")["home-edge"], bodies(deployer, "backendServices")
    to_other, home = (backends[name]["selfLink"] for name in ("home-edge-to-other", "home-edge"))
    drawn = [way_of(routes, DOMAIN, "/v1/models", {}, drawn=draw).service for draw in (0.0, 0.89, 0.91)]
    assert drawn == [home, home, to_other]
    for name in ("home-edge", "home-edge-to-other"):
        way = way_of(routes, DOMAIN, "/v1/models", {CANDIDATE_HEADER: backends[name]["id"]}, drawn=0.95)
        assert (way.service, way.shared) == (backends[name]["selfLink"], False)
    assert [one["description"] for one in routes["tests"]] == ["candidate", "serving", "serving, by other"]
    assert act(describe(google_for(deployer.cloud), "home", "europe-west4")).behind == {
        "other": f"10% of the requests at {ADDRESS}/v1, which other answers"
    }
    plan, after = deployer.up(deployer.behind(shares={"other": 25}))
    assert {one.resource.id for one in plan.pending} == {"url-map/home-edge", "closed-door/home"}
    assert after.pending == ()
    plan, after = deployer.up(deployer.behind())
    gone = [one.resource.id for one in plan.pending if one.kind.value == "delete"]
    assert gone == ["backend-service/home-edge-to-other", "endpoint-group/home-edge-to-other"]
    assert after.pending == ()


def test_weights_that_somebody_else_changed_are_put_back(deployer: WithEdge) -> None:
    deployer.up(other(deployer))
    wanted = deployer.behind(shares={"other": 10})
    deployer.up(wanted)
    routes = bodies(deployer, "urlMaps")["home-edge"]
    split = routes["pathMatchers"][0]["defaultRouteAction"]["weightedBackendServices"]
    assert [share["weight"] for share in split] == [90, 10]
    split.reverse()
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert (
        bodies(deployer, "urlMaps")["home-edge"]["pathMatchers"][0]["defaultRouteAction"][
            "weightedBackendServices"
        ]
        is split
    ), "their order means nothing"
    split[0]["weight"] = 90
    plan, after = deployer.up(wanted)
    assert [one.resource.id for one in plan.pending] == ["url-map/home-edge"]
    assert after.pending == ()


def test_what_shares_the_traffic_must_be_like_what_it_answers_for(deployer: WithEdge) -> None:
    deployer.up(other(deployer))
    edge = deployer.behind(shares={"other": 10}).edge
    assert edge is not None
    (found,) = act(find_backends(google_for(deployer.cloud), edge, "europe-west4"))
    front = replace(FRONT, model=found.model)
    assert found.model
    for here, there, says in (
        (front, found, ""),
        (replace(front, model="large"), found, f"other serves {found.model}, and this file large"),
        (front, replace(found, model="", unread="Forbidden"), f"whether other serves {front.model} is not known: Forbidden"),
        (replace(front, public=True), found, "this endpoint takes requests without a token, and other none"),
        (replace(front, guarded=True), found, "that what other answers is screened is not so"),
        (replace(front, guarded=True), replace(found, screened=None, unread="Forbidden"), "is screened is not known: Forbidden"),
    ):  # fmt: skip
        (one,) = findings((there,), ADDRESS, here)
        assert (one.subject, one.verdict.value) == ("share/other", "problem" if says else "ok"), one.text
        assert says in one.text
    path = NamedBackend(path="/a", endpoint="other", service=found.service, model=found.model)
    (one,) = findings((path,), ADDRESS, replace(front, model="large"))
    assert one.verdict.value == "ok", "whoever says a path chooses"


def told(deployer: WithEdge, paths: dict[str, str], *, guarded: bool = False) -> list[tuple[str, str, str]]:
    """What is found of the endpoints behind these paths before anything is made."""
    edge = deployer.behind(backends=paths).edge
    assert edge is not None
    found = act(find_backends(google_for(deployer.cloud), edge, "europe-west4"))
    return [
        (one.subject, one.verdict.value, one.text)
        for one in findings(found, ADDRESS, replace(FRONT, guarded=guarded))
    ]


def test_what_is_not_there_or_would_refuse_is_said_before_anything_is_made(deployer: WithEdge) -> None:
    assert told(deployer, PATHS) == [
        ("backend/ollama", "problem", "there is no endpoint other on Cloud Run in rehearsal")
    ]
    deployer.deployed(other(deployer, audience=None))
    ((_, verdict, text),) = told(deployer, PATHS)
    assert (verdict, text) == (
        "problem", f"other would refuse tokens that are made for {ADDRESS}: they are not for its own address"
    )  # fmt: skip
    deployer.deployed(other(deployer, "within", isolated=True))
    ((_, verdict, text),) = told(deployer, {"/within": "within"})
    assert verdict == "problem"
    assert "from within its network alone" in text
    deployer.deployed(other(deployer))
    assert told(deployer, PATHS) == [("backend/ollama", "ok", "other is there, in europe-west4")]
    ((_, verdict, text),) = told(deployer, PATHS, guarded=True)
    assert verdict == "warning"
    assert "is not screened" in text


def test_two_that_share_alike_and_a_path_of_the_same_name_are_told_apart(deployer: WithEdge) -> None:
    deployer.deployed(other(deployer))
    shared = {"other": 10, "gone": 10, "lost": 10}
    target = deployer.target_of(deployer.behind(backends={"/other": "other"}, shares=shared))
    assert target.edge is not None
    assert target.edge.parts.unfound == {"gone": "gone", "lost": "lost"}
    found = target.edge.findings(replace(FRONT, model=target.launch.model))
    subjects = [one.subject for one in found if "/" in one.subject]
    assert subjects == ["backend/other", "share/gone", "share/lost", "share/other"]
    with pytest.raises(HomeportError, match=r"edge.shares names gone, lost, of which no service was found"):
        Things.of(target.resources())


class WithScreenedOther(WithEdge):
    """Deploys other endpoints behind a gateway, where their files have a `[guard]`."""

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return with_gateway(super().target(google, chosen, wanted, canary=canary))

    def screened_other(self) -> spec.Spec:
        return spec.parse({**other(self).model_dump(exclude_none=True), "guard": {}})

    def route_other(self, traffic: list[dict[str, Any]]) -> None:  # Any: JSON
        """Give the other service that traffic."""

        async def work() -> None:
            google = google_for(self.cloud)
            begun = await google.patch("run", OTHER, {"traffic": traffic}, updateMask="traffic")
            await google.finish("run", begun, key="route", deadline=60)

        act(work())

    @property
    def other_service(self) -> Any:  # Any: JSON
        kept = self.cloud.store.get("run", OTHER.removeprefix("v2/"))
        assert kept is not None
        return kept.body


def test_what_serves_is_what_must_be_screened_and_not_what_was_last_asked_for(tmp_path: Path) -> None:
    deployer = WithScreenedOther("ollama", tmp_path)
    deployer.up(other(deployer))
    (bare,) = shares(deployer.other_service)
    deployer.broken = True
    with pytest.raises(VerificationFailed, match="gets no traffic"):
        deployer.up(deployer.screened_other())
    ((_, verdict, text),) = told(deployer, PATHS, guarded=True)
    assert (verdict, "is not screened" in text) == ("warning", True), text
    deployer.broken = False
    deployer.up(deployer.screened_other())
    assert [verdict for _, verdict, _ in told(deployer, PATHS, guarded=True)] == ["ok"]
    (screened,) = shares(deployer.other_service)
    deployer.route_other(targets({screened: 90, bare: 10}))
    ((_, verdict, text),) = told(deployer, PATHS, guarded=True)
    assert (verdict, "or not all of it" in text) == ("warning", True), text
    deployer.route_other(targets({screened: 100}))
    deployer.broken = True
    with pytest.raises(VerificationFailed, match="gets no traffic"):
        deployer.up(other(deployer))
    assert [verdict for _, verdict, _ in told(deployer, PATHS, guarded=True)] == ["ok"]


def test_all_that_has_traffic_must_serve_the_one_name(tmp_path: Path) -> None:
    deployer = WithScreenedOther("ollama", tmp_path)
    deployer.up(other(deployer))
    (first,) = shares(deployer.other_service)
    deployer.up(deployer.screened_other())
    (second,) = shares(deployer.other_service)
    kept = deployer.cloud.store.get("run", f"{OTHER.removeprefix('v2/')}/revisions/{second}")
    assert kept is not None
    model = kept.body["annotations"]["homeport/model"]
    kept.body["annotations"]["homeport/model"] = "larger"
    edge = deployer.behind(shares={"other": 10}).edge
    assert edge is not None
    for traffic, serves, mixed in (
        ({first: 90, second: 10}, "", (model, "larger")),
        ({second: 90, first: 10}, "", ("larger", model)),
        ({second: 100}, "larger", ()),
    ):
        deployer.route_other(targets(traffic))
        (found,) = act(find_backends(google_for(deployer.cloud), edge, "europe-west4"))
        assert (found.model, found.mixed) == (serves, mixed)
        (one,) = findings((found,), ADDRESS, replace(FRONT, model=model))
        assert one.verdict.value == "problem", one.text
        assert (f"traffic serve {', '.join(mixed)}" if mixed else "serves larger") in one.text
        misfit = misfit_of(found, replace(FRONT, model=model))
        assert misfit is not None
        assert misfit.known, "verify fails, too"


def test_whether_it_is_screened_is_not_known_where_what_serves_cannot_be_read(deployer: WithEdge) -> None:
    deployer.deployed(other(deployer))
    deployer.cloud.faults.append(parse("run.projects.locations.services.revisions.get:403:times=999"))
    ((_, verdict, text),) = told(deployer, PATHS, guarded=True)
    assert verdict == "warning"
    assert text.startswith("whether what is asked for at /ollama is screened is not known: "), text
    edge = deployer.behind(backends=PATHS).edge
    assert edge is not None
    (found,) = act(find_backends(google_for(deployer.cloud), edge, "europe-west4"))
    assert found.other.model == ""
    assert "Forbidden" in found.other.why_no_model, (
        "verify says why it does not know which model should answer"
    )


@dataclass(frozen=True)
class EndsMeanwhile(FixedToken):
    """A token that is taken back, after which there is none."""

    left: list[str] = field(default_factory=lambda: ["one"])

    def token(self) -> Token:
        if not self.left:
            raise NoCredentials("the credentials have ended")
        self.left.pop()
        return super().token()


def test_credentials_that_end_while_what_serves_is_read_are_said_to_have_ended(deployer: WithEdge) -> None:
    deployer.deployed(other(deployer))
    deployer.cloud.faults.append(parse("run.projects.locations.services.revisions.get:401:times=999"))
    edge = deployer.behind(backends=PATHS).edge
    assert edge is not None
    google = google_for(deployer.cloud)
    google.credentials = Credentials(EndsMeanwhile(Secret(deployer.cloud.token(OWNER)), OWNER))
    with pytest.raises(NoCredentials, match="have ended"):
        act(find_backends(google, edge, "europe-west4"))


def test_a_load_balancer_of_a_region_leads_to_nothing_in_another(deployer: WithEdge) -> None:
    deployer.deployed(other(deployer))
    _, after = deployer.up(deployer.behind(kind="regional", backends=PATHS))
    assert after.pending == ()
    found = findings(deployer.found, ADDRESS, FRONT, region="us-central1")
    assert [one.text for one in found] == [
        "other is in europe-west4, and a load balancer of us-central1 leads to nothing there"
    ]


def test_what_could_not_be_listed_is_not_taken_for_gone() -> None:
    one = NamedBackend(
        path="/a", endpoint="other", why_none="whether there is an endpoint other is not known: …"
    )
    (found,) = findings((one,), ADDRESS, FRONT)
    assert found.verdict.value == "problem"
    assert one.other.why_no_model == one.why_none


ODD = (
    "Content-Type",
    "Content-Length",
    "Accept",
    "Accept-Language",
    "Origin",
    "Forwarded",
    "User-Agent",
    "X-Envoy-Original-Path",
    "X-Client-Geo",
)


@pytest.mark.parametrize(
    ("edge", "says"),
    [
        ({"/v1": "other"}, "where the engine of this one answers"),
        ({"ollama": "other"}, "first part of a path"),
        ({"/a/b": "other"}, "first part of a path"),
        ({"/a": "Other"}, "lower-case letters, digits and dashes"),
        ({"/a": "home"}, "which is this endpoint"),
        ({"x-engine:vllm": "other"}, "a header with its whole value"),
        ({"x-engine: a b": "other"}, "a header with its whole value"),
        ({"Authorization: x": "other"}, "by the header authorization, which is not there for that"),
        ({"x-api-key: alice": "other"}, "by the header x-api-key, which"),
        ({"x-goog-iap: a": "other"}, "by the header x-goog-iap, which"),
        *(({f"{header}: a": "other"}, "which is not there for that") for header in ODD),
        ({"x-a: b": "other", "X-A: b": "third"}, "names a header with one value twice"),
    ],
)
def test_paths_and_names_that_cannot_be_are_refused(
    deployer: WithEdge, edge: dict[str, str], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        deployer.behind(backends=edge)


@pytest.mark.parametrize(
    ("edge", "says"),
    [
        ({"shares": {"other": 0}}, "greater than or equal to 1"),
        ({"shares": {"other": 60, "third": 40}}, "shares gives 100 percent to others"),
        ({"shares": {"home": 10}}, "edge.shares names home, which is this endpoint"),
        ({"shares": {"other": 10}, "regions": ["us-central1"]}, "are not built together"),
        ({"shares": {"other": 10}, "kind": "api-gateway", "domain": None, "clients": ["a"]}, "shares is about a load balancer"),
    ],
)  # fmt: skip
def test_shares_that_cannot_be_are_refused(deployer: WithEdge, edge: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        deployer.behind(**edge)


def test_iap_is_refused_with_where_it_is_said(deployer: WithEdge) -> None:
    with pytest.raises(SpecError) as refused:
        deployer.behind(iap=True)
    told = "iap is a key of [access]: set `[access] iap = [...]`; it guards the way through this load balancer, too"
    assert told in str(refused.value)
    assert "not built" not in str(refused.value)
