"""The module of a file with several regions, judged by Terraform itself: all regions at once, what `up` makes, and services in turn."""

from __future__ import annotations

from collections.abc import Iterator
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
from homeport.export.terraform.addresses import is_early
from homeport.progress import Silent
from homeport.reconcile import Outputs, Plan, Ref, Resource, apply, make_plan
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.load_balancer import Backend
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service import Service
from homeport.targets.cloudrun.in_region import InRegion
from regions import FIRST, SECOND, InTwoRegions
from terraform_sent import address_of, sent, told_of
from terraformed import READY, REASON, Folder, Key, Planned, requests, root_of, unordered, waits

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
    "warm": {"scaling": {"warm": ["Mon-Fri 08:00-18:00 Europe/Berlin"]}},
}
"""By their tables beside `[edge]`."""
CLOSED, HALF = "closed", "half"
"""The module of `two` when its load balancer was seen to answer; and when one region has an image alone."""
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
        return self.deployer.target(google_for(self.deployer.cloud), chosen, wanted).resources()

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
    modules |= {CLOSED: modules["two"], HALF: modules["two"]}
    for name, files in modules.items():
        folder.write(files, name)
    root = root_of(modules, closing={CLOSED: BACK_DOORS[FIRST]})
    # Of the second region its door is closed, too, and of the third as well.
    more = "".join(f'  back_door{_end(region)} = "{BACK_DOORS[region]}"\n' for region in (SECOND, THIRD))
    root = root.replace(f'  source = "./{CLOSED}"\n', f'  source = "./{CLOSED}"\n{more}')
    # Nothing is known of the images of the regions behind the first.
    for region in (SECOND, THIRD):
        root = root.replace(f"  image{_end(region)} = var.{HALF}_image{_end(region)}\n", "")
        root = root.replace(f'variable "{HALF}_image{_end(region)}" {{\n  type = string\n}}\n', "")
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
    for region in (of, *of.further):
        for image in region.images:
            word = "" if image.id == "image/serving" else f"_image_{image.package}"
            end = _end(region.region) if region.whole else ""
            reference = region.outputs[image.id]["reference"]
            found[f"{name}{word or ('_image' if end else '')}{end}"] = reference
    return found


def _end(region: str) -> str:
    return f"_{region.replace('-', '_')}"


def _regions(plans: Plans, name: str) -> Iterator[Things]:
    of = plans.things[name]
    yield from (of, *of.further)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_terraform_would_make_in_all_regions_is_what_up_makes(plans: Plans, name: str) -> None:
    made = {key: planned.body for key, planned in plans.made(name).items()}
    wanted: dict[Key, Any] = {}  # Any: JSON
    parts = {
        one.id: told_of(one)
        for one in plans.resources[name]
        if one.kind in OF_EDGE and isinstance(one, RestResource)
    }
    for region in _regions(plans, name):
        there = sent(region.own, {**region.outputs, **parts})
        assert not wanted.keys() & there.keys()
        wanted |= there
    assert unordered(made) == unordered(wanted)
    assert len({key for key in made if key[0] == "run" and key[1].endswith("/services/home")}) >= 3


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
    made, before = plans.made(name), waits(plans.plan, name)
    checked = 0
    for region in _regions(plans, name):
        addresses = {
            one.id: made[key].address for one in region.resources if (key := address_of(one)) is not None
        }
        addresses["apis"] = "google_project_service.apis"
        for one in region.own:
            for need in one.needs:
                if is_early(one) and need.startswith("service/"):
                    continue
                if one.id in addresses and need in addresses and addresses[one.id] != addresses[need]:
                    assert addresses[need] in before[addresses[one.id]], f"{one.id} needs {need}"
                    checked += 1
    assert checked > 45


@pytest.mark.parametrize("name", VARIANTS)
def test_a_service_waits_for_that_of_the_region_before_and_who_leads_clients_for_all(
    plans: Plans, name: str
) -> None:
    made, before = plans.made(name), waits(plans.plan, name)
    chain = [made[("run", region.service.address.path)].address for region in _regions(plans, name)]
    for earlier, later in pairwise(chain):
        assert earlier in before[later]
        assert later not in before[earlier]
    backend = "google_compute_backend_service.edge"
    callers = {each for each in before if ".callers" in each}
    assert {*chain, *callers - {"google_cloud_run_v2_service_iam_member.callers"}} <= before[backend]
    # Nothing else of a region waits for another one: repositories and buckets are there before any image is.
    services = {
        made[key].address
        for key in made
        if key[0] == "run" and len(key) == 2  # grants have a role and a member, too
    }
    early = [each for each in before if each.startswith(("google_storage_bucket.", "google_artifact_registry_repository."))]  # fmt: skip
    assert len(early) >= 6
    assert not [each for each in early if before[each] & services]


def test_as_long_as_a_region_has_no_image_clients_are_led_nowhere_and_the_first_serves(plans: Plans) -> None:
    half, whole = plans.made(HALF), plans.made("two")
    left_out = whole.keys() - half.keys()
    regions = {SECOND, THIRD}
    assert {key[1].split("/")[4] for key in left_out if key[0] == "run"} <= {
        f"projects/rehearsal/locations/{one}".rpartition("/")[2] for one in regions
    }
    services = {
        key[1].split("/")[3 + 1] for key in half if key[0] == "run" and key[1].endswith("/services/home")
    }
    assert services == {FIRST}
    assert not [key for key in half if "/backendServices/" in key[1] or "/networkEndpointGroups/" in key[1]]
    assert [key for key in half if key[1].endswith("/addresses/home-edge")], "the DNS can be set meanwhile"
    assert {key[0] for key in left_out} == {"run", "compute"}


def test_once_its_edge_answers_the_services_of_all_regions_are_closed_as_up_closes_them(plans: Plans) -> None:
    opened, closed = plans.made("two"), plans.made(CLOSED)
    changed = {key for key in closed if closed[key].body != opened[key].body}
    doors = {}
    for region in _regions(plans, "two"):
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
    for region in _regions(plans, "encrypted"):
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
    services = [one for region in _regions(plans, "two") for one in region.own if isinstance(one, Service)]
    bodies = [plans.made("two")[("run", one.address.path)].body for one in services]
    assert [body["customAudiences"] for body in bodies] == [[f"https://{DOMAIN}"]] * 3
