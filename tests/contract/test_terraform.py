"""The exported module, judged by Terraform itself with the provider's schema: what it plans is what `up` sends."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployers import Deployer
from deployment import google_for
from edges import DOMAIN, behind_its_edge
from guarded_at_balancers import ALL as ALL_PASSES
from guarded_at_balancers import screened_at_its_edge
from homeport import spec
from homeport.export import export
from homeport.export.terraform.hcl import Code, attributes, block, joined, to_hcl
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Outputs, Plan, Ref, Resource, apply, make_plan
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.load_balancer import Backend
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.rest import RestResource
from homeport.secret import Secret
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.companions import Companion
from homeport.targets.cloudrun.edge.backends import named_backends
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.model_selection import choose
from observed import fully_observed
from proxied import ROBOT, TEAM, behind_iap
from second_service import AGENT
from terraform_sent import address_of, behind_a_door, ensure_in_order, sent, told_of
from terraformed import (
    READY,
    REASON,
    Folder,
    requests,
    root_of,
    unordered,
)

pytestmark = [pytest.mark.terraform, pytest.mark.skipif(not READY, reason=REASON)]
TOKEN = "hf_very_secret"
PRIVATE = "file:own.key as PEM"
KEY = "projects/rehearsal/locations/us-central1/keyRings/ring/cryptoKeys/key"

Table = dict[str, Any]  # Any: values of homeport.toml


class Variant:
    """One deployment: by which engine, with which settings, with a token or not."""

    def __init__(
        self,
        engine: str,
        *,
        token: bool = True,
        access: Table | None = None,
        name: str = "home",
        companions: tuple[Companion, ...] = (),
        scaling: Table | None = None,
        tables: Table | None = None,
        **cloudrun: object,
    ) -> None:
        self._deployer = Deployer(engine)
        self._companions = companions
        self._token = HubToken(value=Secret(TOKEN), source="env:HF_TOKEN") if token else None
        callers = {"callers": ["user:friend@example.com", "group:team@example.com"]}
        table = self._deployer.wanted().model_dump() | {
            "cloudrun": cloudrun,
            "scaling": scaling or {},
            "access": callers | (access or {}),
            **(tables or {}),
        }
        self._spec = spec.parse(table)
        self._chosen = asyncio.run(choose(self._spec, Path("/x/homeport.toml"), find_home(), Silent()))

    def resources(self) -> list[Resource]:
        target = self._deployer.target(google_for(self._deployer.cloud), self._chosen, self._spec)
        made = replace(target, token=self._token, companions=self._companions)
        edge = self._spec.edge
        others = [replace(one, service=SMALL) for one in named_backends(edge)] if edge else []
        whole = with_agent(with_gateway(fully_observed(behind_its_edge(made, *others))))
        return behind_iap(screened_at_its_edge(whole)).resources()

    def up(self) -> Outputs:
        """Bring it up in a rehearsal: what everything turned out to be."""

        async def work() -> Outputs:
            await apply(await make_plan("home", "cloudrun", self.resources()), Silent())
            after = await make_plan("home", "cloudrun", self.resources())
            assert after.pending == ()
            return after.known

        return act(work())


SMALL = {"name": "projects/rehearsal/locations/europe-west4/services/small"}
OTHERS: Table = {"backends": {"/small": "small", "x-engine: vllm": "small"}, "shares": {"small": 10}}


OWN = {"certificate": "file:own.pem", "private_key": "file:own.key"}
INTERNAL = {"network": "default", "subnetwork": "default"}
THROUGH: Table = {"iap": [TEAM, ROBOT], "callers": []}
EDGES: dict[str, Table] = {
    "edge": {**OTHERS, "requests_per_minute": 60, "preview": True},
    "edge_own": OWN,
    "edge_regional": {"kind": "regional", **OTHERS, "requests_per_minute": 60},
    "edge_internal": {"kind": "internal", **OWN},
    "edge_internal_isolated": {"kind": "internal", **OWN},
}
VARIANTS: dict[str, Table] = {
    **{
        name: {
            "engine": "vllm",
            "tables": {"edge": {"domain": DOMAIN, **edge}},
            **(INTERNAL if "internal" in name else {}),
            **({"access": {"isolated": True}} if "isolated" in name else {}),
        }
        for name, edge in EDGES.items()
    },
    "edge_traffic": {
        "engine": "vllm",
        "tables": {
            "edge": {"domain": DOMAIN, "kind": "regional"},
            "guard": {"where": "traffic-extension", "unscreened": ALL_PASSES},
        },
    },
    "edge_authz": {
        "engine": "vllm",
        "tables": {
            "edge": {"domain": DOMAIN, "kind": "regional"},
            "guard": {"where": "authz-extension", "unscreened": ALL_PASSES},
        },
    },
    "iap": {"engine": "ollama", "access": THROUGH},
    "edge_iap": {
        "engine": "vllm",
        "access": THROUGH,
        "tables": {"edge": {"domain": DOMAIN, "requests_per_minute": 60, **OTHERS}, "guard": {}},
    },
    "edge_regional_iap": {
        "engine": "ollama",
        "access": THROUGH,
        "tables": {"edge": {"domain": DOMAIN, "kind": "regional"}},
    },
    "edge_internal_iap": {
        "engine": "vllm",
        "access": THROUGH,
        "tables": {"edge": {"domain": DOMAIN, "kind": "internal", **OWN}},
        **INTERNAL,
    },
    "long_name": {"engine": "vllm", "name": "longer-than-an-account-or-a-bucket-likes"},
    "ollama": {"engine": "ollama"},
    "ollama_open": {
        "engine": "ollama",
        "token": False,
        "access": {"public": True, "anyone_may_spend_my_money": True, "callers": []},
        "scaling": {"min": 1, "max": 2, "target_concurrency": 0.8, "target_cpu": 0.0},
    },
    "ollama_isolated": {"engine": "ollama", "access": {"isolated": True}},
    "vllm": {"engine": "vllm"},
    "vllm_and_agent": {"engine": "vllm", "companions": (AGENT,)},
    "warm": {"engine": "vllm", "scaling": {"warm": ["Mon-Fri 08:00-18:00 Europe/Berlin"]}},
    "agent": {"engine": "vllm", "tables": {"agent": {"tools": ["calculator"], "registry": True}}},
    "observed": {
        "engine": "vllm",
        "tables": {"observe": {"alerts": ["mailto:ops@example.com"], "slo": {"ttft": "2s"}, "budget": 50}},
    },
    "asked_from_outside": {
        "engine": "ollama",
        "scaling": {"min": 1},
        "tables": {"observe": {"uptime": True, "alerts": ["mailto:ops@example.com"]}},
    },
    "guarded": {"engine": "vllm", "tables": {"guard": {}}},
    "guarded_isolated": {
        "engine": "ollama",
        "tables": {"guard": {"filters": ["injection", "harm"]}},
        "access": {"isolated": True},
    },
    "vllm_isolated": {"engine": "vllm", "access": {"isolated": True, "encryption_key": KEY}},
    "vllm_cached": {
        "engine": "vllm",
        "delivery": "gcsfuse-cached",
        "network": "default",
        "subnetwork": "default",
        "token": False,
    },
    "vllm_streamed": {
        "engine": "vllm",
        "delivery": "stream",
        "region": "europe-west4",
        "gpu": "nvidia-rtx-pro-6000",
        "access": {"audience": "https://models.example.com", "callers": []},
        "timeout_s": 60,
    },
}


BEFORE = "vllm_before"
"""The module of `vllm` once more, when nothing is built yet."""
CLOSED = "edge_closed"
ROADS = {"edge_traffic": "edge_traffic_closed", "edge_authz": "edge_authz_closed"}
"""Where Google screens at the load balancer, and the same once the service's own address is closed: callers come then alone."""
"""That of `edge` once more, when its load balancer was seen to answer."""
BACK_DOOR = "https://home-6qzt42z6ca-ez.a.run.app"


@dataclass(frozen=True)
class Plans:
    """One plan of all variants, and what each was exported from."""

    folder: Folder
    plan: Table
    resources: Mapping[str, list[Resource]]
    outputs: Mapping[str, Outputs]


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    folder = Folder(tmp_path_factory.mktemp("terraform"))
    resources = {name: Variant(**settings).resources() for name, settings in VARIANTS.items()}
    outputs = {
        name: Variant(**_plain(settings)).up() for name, settings in VARIANTS.items() if name not in _NOT_UP
    }
    # Their certificate is none, and one is in a network that no rehearsal has: all but their parts is as of any other.
    outputs |= dict.fromkeys(_NOT_UP, outputs["vllm"])
    modules = {name: export("terraform", things) for name, things in resources.items()}
    modules[BEFORE], modules[CLOSED] = modules["vllm"], modules["edge"]
    modules |= {closed: modules[name] for name, closed in ROADS.items()}
    images = {name: outputs.get(name, outputs["vllm"])["image/serving"]["reference"] for name in modules}
    for name, known in outputs.items():
        more = (id_.removeprefix("image/") for id_ in known if id_.startswith("image/"))
        images |= {
            f"{name}_image_{one}": known[f"image/{one}"]["reference"] for one in more if one != "serving"
        }
    for name, files in modules.items():
        folder.write(files, name)
    folder.write(
        {
            "main.tf": root_of(
                modules, without_image={BEFORE}, closing=dict.fromkeys((CLOSED, *ROADS.values()), BACK_DOOR)
            )
        }
    )
    folder.run("get")
    return Plans(
        folder,
        folder.planned({"hub_token": TOKEN, "edge_private_key": PRIVATE, **images}),
        resources,
        outputs,
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_what_terraform_would_make_is_what_up_makes(plans: Plans, name: str) -> None:
    made = {key: planned.body for key, planned in requests(plans.plan, name).items()}
    callers = behind_a_door(plans.resources[name])
    if name in ROADS:
        assert callers
        assert not callers & made.keys(), "past its own address nothing screens"
        closed = requests(plans.plan, ROADS[name])
        made |= {key: closed[key].body for key in callers}
    assert unordered(made) == unordered(sent(plans.resources[name], plans.outputs[name]))


@pytest.mark.parametrize("name", ["ollama", "vllm", "vllm_and_agent", "edge", "edge_regional"])
def test_where_terraforms_bodies_were_sent_up_finds_nothing_to_do(plans: Plans, name: str) -> None:
    made, cloud = requests(plans.plan, name), Variant(**VARIANTS[name])
    numbers = {
        told_of(one)["id"]: Ref(one.id, "id") for one in plans.resources[name] if isinstance(one, Backend)
    }

    def planned(one: Resource) -> Resource:
        key = address_of(one)
        if not isinstance(one, RestResource) or key is None:
            return one
        return replace(one, wanted=_numbered(made[key].body, numbers), after=one.needs)

    async def work() -> Plan:
        await apply(
            await make_plan("home", "cloudrun", [planned(one) for one in cloud.resources()]), Silent()
        )
        return await make_plan("home", "cloudrun", cloud.resources())

    # For some of its tests the provider has no words where a URL map is of a region.
    left = {"url-map/home-edge": {"tests"}} if name == "edge_regional" else {}
    changes = {
        action.resource.id: {change.path.partition("[")[0] for change in action.changes} for action in act(work()).pending
    }  # fmt: skip
    assert changes == left


def _numbered(value: Any, numbers: Mapping[str, Ref]) -> Any:  # Any: JSON, with references
    if isinstance(value, Mapping):
        return {key: _numbered(inner, numbers) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbered(inner, numbers) for inner in value]
    return numbers.get(value, value) if isinstance(value, str) else value


def test_once_its_edge_answers_the_service_is_closed_as_up_closes_it(plans: Plans) -> None:
    opened, closed = requests(plans.plan, "edge"), requests(plans.plan, CLOSED)
    (door,) = [one for one in plans.resources["edge"] if isinstance(one, ClosedDoor)]
    (key,) = [key for key in closed if closed[key].body != opened[key].body]
    assert key == ("run", door.path)
    differs = {name: value for name, value in closed[key].body.items() if value != opened[key].body.get(name)}
    annotations = {name: value for name, value in door.closed(BACK_DOOR)["annotations"].items() if value}
    assert differs == {**door.closed(BACK_DOOR), "annotations": annotations}
    told = plans.plan["planned_values"]["outputs"][f"{CLOSED}_url"]["value"]
    assert told == BACK_DOOR, "the service has no address to tell any more, and the module is applied again"


def test_the_domains_records_are_an_output(plans: Plans) -> None:
    modules = plans.plan["planned_values"]["root_module"]["child_modules"]
    assert {one["address"] for one in modules} >= {"module.edge", "module.edge_own"}
    outputs = plans.plan["configuration"]["root_module"]["module_calls"]
    for name, told in (("edge", 2), ("edge_own", 1), ("edge_regional", 2), ("edge_internal", 1)):
        references = outputs[name]["module"]["outputs"]["dns"]["expression"]["references"]
        assert len([one for one in references if one.count(".") == 1]) == told, references


@pytest.mark.parametrize("name", VARIANTS)
def test_terraform_makes_each_thing_after_what_it_needs(plans: Plans, name: str) -> None:
    planned = ROADS.get(name, name)
    made, before = requests(plans.plan, planned), plans.folder.waits(planned)
    assert ensure_in_order(plans.resources[name], made, before) > 15


def test_until_an_image_is_named_all_is_made_but_the_service_and_who_may_call_it(plans: Plans) -> None:
    before, after = requests(plans.plan, BEFORE), requests(plans.plan, "vllm")
    assert {key[0] for key in after.keys() - before.keys()} == {"run"}
    assert all(before[key] == after[key] for key in before)
    assert "run" not in {key[0] for key in before}


def test_the_token_is_in_no_file_and_in_no_plan(plans: Plans) -> None:
    files = [path for path in plans.folder.path.rglob("*") if path.is_file()]
    assert any(path.name == "planned" for path in files)
    for secret in (TOKEN, PRIVATE):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        assert secret not in json.dumps(plans.plan)


def test_the_files_are_as_terraform_would_format_them(plans: Plans) -> None:
    for name in VARIANTS:
        plans.folder.run("fmt", "-check", "-diff", name)


def test_terraform_refuses_an_argument_that_the_provider_does_not_have(tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    folder = Folder(tmp_path)
    files = export("terraform", Variant("ollama").resources())
    assert "min_instance_count = 0" in files["service.tf"]
    folder.write(files)
    folder.run("validate")
    folder.write({"service.tf": files["service.tf"].replace("min_instance_count", "min_instances_count")})
    said = folder.run("validate", "-no-color", code=1)
    assert 'Did you mean "min_instance_count"?' in " ".join(said.err.split())


def test_a_second_image_has_a_variable_of_its_own_and_its_service_waits_for_it(tmp_path: Path) -> None:
    container = replace(AGENT.containers[0], image=Ref("image/agent", "reference"))
    things = Variant("vllm", companions=(replace(AGENT, containers=(container,)),)).resources()
    serving = next(one for one in things if isinstance(one, ContainerImage | MirroredImage))
    folder = Folder(tmp_path)
    files = export("terraform", [*things, replace(serving, package="agent")])
    assert "printf 'image_agent = " in files["main.tf"]
    folder.write(files)
    folder.run("fmt", "-check", "-diff")
    first, second = (f"{serving.reference}@sha256:{digit * 64}" for digit in "12")

    def images(**variables: str) -> dict[str, str]:
        planned = folder.planned({"hub_token": TOKEN, **variables})["planned_values"]["root_module"][
            "resources"
        ]
        services = (one["values"] for one in planned if one["type"] == "google_cloud_run_v2_service")
        return {one["name"]: one["template"][0]["containers"][0]["image"] for one in services}

    assert images() == {}
    assert images(image=first) == {"home": first}
    assert images(image_agent=second) == {}, "it calls the model, which is not there yet"
    assert images(image=first, image_agent=second) == {"home": first, "home-agent": second}


def test_an_image_by_its_tag_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(export("terraform", Variant("ollama").resources()))
    said = folder.run(
        "plan", "-input=false", "-no-color", code=1, variables={"hub_token": TOKEN, "image": "home/serving:latest"}
    )  # fmt: skip
    assert "Name the image by its digest" in said.err


def test_any_text_is_the_same_text_to_terraform(tmp_path: Path) -> None:
    pieces = ("$", "{", "}", "%", '"', "\\", "\n", "\r", "\t", "\x7f", "'", "#", "ä", "€", "\U0001f600", "${", "%{", "$${", "a", " ", "<<EOT\n")  # fmt: skip
    dice = random.Random(5)
    texts = ["".join(dice.choices(pieces, k=dice.randrange(12))) for _ in range(400)]
    value = {"list": texts, "map": {text: text for text in texts}}
    around = [joined(text, Code('"-"'), text) for text in texts]
    output = block("output", "texts", body=attributes({"value": {**value, "around": around}}))
    folder = Folder(tmp_path)
    folder.write({"main.tf": to_hcl([output])})
    folder.run("fmt", "-check", "-diff")
    planned = folder.planned({})["planned_values"]["outputs"]["texts"]["value"]
    assert planned == {**value, "around": [f"{text}-{text}" for text in texts]}


_NOT_UP = ("edge_own", "edge_internal", "edge_internal_isolated", "edge_internal_iap")


def _plain(settings: Table) -> Table:
    """
    What can be brought up in a rehearsal, which acts out no key of KMS and has no network before: what things turn
    out to be depends on the rest alone.
    """
    kept = {"engine", "name", "delivery", "region", "companions", "tables", "scaling"}
    return {key: value for key, value in settings.items() if key in kept}
