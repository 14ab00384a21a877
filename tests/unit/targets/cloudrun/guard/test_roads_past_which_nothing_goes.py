"""With one of Google's roads nothing that serves is unscreened without a word: while models change, on the way back, at an open door."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cloud import act
from deployment import google_for
from gcp_rehearsal.faults import parse
from guarded_at_balancers import ALL, AtBalancer
from homeport import spec
from homeport.errors import HomeportError, Incomplete, StateError
from homeport.resources.google.service_extensions import models_of
from homeport.resources.google.traffic import foremost
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.way_back import WayBack
from places import TAUGHT

ROAD = "traffic-extension"


@pytest.fixture
def deployer(tmp_path: Path) -> AtBalancer:
    return AtBalancer("ollama", tmp_path)


def named(deployer: AtBalancer) -> frozenset[str]:
    """The names that the extension is told."""
    return models_of(deployer.at_the_balancer()["lbTrafficExtensions"].body)


def served(deployer: AtBalancer) -> str:
    """The name of the model that has the traffic."""
    kept = deployer.cloud.store.get("run", f"{service_name()}/revisions/{foremost(deployer.service)}")
    assert kept is not None
    return str(kept.body["annotations"]["homeport/model"])


def service_name() -> str:
    return "projects/rehearsal/locations/europe-west4/services/home"


def other_model(deployer: AtBalancer) -> spec.Spec:
    """The file with another model."""
    path = deployer.folder / "other-model.gguf"
    shutil.copy(TAUGHT, path)
    return deployer.road(ROAD).model_copy(update={"model": f"file:{path}"})


def problems(deployer: AtBalancer, wanted: spec.Spec) -> list[str]:
    """What of the screen keeps a plan from being applied."""
    road = deployer.planned(wanted).road
    assert road is not None
    return [one.text for one in road.findings() if one.verdict is PreflightVerdict.PROBLEM]


def test_what_serves_stays_screened_while_another_model_is_tried_and_where_that_fails(
    deployer: AtBalancer,
) -> None:
    deployer.deployed(deployer.road(ROAD))
    before = served(deployer)
    deployer.broken = True
    with pytest.raises(HomeportError):
        deployer.up(other_model(deployer))
    assert served(deployer) == before
    assert {before, f"{before}:latest"} <= named(deployer)


def test_a_former_name_is_dropped_by_the_next_up_and_the_way_back_is_refused_then(
    deployer: AtBalancer,
) -> None:
    deployer.deployed(deployer.road(ROAD))
    former, first = served(deployer), foremost(deployer.service)
    wanted = other_model(deployer)
    target = deployer.planned(wanted)
    assert target.road is not None
    assert any(former in text and "drops it" in text for text in target.road.warnings())
    deployer.up(wanted)
    revision = deployer.cloud.store.get("run", f"{service_name()}/revisions/{first}")
    assert revision is not None
    google = google_for(deployer.cloud)
    fit = WayBack(google=google, names=target.names, guard=None, road=wanted.guard)
    act(fit.ensure_fit(revision.body))  # Its name is still there.
    plan = deployer.up(wanted).plan
    assert [one.resource.kind for one in plan.pending] == ["traffic extension"]
    assert former not in named(deployer)
    with pytest.raises(StateError, match=f"does not name {former}"):
        act(fit.ensure_fit(revision.body))
    act(replace(fit, road=None).ensure_fit(revision.body))  # Nobody wants it screened.


def test_a_gateway_is_kept_until_the_door_is_closed(deployer: AtBalancer) -> None:
    whole = deployer.wanted().model_dump(exclude_none=True)
    deployer.up(spec.parse({**whole, "guard": {}}))
    (text,) = problems(deployer, deployer.road(ROAD))
    assert "screens in its gateway, and the service's own address is open" in text
    deployer.up(deployer.file({}))
    assert problems(deployer, deployer.road(ROAD)) == []


def test_everybody_is_let_in_only_where_the_door_is_closed(deployer: AtBalancer) -> None:
    whole = deployer.road("authz-extension").model_dump(exclude_none=True)
    public = spec.parse({**whole, "access": {"public": True, "anyone_may_spend_my_money": True}})
    (text,) = problems(deployer, public)
    assert "access.public lets everybody in" in text
    deployer.deployed(deployer.road("authz-extension"))
    assert problems(deployer, public) == []


def test_a_road_goes_before_a_rule_whose_name_a_wanted_one_has(deployer: AtBalancer) -> None:
    deployer.answers = ["it says 404"] * 100_000
    with pytest.raises(HomeportError, match="does not answer"):
        deployer.up(deployer.road(ROAD))
    deployer.answers = []
    _, after = deployer.up(deployer.file(kind="global"))
    assert after.pending == ()
    assert deployer.at_the_balancer() == {}


def test_a_down_takes_what_it_can_where_other_extensions_cannot_be_listed(deployer: AtBalancer) -> None:
    wanted = deployer.road(ROAD)
    deployer.deployed(wanted)
    roles = deployer.roles()
    deployer.cloud.faults.append(parse("compute.regions.list:403:times=1000"))
    with pytest.raises(Incomplete, match="whether other extensions of the project call Model Armor"):
        deployer.down(wanted, purge=True)
    assert deployer.service is None
    assert deployer.at_the_balancer() == {}
    assert deployer.roles() == roles, "others may need them"


def test_a_plan_asks_no_other_region_once_the_grants_are_gone(deployer: AtBalancer) -> None:
    deployer.deployed(deployer.road(ROAD))
    deployer.up(deployer.file())
    assert deployer.roles() == set()
    before = len(deployer.cloud.log)
    _, after = deployer.up(deployer.file())
    assert after.pending == ()
    assert "compute.regions.list" not in {call.method for call in deployer.cloud.log[before:]}


def test_a_plan_with_a_road_calls_its_load_balancer_needed_and_a_long_deadline_unsure(
    deployer: AtBalancer,
) -> None:
    road = deployer.planned(deployer.road(ROAD))
    bare = deployer.planned(deployer.file())
    for target, says in ((road, False), (bare, True)):
        plan, _ = act(plan_of(target))
        (fact,) = [one for one in plan.facts if one.key == "edge"]
        assert ("a domain is all that this adds" in fact.text) is says
    assert road.road is not None
    assert any("guard.deadline_s = 8" in text for text in road.road.warnings())
    short = deployer.planned(deployer.file({"where": ROAD, "unscreened": ALL, "deadline_s": 1})).road
    assert short is not None
    assert not any("deadline_s" in text for text in short.warnings())
