"""`[guard]` on Cloud Run: the gateway takes the requests, Model Armor judges, and all of it goes away again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployers import WAYS, Deployer
from deployment import google_for
from gcp_rehearsal.iam.permissions import required
from homeport import spec
from homeport.errors import SpecError
from homeport.export import KINDS, export
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile.plan import ActionKind
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.target import CloudRunTarget

HOST = "modelarmor.europe-west4.rep.googleapis.com"
PLACE = "projects/rehearsal/locations/europe-west4"


class WithGuard(Deployer):
    """Deploys the engine behind a gateway, where the file says so."""

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return with_gateway(super().target(google, chosen, wanted, canary=canary))

    def guarded(self, isolated: bool = False, **guard: Any) -> spec.Spec:  # Any: values of homeport.toml
        whole = self.wanted().model_dump(exclude_none=True)
        whole["access"]["isolated"] = isolated
        return spec.parse({**whole, "guard": guard})

    def planned(self, wanted: spec.Spec) -> CloudRunTarget:
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        return self.target(google_for(self.cloud), chosen, wanted)

    def body(self, api: str, name: str) -> Any:  # Any: JSON
        kept = self.cloud.store.get(api, name)
        return kept.body if kept else None


@pytest.fixture(params=list(WAYS))
def deployer(request: pytest.FixtureRequest) -> WithGuard:
    return WithGuard(request.param)


@pytest.fixture
def one() -> WithGuard:
    return WithGuard("ollama")


def test_the_gateway_takes_the_requests_and_the_engine_has_no_port(deployer: WithGuard) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    plan, after = deployer.up(deployer.guarded())
    assert after.pending == ()
    engine, gateway = deployer.service["template"]["containers"]
    assert (engine["name"], gateway["name"]) == ("serving", "gateway")
    assert "ports" not in engine
    assert gateway["ports"] == [{"name": "http1", "containerPort": 8080}]
    assert gateway["dependsOn"] == ["serving"]
    assert engine["livenessProbe"]["httpGet"]["port"] == 8081
    assert gateway["startupProbe"]["httpGet"] == {"path": "/v1/models", "port": 8080}, (
        "through it, the engine"
    )
    assert gateway["args"][-2:] == ["--upstream", "http://127.0.0.1:8081"]
    (told,) = [json.loads(one["value"]) for one in gateway["env"]]
    assert (told["screen"], told["template"]) == ("model-armor", f"{PLACE}/templates/home-guard")
    order = [action.resource.id for action in plan.pending]
    for first in ("model-armor-template/home-guard", "regional-endpoint/home-guard", "image/gateway"):
        assert order.index(first) < order.index("service/home"), "nothing is served before it can be screened"
    users = [
        member
        for binding in policy(deployer)
        if binding["role"] == "roles/modelarmor.user"
        for member in binding["members"]
    ]
    assert users == ["serviceAccount:home-run@rehearsal.iam.gserviceaccount.com"]
    deployer.down(deployer.guarded(), purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    asked_for = {each for call in deployer.cloud.log for each in required(call.method)}
    listed = {name: set(need.permissions) for name, need in needs().items()}
    assert (
        asked_for - set().union(*listed.values()) - {"cloudquotas.quotas.get", "orgpolicy.policy.get"}
        == set()
    )
    # Nobody changes the template in this life; another test has it mended.
    assert (listed["screen"] | listed["screen-way"]) - asked_for == {"modelarmor.templates.update"}


def policy(deployer: WithGuard) -> list[Any]:  # Any: JSON
    from homeport.google import IamResource
    from homeport.google import policy as policies

    async def read() -> Any:  # Any: JSON
        on = IamResource(api="cloudresourcemanager", path="v3/projects/rehearsal")
        return await policies.read(google_for(deployer.cloud), on)

    return list(act(read())["bindings"])


def test_every_filter_of_the_template_is_said_with_its_level_and_what_drifts_is_mended(
    one: WithGuard,
) -> None:
    one.up(one.guarded(filters=["injection", "harm"]))
    name = f"{PLACE}/templates/home-guard"
    config = one.body("modelarmor", name)["filterConfig"]
    assert config["piAndJailbreakFilterSettings"] == {
        "filterEnforcement": "ENABLED",
        "confidenceLevel": "MEDIUM_AND_ABOVE",
    }
    assert {each["confidenceLevel"] for each in config["raiSettings"]["raiFilters"]} == {"MEDIUM_AND_ABOVE"}
    assert config["maliciousUriFilterSettings"] == {"filterEnforcement": "DISABLED"}
    assert config["sdpSettings"] == {"basicConfig": {"filterEnforcement": "DISABLED"}}
    config["piAndJailbreakFilterSettings"]["filterEnforcement"] = "DISABLED"
    plan, after = one.up(one.guarded(filters=["injection", "harm"]))
    assert [action.resource.id for action in plan.pending] == ["model-armor-template/home-guard"]
    assert after.pending == ()
    mended = one.body("modelarmor", name)["filterConfig"]
    assert mended["piAndJailbreakFilterSettings"]["filterEnforcement"] == "ENABLED"


@pytest.mark.parametrize("isolated", [False, True])
def test_model_armor_is_reached_by_an_address_of_its_own(one: WithGuard, isolated: bool) -> None:
    """Private Google Access answers its host with 404, and the zone of googleapis.com would lead there."""
    _, after = one.up(one.guarded(isolated=isolated))
    assert after.pending == ()
    way = one.body("networkconnectivity", f"{PLACE}/regionalEndpoints/home-guard")
    assert way["targetGoogleApi"] == HOST
    records = [kept.body for kept in things(one.cloud) if kept.body.get("name") == f"{HOST}."]
    assert [each["rrdatas"] for each in records] == [[way["address"]]]
    rule = one.body("compute", "projects/rehearsal/global/firewalls/home-to-guard")
    assert (rule and rule["destinationRanges"]) == ([f"{way['address']}/32"] if isolated else None)


def test_without_guard_the_service_is_as_it_was_and_nothing_of_the_screen_is_left(one: WithGuard) -> None:
    one.up(one.wanted())
    bare = one.service["template"]["containers"]
    one.up(one.guarded())
    plan, after = one.up(one.wanted())
    gone = {action.resource.id for action in plan.pending if action.kind is ActionKind.DELETE}
    assert {"model-armor-template/home-guard", "regional-endpoint/home-guard"} <= gone
    assert after.pending == ()
    assert one.service["template"]["containers"] == bare
    assert not [kept for kept in things(one.cloud) if kept.api in {"modelarmor", "networkconnectivity"}]
    assert not [each for each in policy(one) if each["role"] == "roles/modelarmor.user"]


def test_the_plan_tells_the_price_and_the_calls_a_minute_against_the_quota(deployer: WithGuard) -> None:
    whole = deployer.guarded(window_s=0.5).model_dump(exclude_none=True)
    wanted = spec.parse({**whole, "scaling": {"max": 3}, "engine": {**whole["engine"], "parallel": 4}})
    plan, _ = act(_plan(deployer, wanted))
    facts = {fact.key: fact for fact in plan.facts}
    assert facts["guard"].text.startswith("model-armor screens")
    assert "$0.10 a million tokens" in facts["guard_cost"].text
    assert "up to 1440 calls a minute" in facts["guard_cost"].text
    assert any("1440 calls a minute" in one for one in plan.warnings)
    quiet, _ = act(_plan(deployer, deployer.wanted()))
    assert not [fact for fact in quiet.facts if fact.key.startswith("guard")]


async def _plan(deployer: WithGuard, wanted: spec.Spec) -> Any:  # Any: a plan and its findings
    chosen = await choose(wanted, Path("/x/homeport.toml"), find_home(), Silent())
    return await plan_of(deployer.target(google_for(deployer.cloud), chosen, wanted))


def test_a_template_of_another_region_is_refused(one: WithGuard) -> None:
    other = "projects/rehearsal/locations/us-central1/templates/t"
    with pytest.raises(SpecError, match="the service is in europe-west4"):
        one.planned(one.guarded(template=other))


def test_the_local_screen_takes_nothing_of_model_armor(one: WithGuard) -> None:
    one.up(one.guarded(screen="local"))
    assert not [kept for kept in things(one.cloud) if kept.api in {"modelarmor", "networkconnectivity"}]
    assert "homeport-guard" not in one.service.get("labels", {})


@pytest.mark.parametrize("kind", KINDS)
def test_every_export_carries_the_template_and_the_way_to_it_or_lets_a_pipeline_make_them(
    one: WithGuard, kind: str
) -> None:
    text = "\n".join(export(kind, one.planned(one.guarded()).resources()).values())
    words = {
        "terraform": ("google_model_armor_template", "google_network_connectivity_regional_endpoint", "filter_version_selector"),
        "trigger": ("modelarmor.admin", "networkconnectivity.regionalEndpointAdmin", "modelarmor.templates.get"),
        "knative": ("Model Armor template", "regional endpoint"),
    }  # fmt: skip
    words["github"] = words["trigger"]
    made = ("rest POST modelarmor.europe-west4.rep.googleapis.com", "gcloud network-connectivity regional-endpoints create home-guard")  # fmt: skip
    for word in words.get(kind, made):
        assert word in " ".join(text.replace("\\\n", " ").replace("\n#", " ").split()), word
