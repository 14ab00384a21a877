"""The module of a file with several regions, judged by Terraform itself: all regions at once, what `up` makes, and services in turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployment import google_for
from edges import DOMAIN
from homeport.export import export
from homeport.export.graph import OF_EDGE, Things
from homeport.progress import Silent
from homeport.reconcile import Outputs, Plan, Ref, Resource, apply, make_plan
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.load_balancer import Backend
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service import Service
from homeport.targets.cloudrun.regions.in_region import InRegion
from proxied import ROBOT, TEAM, behind_iap
from regions import FIRST, SECOND, InTwoRegions
from terraform_sent import address_of, ensure_in_order, sent, told_of
from terraformed import READY, REASON, Folder, Key, Planned, requests, root_of, unordered

pytestmark = [pytest.mark.terraform, pytest.mark.skipif(not READY, reason=REASON)]
THIRD = "asia-southeast1"
KEY = "projects/rehearsal/locations/{region}/keyRings/ring/cryptoKeys/key"
CALLERS = ["user:friend@example.com", "group:team@example.com"]
VARIANTS: dict[str, dict[str, Any]] = {  # Any: values of homeport.toml
    "two": {"access": {"callers": CALLERS}},
    "encrypted": {"access": {"callers": CALLERS, "encryption_key": KEY}},
    "tables": {
        "guard": {},
        "agent": {"tools": ["calculator"]},
        "observe": {"alerts": ["mailto:ops@example.com"]},
    },
    "iap": {"access": {"iap": [TEAM, ROBOT]}},
    "warm": {"scaling": {"warm": ["Mon-Fri 08:00-18:00 Europe/Berlin"]}},
}
"""By their tables beside `[edge]`."""
CLOSED, LED, HALF, ADDED = "closed", "led", "half", "added"
"""
The module of `two` when its load balancer was seen to answer, and that of `tables`; of `two` when the first region alone has an image,
and the first two.
"""
UNSERVED = {HALF: (SECOND, THIRD), ADDED: (THIRD,)}
"""By module: the regions of whose images nothing is known yet."""
BACK_DOORS = {
    FIRST: "https://home-6qzt42z6ca-ez.a.run.app",
    SECOND: "https://home-6qzt42z6ca-uc.a.run.app",
    THIRD: "https://home-6qzt42z6ca-as.a.run.app",
}


@dataclass(frozen=True)
class Regions:
    """One deployment in three regions."""

    deployer: InTwoRegions
    tables: dict[str, dict[str, Any]]  # Any: values of homeport.toml

    def resources(self, *, but: str = "") -> list[Resource]:
        """All that `up` makes, without one key of `[access]`."""
        access = {key: value for key, value in self.tables.get("access", {}).items() if key != but}
        self.deployer.tables = {**self.tables, **({"access": access} if access else {})}
        wanted = self.deployer.in_both(SECOND, THIRD)
        chosen = self.deployer._choose(wanted)
        return behind_iap(self.deployer.target(google_for(self.deployer.cloud), chosen, wanted)).resources()

    def outputs(self) -> Outputs:
        """What everything turned out to be in a rehearsal. A key encrypts there nothing, and is not looked for."""
        resources = self.resources(but="encryption_key")

        async def work() -> Outputs:
            await apply(await make_plan("home", "cloudrun", resources), Silent())
            after = await make_plan("home", "cloudrun", resources)
            assert after.pending == ()
            return after.known

        return act(work())


@dataclass(frozen=True)
class Plans:
    """One plan of all variants, and what each was exported from."""

    folder: Folder
    plan: dict[str, Any]  # Any: JSON
    resources: dict[str, list[Resource]]
    things: dict[str, Things]

    def made(self, name: str) -> dict[Key, Planned]:
        """What would be made by a module."""
        return requests(self.plan, name)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    folder = Folder(tmp_path_factory.mktemp("terraform"))
    resources: dict[str, list[Resource]] = {}
    things: dict[str, Things] = {}
    for name, tables in VARIANTS.items():
        one = Regions(InTwoRegions("vllm", folder.path), tables)
        outputs = one.outputs()
        resources[name] = one.resources()
        things[name] = Things.of(resources[name], outputs)
    modules = {name: export("terraform", each) for name, each in resources.items()}
    modules |= dict.fromkeys((CLOSED, *UNSERVED), modules["two"])
    modules[LED], things[LED] = modules["tables"], things["tables"]
    for name, files in modules.items():
        folder.write(files, name)
    root = root_of(modules, closing=dict.fromkeys((CLOSED, LED), BACK_DOORS[FIRST]))
    # Of the second region its door is closed, too, and of the third as well.
    more = "".join(f'  back_door{_end(region)} = "{BACK_DOORS[region]}"\n' for region in (SECOND, THIRD))
    for name in (CLOSED, LED):
        root = root.replace(f'  source = "./{name}"\n', f'  source = "./{name}"\n{more}')
    for name, region in [(name, region) for name, regions in UNSERVED.items() for region in regions]:
        image = f"{name}_image{_end(region)}"
        for said in (
            f"  image{_end(region)} = var.{image}\n",
            f'variable "{image}" {{\n  type = string\n}}\n',
        ):
            assert said in root
            root = root.replace(said, "")
    folder.write({"main.tf": root})
    folder.run("get")
    images = {key: value for name in modules for key, value in _images(name, things).items()}
    images = {key: value for key, value in images.items() if f'variable "{key}"' in root}
    return Plans(
        folder,
        folder.planned({"hub_token": "hf_none", "edge_private_key": "none", **images}),
        resources,
        things,
    )


def _images(name: str, things: dict[str, Things]) -> dict[str, str]:
    """The images of a module, by the root's variables for them."""
    of = things.get(name, things["two"])
    found = {}
    for region in of.regions:
        for image in region.images:
            word = "" if image.id == "image/serving" else f"_image_{image.package}"
            end = _end(region.region) if region.is_further else ""
            reference = region.outputs[image.id]["reference"]
            found[f"{name}{word or ('_image' if end else '')}{end}"] = reference
    return found


def _end(region: str) -> str:
    return f"_{region.replace('-', '_')}"


@pytest.mark.parametrize("name", VARIANTS)
def test_what_terraform_would_make_in_all_regions_is_what_up_makes(plans: Plans, name: str) -> None:
    made = {key: planned.body for key, planned in plans.made(name).items()}
    wanted: dict[Key, Any] = {}  # Any: JSON
    parts = {
        one.id: told_of(one)
        for one in plans.resources[name]
        if one.kind in OF_EDGE and isinstance(one, RestResource)
    }
    for region in plans.things[name].regions:
        there = sent(region.own, {**region.outputs, **parts})
        assert not wanted.keys() & there.keys()
        wanted |= there
    if "agent" in VARIANTS[name]:
        # Until the load balancer is said to answer, the agent asks the service itself.
        assert _model_url(wanted)["value"] == f"https://{DOMAIN}"
        _model_url(wanted)["value"] = BACK_DOORS[FIRST]
    assert unordered(made) == unordered(wanted)
    assert len({key for key in made if key[0] == "run" and key[1].endswith("/services/home")}) >= 3


def test_an_agent_is_led_to_the_load_balancer_once_that_is_said_to_answer(plans: Plans) -> None:
    made = {key: planned.body for key, planned in plans.made(LED).items()}
    assert _model_url(made)["value"] == f"https://{DOMAIN}"


def _model_url(made: Mapping[Key, Any]) -> dict[str, Any]:  # Any: JSON
    agent = made["run", f"v2/projects/rehearsal/locations/{FIRST}/services/home-agent"]
    environment = agent["template"]["containers"][0]["env"]
    found: dict[str, Any] = next(one for one in environment if one["name"] == "MODEL_URL")
    return found


def test_where_terraforms_bodies_were_sent_up_finds_nothing_to_do(plans: Plans, tmp_path: Path) -> None:
    made, one = plans.made("two"), Regions(InTwoRegions("vllm", tmp_path), VARIANTS["two"])
    numbers = {
        told_of(each)["id"]: Ref(each.id, "id")
        for each in plans.resources["two"]
        if isinstance(each, Backend)
    }

    def planned(each: Resource) -> Resource:
        if isinstance(each, InRegion):
            return replace(each, thing=planned(each.thing))
        key = address_of(each)
        if not isinstance(each, RestResource) or key is None:
            return each
        return replace(each, wanted=_numbered(made[key].body, numbers), after=each.needs)

    wanted = one.resources()

    async def work() -> Plan:
        await apply(await make_plan("home", "cloudrun", [planned(each) for each in wanted]), Silent())
        return await make_plan("home", "cloudrun", wanted)

    assert act(work()).pending == ()


def _numbered(value: Any, numbers: dict[str, Ref]) -> Any:  # Any: JSON, with references
    if isinstance(value, dict):
        return {key: _numbered(inner, numbers) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbered(inner, numbers) for inner in value]
    return numbers.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("name", VARIANTS)
def test_terraform_makes_each_thing_of_a_region_after_what_it_needs(plans: Plans, name: str) -> None:
    made, before = plans.made(name), plans.folder.waits(name)
    regions = plans.things[name].regions
    assert sum(ensure_in_order(one.resources, made, before, own=one.own) for one in regions) > 45


@pytest.mark.parametrize("name", VARIANTS)
def test_a_service_waits_for_that_of_the_region_before_and_who_leads_clients_for_all(
    plans: Plans, name: str
) -> None:
    made, before = plans.made(name), plans.folder.waits(name)
    chain = [made[("run", region.service.address.path)].address for region in plans.things[name].regions]
    for earlier, later in pairwise(chain):
        assert earlier in before[later]
        assert later not in before[earlier]
    backend = "google_compute_backend_service.edge"
    callers = {each for each in before if ".callers" in each or ".entrants" in each}
    assert len(chain) == len(callers) == 3
    assert {*chain, *callers} <= before[backend]
    # Nothing else of a region waits for another one: repositories and buckets are there before any image is.
    services = {
        made[key].address
        for key in made
        if key[0] == "run" and len(key) == 2  # grants have a role and a member, too
    }
    early = [each for each in before if each.startswith(("google_storage_bucket.", "google_artifact_registry_repository."))]  # fmt: skip
    assert len(early) >= 6
    assert not [each for each in early if before[each] & services]


@pytest.mark.parametrize("name", UNSERVED)
def test_a_region_without_an_image_is_led_to_by_nothing_and_takes_nothing_from_those_that_serve(
    plans: Plans, name: str
) -> None:
    some, whole = plans.made(name), plans.made("two")
    left_out = {
        key
        for key in whole
        if any(_is_in(region, key[1]) for region in UNSERVED[name])
        and (key[0] == "run" or "/networkEndpointGroups/" in key[1] or "/backendServices/" in key[1])
    }
    # Its service and both who may call it; what clients, a proof and a look at that region alone come by.
    assert len(left_out) == (1 + 2 + 3 + 2) * len(UNSERVED[name])
    assert whole.keys() - some.keys() == left_out
    lead = [key for key in some if key[1].endswith(("/backendServices/home-edge", "/urlMaps/home-edge"))]
    for key in some:
        body = _without(whole[key].body, UNSERVED[name]) if key in lead else whole[key].body
        assert some[key].body == body
    (serving, ways) = [some[key].body for key in sorted(lead)]
    regions = [region.region for region in plans.things["two"].regions]
    assert [one["group"].split("/")[-3] for one in serving["backends"]] == [
        region for region in regions if region not in UNSERVED[name]
    ]
    assert not [region for region in UNSERVED[name] if region in str(ways)]


def _without(value: Any, regions: tuple[str, ...]) -> Any:  # Any: JSON
    """A body without the parts of lists that lead to one of these regions alone."""
    if isinstance(value, dict):
        return {key: _without(inner, regions) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    return [
        _without(one, regions)
        for one in value
        if not (isinstance(one, dict) and any(_is_in(region, said) for region in regions for said in one.values()))
    ]  # fmt: skip


def _is_in(region: str, said: Any) -> bool:  # Any: JSON
    """Whether a text names what is in a region, or is for it alone."""
    return isinstance(said, str) and (f"/{region}/" in said or said.endswith(f"-{region}"))


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_said_of_grants_stands_where_it_is_true(plans: Plans, name: str) -> None:
    said = {
        "Clients are led to a region": "google_compute_backend_service",
        "the first instance would not start": "google_cloud_run_v2_service",
        "the first call of another service would be refused": "google_cloud_run_v2_service",
    }
    text = "\n".join(file.read_text() for file in sorted((plans.folder.path / name).glob("*.tf")))
    blocks = re.findall(r'^resource "(\w+)" "\w+" \{$(.*?)^\}$', text, re.DOTALL | re.MULTILINE)
    for words, kind in said.items():
        assert text.count(words) == sum(words in body for each, body in blocks if each == kind)
    assert text.count("Clients are led to a region") == 1
    # The service of each region comes after a grant to read its weights; the agent's after one to call the model's.
    assert text.count("the first instance would not start") == 3
    assert text.count("the first call of another service") == (name == "tables")


def test_once_its_edge_answers_the_services_of_all_regions_are_closed_as_up_closes_them(plans: Plans) -> None:
    opened, closed = plans.made("two"), plans.made(CLOSED)
    changed = {key for key in closed if closed[key].body != opened[key].body}
    doors = {}
    for region in plans.things["two"].regions:
        (door,) = [one for one in region.own if isinstance(one, ClosedDoor)]
        doors[("run", door.path)] = door, BACK_DOORS[region.region]
    assert changed == doors.keys()
    for key, (door, address) in doors.items():
        was = opened[key].body
        differs = {name: value for name, value in closed[key].body.items() if value != was.get(name)}
        told = {name: value for name, value in door.closed(address)["annotations"].items() if value}
        assert differs == {**door.closed(address), "annotations": told}


def test_the_files_are_as_terraform_would_format_them_and_the_domain_has_one_set_of_records(
    plans: Plans,
) -> None:
    for name in VARIANTS:
        plans.folder.run("fmt", "-check", "-diff", "-recursive", name)
        outputs = plans.plan["configuration"]["root_module"]["module_calls"][name]["module"]["outputs"]
        assert outputs.keys() >= {
            f"{word}{end}" for word in ("url", "bucket") for end in ("", _end(SECOND), _end(THIRD))
        }
        references = outputs["dns"]["expression"]["references"]
        assert len([one for one in references if one.count(".") == 1]) == 2, references


def test_each_region_has_a_key_of_its_own(plans: Plans) -> None:
    made = plans.made("encrypted")
    for region in plans.things["encrypted"].regions:
        key = KEY.replace("{region}", region.region)
        assert made[("run", region.service.address.path)].body["template"]["encryptionKey"] == key
        kept = [
            planned.body
            for address, planned in made.items()
            if f"/locations/{region.region}/repositories/" in address[1] and len(address) == 2
        ]
        assert kept
        assert all(body["kmsKeyName"] == key for body in kept)


def test_the_door_of_the_domain_is_that_of_every_region(plans: Plans) -> None:
    services = [
        one for region in plans.things["two"].regions for one in region.own if isinstance(one, Service)
    ]
    bodies = [plans.made("two")[("run", one.address.path)].body for one in services]
    assert [body["customAudiences"] for body in bodies] == [[f"https://{DOMAIN}"]] * 3
