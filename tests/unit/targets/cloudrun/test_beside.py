"""What runs beside the engine is one more container in the target's list, and goes through all that the service does."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployers import PATH, WAYS, Deployer
from deployment import google_for
from homeport import spec
from homeport.errors import SpecError
from homeport.export import export
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.containers import HttpProbe, ServiceContainer, Volume, own_container
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.target import CloudRunTarget

METER = ServiceContainer(
    name="meter",
    image="us-docker.pkg.dev/example/meters/meter:1",
    args=("--port", "9090"),
    environment={"ASKS": "http://localhost:8080"},
    limits={"cpu": "1", "memory": "512Mi"},
    startup=HttpProbe(path="/", port=9090, period_s=5, timeout_s=2, attempts=10),
    alive=HttpProbe(path="/", port=9090, period_s=60, timeout_s=5, attempts=3),
    after=("serving",),
    volumes=(
        Volume(name="counts", path="/counts", source={"emptyDir": {"medium": "MEMORY", "sizeLimit": "32Mi"}}),
    ),
)


class WithMeter(Deployer):
    """Deploys the engine with a made-up container beside it."""

    meter = METER

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        target = super().target(google, chosen, wanted, canary=canary)
        return replace(target, beside=(self.meter,))


@pytest.fixture(params=list(WAYS))
def deployer(request: pytest.FixtureRequest) -> WithMeter:
    return WithMeter(request.param)


def test_it_goes_up_is_changed_alone_and_goes_down_with_the_service(deployer: WithMeter) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    _, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    serving, meter = deployer.service["template"]["containers"]
    assert (serving["name"], meter["name"], meter["dependsOn"]) == ("serving", "meter", ["serving"])
    assert "ports" not in meter
    assert meter["volumeMounts"] == [{"name": "counts", "mountPath": "/counts"}]
    assert "counts" in [one["name"] for one in deployer.service["template"]["volumes"]]
    deployer.meter = replace(METER, environment={"ASKS": "http://localhost:8081"})
    plan, after = deployer.up(deployer.wanted())
    changes = [
        change.path for action in plan.pending for change in action.changes if "containers" in change.path
    ]
    assert changes == ["template.containers[meter].env[ASKS].value"]
    assert after.pending == ()
    deployer.down(deployer.wanted(), purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


def test_two_volumes_of_one_name_that_differ_are_refused(deployer: WithMeter) -> None:
    other = replace(METER.volumes[0], source={"emptyDir": {"medium": "MEMORY", "sizeLimit": "64Mi"}})
    second = replace(METER, name="second", volumes=(other,))
    wanted = deployer.wanted()
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    target = deployer.target(google_for(deployer.cloud), chosen, wanted)
    with pytest.raises(
        SpecError, match="the container second has a volume counts, and another volume is called so"
    ):
        _ = replace(target, beside=(METER, second)).service
    shared = replace(METER, name="second")
    template = replace(target, beside=(METER, shared)).service.wanted["template"]
    assert [one["name"] for one in template["volumes"]].count("counts") == 1


def test_a_container_that_somebody_added_is_told_and_taken_out_again_as_a_variable_would_be(
    deployer: WithMeter,
) -> None:
    deployer.up(deployer.wanted())
    template = dict(deployer.service["template"])
    other = {"name": "other", "image": "us-docker.pkg.dev/example/others/other:1"}
    template["containers"] = [other, *template["containers"]]

    async def add() -> None:
        google = google_for(deployer.cloud)
        begun = await google.patch("run", PATH, {"template": template}, updateMask="template")
        await google.finish("run", begun, key="other", deadline=60)

    act(add())
    assert own_container(deployer.service["template"])["name"] == "serving", "by name, wherever it stands"
    plan, after = deployer.up(deployer.wanted())
    told = [change.path for action in plan.pending for change in action.changes]
    assert "template.containers[other]" in told
    assert not any("[serving]" in path or "[meter]" in path for path in told)
    assert after.pending == ()
    assert [one["name"] for one in deployer.service["template"]["containers"]] == ["serving", "meter"]


@pytest.mark.parametrize("kind", ["terraform", "gcloud", "knative", "cloudbuild"])
def test_every_export_has_it(deployer: WithMeter, kind: str) -> None:
    wanted = deployer.wanted()
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    target = deployer.target(google_for(deployer.cloud), chosen, wanted)
    files: dict[str, Any] = dict(export(kind, target.resources()))
    text = "\n".join(files.values())
    assert str(METER.image) in text
    assert "http://localhost:8080" in text
    assert "/counts" in text
    assert "container-dependencies" in text or re.search(r'depends_on += \["serving"\]', text)
