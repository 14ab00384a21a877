"""`[guard] where` at a load balancer: Google's two roads are made, held, mended and taken away; and what they let pass is told."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployment import google_for
from edges import DOMAIN
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.iam.permissions import required
from guarded_at_balancers import ALL, KINDS, PLACE, AtBalancer
from homeport import spec
from homeport.errors import HomeportError, Incomplete, SpecError
from homeport.export import KINDS as KINDS_OF_EXPORTS
from homeport.export import export
from homeport.reconcile import make_plan
from homeport.reconcile.plan import ActionKind
from homeport.spec import Edge
from homeport.targets.cloudrun.edge.backends import FrontEndpoint, find_backends, findings
from homeport.targets.cloudrun.guard.road import ROLES, settings_for
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight.permissions import needs

ROADS = ("traffic-extension", "authz-extension")
TEMPLATE = f"{PLACE}/templates/home-guard"


@pytest.fixture
def deployer(tmp_path: Path) -> AtBalancer:
    return AtBalancer("ollama", tmp_path)


def there(deployer: AtBalancer) -> set[str]:
    """What there is; images stay, and Google's own things have numbers."""
    return {
        f"{one.api}/{one.name}"
        for one in things(deployer.cloud)
        if not re.search("/(packages|routes|o)/|/serverless-", one.name)
    }


@dataclass(kw_only=True)
class WithoutSome(Cloud):
    """A cloud whose list of regions says that it lacks some."""

    async def handle(self, request: Request) -> Reply:
        reply = await super().handle(request)
        if self.log and self.log[-1].method == "compute.regions.list":
            assert isinstance(reply.body, bytes)
            warning = {"code": "UNREACHABLE", "message": "us-east4"}
            return replace(reply, body=json.dumps({**json.loads(reply.body), "warning": warning}).encode())
        return reply


def test_while_not_all_regions_are_known_the_rights_of_all_extensions_stay_and_down_says_so(
    deployer: AtBalancer,
) -> None:
    deployer.cloud = WithoutSome(delays=AT_ONCE)
    wanted = deployer.road("traffic-extension")
    deployer.up(wanted)
    with pytest.raises(Incomplete, match="other extensions of the project"):
        deployer.down(wanted, purge=True)
    assert deployer.roles() == set(ROLES)


@pytest.mark.parametrize("road", ROADS)
def test_a_road_is_made_before_anything_serves_and_nothing_of_it_is_left(
    deployer: AtBalancer, road: str
) -> None:
    before = there(deployer)
    wanted = deployer.road(road)
    plan, after = deployer.up(wanted)
    assert after.pending == ()
    made = deployer.at_the_balancer()
    assert set(made) == (
        KINDS - {"lbTrafficExtensions"} if road == "authz-extension" else {"lbTrafficExtensions"}
    )
    order = [action.resource.id for action in plan.pending]
    stands = [
        id_ for id_ in order if ("home-guard" in id_ and "extension" in id_) or "policy/home-guard" in id_
    ]
    assert len(stands) == len(made)
    served = [order.index(id_) for id_ in ("release/home", "closed-door/home")]
    let_in = [order.index(id_) for id_ in order if id_.startswith("grant/run.") and "friend@" in id_]
    assert let_in, "somebody is named in the file"
    assert max(order.index(id_) for id_ in stands) < min(served)
    assert order.index("closed-door/home") < min(let_in), "nobody is let in where nothing screens"
    (container,) = deployer.service["template"]["containers"]
    assert container["name"] == "serving", "no gateway"
    assert deployer.service["labels"]["homeport-guard-road"] == road
    assert deployer.roles() == set(ROLES)
    assert not list(deployer.cloud.store.of("networkconnectivity")), "a load balancer needs no way of ours"
    deployer.down(wanted, purge=True)
    assert there(deployer) == before
    assert deployer.roles() == set()
    asked_for = {each for call in deployer.cloud.log for each in required(call.method)}
    listed = {permission for need in needs().values() for permission in need.permissions}
    assert asked_for - listed - {"cloudquotas.quotas.get", "orgpolicy.policy.get"} == set()
    others = "authzExtensions|networksecurity" if road == "traffic-extension" else "lbTrafficExtensions"
    unasked = set(needs()["screen-road"].permissions) - asked_for
    assert {one for one in unasked if not re.search(f"{others}|[.]update$|operations[.]get$", one)} == set()


def test_the_traffic_extension_fails_closed_and_knows_each_name_of_the_model(deployer: AtBalancer) -> None:
    deployer.up(deployer.road("traffic-extension", deadline_s=5))
    body = deployer.at_the_balancer()["lbTrafficExtensions"].body
    (chain,) = body["extensionChains"]
    (extension,) = chain["extensions"]
    assert (extension["failOpen"], extension["timeout"]) == (False, "5s")
    assert {"REQUEST_BODY", "RESPONSE_BODY"} <= set(extension["supportedEvents"])
    entries = json.loads(extension["metadata"]["model_armor_settings"])
    assert {entry["user_prompt_template_id"] for entry in entries} == {TEMPLATE}
    assert {entry["model_response_template_id"] for entry in entries} == {TEMPLATE}
    model = deployer.planned(deployer.road("traffic-extension")).launch.model
    assert [entry["model"] for entry in entries] == [model, f"{model}:latest"], (
        "an engine takes it with its tag, too"
    )
    assert body["forwardingRules"][0].endswith("/regions/europe-west4/forwardingRules/home-edge")


def test_the_content_policy_asks_the_extension_about_what_comes_by_https(deployer: AtBalancer) -> None:
    deployer.deployed(deployer.road("authz-extension"))
    made = deployer.at_the_balancer()
    policy = made["authzPolicies"].body
    assert (policy["policyProfile"], policy["action"]) == ("CONTENT_AUTHZ", "CUSTOM")
    assert policy["customProvider"]["authzExtension"]["resources"] == [made["authzExtensions"].name]
    assert [url.rpartition("/")[2] for url in policy["target"]["resources"]] == ["home-edge"]
    told = json.loads(made["authzExtensions"].body["metadata"]["model_armor_settings"])
    assert told == [{"request_template_id": TEMPLATE, "response_template_id": TEMPLATE}]


@pytest.mark.parametrize("road", ROADS)
def test_what_somebody_opens_is_closed_again(deployer: AtBalancer, road: str) -> None:
    wanted = deployer.road(road)
    deployer.deployed(wanted)

    def callout() -> Any:  # Any: JSON
        made = deployer.at_the_balancer()
        if road == "authz-extension":
            return made["authzExtensions"].body
        return made["lbTrafficExtensions"].body["extensionChains"][0]["extensions"][0]

    callout()["failOpen"] = True
    plan, after = deployer.up(wanted)
    assert [action.kind for action in plan.pending] == [ActionKind.UPDATE]
    assert after.pending == ()
    assert not callout()["failOpen"]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("other", ["nothing", "gateway", *ROADS])
def test_a_file_goes_to_a_road_and_from_it(tmp_path: Path, road: str, other: str) -> None:
    def file(deployer: AtBalancer, name: str) -> spec.Spec:
        if name in ROADS:
            return deployer.road(name)
        return deployer.file({} if name == "gateway" else None)

    fresh, walked = (AtBalancer("ollama", tmp_path) for _ in range(2))
    for deployer in (fresh, walked):
        deployer.deployed(file(deployer, other))
    for name in (road, other):
        _, after = walked.up(file(walked, name))
        assert after.pending == (), (name, [action.resource.id for action in after.pending])
    assert there(walked) - there(fresh) == set()
    assert walked.roles() == fresh.roles()
    assert walked.service["template"] == fresh.service["template"]


def test_roles_that_others_extensions_need_stay(deployer: AtBalancer) -> None:
    wanted = deployer.road("authz-extension")
    deployer.deployed(wanted)
    place = PLACE.replace("europe-west4", "asia-south1")
    body = {"service": "modelarmor.asia-south1.rep.googleapis.com", "timeout": "1s"}
    path = f"v1/{place}/authzExtensions"

    async def make() -> None:
        await google_for(deployer.cloud).post("networkservices", path, body, authzExtensionId="theirs")

    act(make())
    deployer.down(wanted, purge=True)
    assert deployer.roles() == set(ROLES)
    assert [one.name.rpartition("/")[2] for one in deployer.at_the_balancer().values()] == ["theirs"]


def test_a_plan_says_what_is_not_screened(deployer: AtBalancer) -> None:
    target = deployer.planned(deployer.road("traffic-extension"))
    plan, _ = act(plan_of(target))
    (fact,) = [fact for fact in plan.facts if fact.key == "guard_road"]
    for words in (
        "streamed answers",
        "/v1/responses",
        "Ollama's own /api",
        "arguments and results of tools",
        "fails closed",
    ):
        assert words in fact.text, words
    assert [fact for fact in plan.facts if fact.key in {"guard", "guard_cost"}] == []
    assert any("past" in one or "owners reach it there unscreened" in one for one in plan.warnings)


def test_more_names_than_google_takes_are_refused() -> None:
    with pytest.raises(SpecError, match="less than 1024 bytes"):
        settings_for(("model", "one", "two", "three"), TEMPLATE)


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("kind", KINDS_OF_EXPORTS)
def test_every_export_carries_the_road_or_lets_a_pipeline_make_it_or_refuses_it(
    deployer: AtBalancer, road: str, kind: str
) -> None:
    target = deployer.planned(deployer.road(road))
    if kind == "knative":
        with pytest.raises(HomeportError, match=r"does not know .*home-guard"):
            export(kind, target.resources())
        return
    text = " ".join(
        "\n".join(export(kind, target.resources()).values()).replace("\\\n", " ").replace("\n#", " ").split()
    )
    calls = {
        "traffic-extension": ("lbTrafficExtensions?lbTrafficExtensionId=home-guard", "model_armor_settings"),
        "authz-extension": ("authzExtensions?authzExtensionId=home-guard", "authzPolicies?authzPolicyId=home-guard", "CONTENT_AUTHZ"),
    }  # fmt: skip
    blocks = {
        "traffic-extension": ("google_network_services_lb_traffic_extension", "extension_chains {", "metadata = {"),
        "authz-extension": ("google_network_services_authz_extension", "google_network_security_authz_policy", 'policy_profile = "CONTENT_AUTHZ"'),
    }  # fmt: skip
    pipeline = ("networkservices.serviceExtensionsAdmin", "networkservices.lbTrafficExtensions.get")
    words = {"terraform": (*blocks[road], "modelarmor.calloutUser"), "trigger": pipeline, "github": pipeline}  # fmt: skip
    for word in words.get(kind, (*calls[road], "modelarmor.calloutUser")):
        assert word in text, word


@pytest.mark.parametrize("kind", ["gcloud", "terraform", "cloudbuild"])
def test_no_export_lets_callers_in_before_the_door_is_closed(deployer: AtBalancer, kind: str) -> None:
    whole = deployer.road("traffic-extension").model_dump(exclude_none=True)
    target = deployer.planned(spec.parse({**whole, "access": {"callers": ["user:friend@example.com"]}}))
    files = export(kind, target.resources())
    if kind == "terraform":
        (conditions,) = re.findall(r'"callers" \{\n\s*for_each\s*=\s*(.*)', files["service.tf"])
        assert '|| var.back_door == "" ? toset([]) : var.callers' in conditions
        return
    script = next(text for text in files.values() if "user:friend@example.com" in text)
    lines = [line.strip() for line in script.splitlines()]
    granting = [number for number, line in enumerate(lines) if "grant user:friend@example.com" in line]
    closing = [number for number, line in enumerate(lines) if line.startswith("door ")]
    assert len(granting) == len(closing) == 1
    assert granting > closing
    assert lines[granting[0]].startswith("behind_it grant user:friend@example.com")


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("kind", ["gcloud", "terraform", "cloudbuild", "trigger", "github"])
def test_no_export_opens_to_everybody_what_is_screened_at_its_load_balancer_alone(
    deployer: AtBalancer, road: str, kind: str
) -> None:
    """But those by which `homeport up` is said, which refuses that itself as long as the address is open."""
    public = {"public": True, "anyone_may_spend_my_money": True}
    whole = deployer.road(road).model_dump(exclude_none=True)
    resources = deployer.planned(spec.parse({**whole, "access": public})).resources()
    if kind in {"trigger", "github"}:
        assert export(kind, resources)
        return
    with pytest.raises(HomeportError, match="does not screen, until the load balancer") as refused:
        export(kind, resources)
    assert "take public out" in (refused.value.hint or "")
    beside = deployer.file({"where": "gateway"}).model_dump(exclude_none=True)
    assert export(kind, deployer.planned(spec.parse({**beside, "access": public})).resources())


REGIONAL = {"kind": "regional", "domain": "llm.example.com"}
ROAD = {"where": "traffic-extension", "unscreened": ALL}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {  # Any: values of homeport.toml
    "nothing that it knows": ({"guard": {"where": "traffic-extension"}, "edge": REGIONAL}, r'unscreened = \["streams", "apis", "choices", "texts", "media", "long", "names"\]'),
    "nothing of another road": ({"guard": {"where": "authz-extension"}, "edge": REGIONAL}, r'unscreened = \["streams", "apis", "choices", "texts", "media", "long"\]'),
    "not that pictures pass": ({"guard": {**ROAD, "unscreened": [word for word in ALL if word != "media"]}, "edge": REGIONAL}, "media: pictures and sound"),
    "not that long texts pass": ({"guard": {**ROAD, "unscreened": [word for word in ALL if word != "long"]}, "edge": REGIONAL}, "long: texts above a filter's limit"),
    "not that other names pass": ({"guard": {**ROAD, "unscreened": [word for word in ALL if word != "names"]}, "edge": REGIONAL}, "names: requests that ask"),
    "not all of it": ({"guard": {**ROAD, "unscreened": ["apis", "choices", "texts"]}, "edge": REGIONAL}, "streams: streamed answers"),
    "no load balancer": ({"guard": ROAD}, r"add \[edge\]"),
    "a global one": ({"guard": ROAD, "edge": {"domain": "llm.example.com"}}, "no global one"),
    "an API gateway": ({"guard": ROAD, "edge": {"kind": "api-gateway", "clients": ["a"]}}, "no api-gateway one"),
    "vectors": ({"guard": ROAD, "edge": REGIONAL, "task": "embed"}, "knows no embeddings"),
    "others behind it": ({"guard": ROAD, "edge": {**REGIONAL, "backends": {"/small": "small"}}}, "edge.backends"),
    "tokens for another address": ({"guard": ROAD, "edge": REGIONAL, "access": {"audience": "https://other.example.com"}}, "another load balancer"),
    "the local screen": ({"guard": {**ROAD, "screen": "local"}, "edge": REGIONAL}, "asks Model Armor"),
    "a window": ({"guard": {**ROAD, "window_s": 2}, "edge": REGIONAL}, "window_s is about homeport's gateway"),
    "half of it": ({"guard": {**ROAD, "answers": False}, "edge": REGIONAL}, "answers is about homeport's gateway"),
    "too much time": ({"guard": {**ROAD, "deadline_s": 11}, "edge": REGIONAL}, "10 s at most"),
    "a gateway that lets pass": ({"guard": {"unscreened": ["apis"]}}, "nothing passes unscreened"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_one_error(deployer: AtBalancer, case: str) -> None:
    more, words = REFUSED[case]
    whole = deployer.wanted().model_dump(exclude_none=True)
    with pytest.raises(SpecError, match=words) as refused:
        spec.parse({**whole, **more})
    assert str(refused.value).count("\n") <= 2


@pytest.mark.parametrize("front", ["guarded", "bare"])
def test_no_other_load_balancer_leads_past_a_road(deployer: AtBalancer, front: str) -> None:
    deployer.deployed(deployer.road("traffic-extension"))
    edge = Edge(kind="regional", domain="other.example.com", backends={"/home": "home"}, shares={"home": 10})

    def found() -> list[tuple[str, str, str]]:
        behind = act(find_backends(google_for(deployer.cloud), edge, "europe-west4"))
        before = FrontEndpoint(guarded=front == "guarded", model=behind[0].model, public=False)
        told = findings(behind, f"https://{DOMAIN}", before, region="europe-west4")
        return [(one.subject, one.verdict.value, one.text) for one in told]

    assert {(subject, verdict) for subject, verdict, _ in found()} == {
        ("backend/home", "problem"),
        ("share/home", "problem"),
    }
    assert all("screened at its own load balancer alone" in text for _, _, text in found())
    deployer.up(deployer.file({"where": "gateway"}))
    assert [verdict for _, verdict, _ in found()] == ["ok", "ok"], "its own gateway screens whatever comes"


def test_somebody_elses_template_is_used_and_stays(deployer: AtBalancer) -> None:
    given = f"{PLACE}/templates/mine"
    target = deployer.planned(deployer.road("authz-extension", template=given))
    assert not [one for one in target.resources() if one.kind == "Model Armor template"]
    plan = act(make_plan("home", "cloudrun", target.resources(), []))
    assert given in str([action.resource for action in plan.pending if "extension" in action.resource.id])
