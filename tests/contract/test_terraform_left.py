"""A module beside what an earlier one left, judged by Terraform itself: it is valid, and what a service leaves goes after it has left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployment import google_for
from homeport.export.earlier import ensure_none_left, notes
from homeport.progress import Silent
from homeport.targets.cloudrun.regions.one_region import CloudRunLifecycle
from regions import SECOND, InTwoRegions
from terraformed import READY, REASON, Folder, root_of

pytestmark = [pytest.mark.terraform, pytest.mark.skipif(not READY, reason=REASON)]
THIRD = "asia-southeast1"
THEIRS = {"network": "theirs", "subnetwork": "theirs"}
TABLES: dict[str, dict[str, Any]] = {  # Any: values of homeport.toml
    "plain": {},
    "isolated": {"access": {"isolated": True}},
    "tables": {
        "guard": {},
        "agent": {"tools": ["calculator"]},
        "observe": {"alerts": ["mailto:ops@example.com"]},
    },
}
_BLOCK = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def exported(folder: Path, tables: dict[str, Any], *regions: str, theirs: bool = False) -> dict[str, str]:
    """The module of a file with these tables, and with further regions behind a load balancer; without its builds."""
    deployer = InTwoRegions("vllm", folder)
    deployer.tables = {**tables, **({"cloudrun": THEIRS} if theirs else {})}
    google, file = google_for(deployer.cloud), Path("/x/homeport.toml")
    if regions:
        return act(deployer.lifecycle(google, deployer.in_both(*regions)).export("terraform", Silent()))
    alone = CloudRunLifecycle(google=google, spec=deployer.file_with({}, {}), spec_file=file, via="")
    return act(alone.export("terraform", Silent()))


def skeleton(module: dict[str, str]) -> dict[str, str]:
    """The same blocks, of the kind that Terraform makes by itself, each after what it names."""
    blocks = {f"{kind}.{label}": body for text in module.values() for kind, label, body in _BLOCK.findall(text)}  # fmt: skip
    lines = []
    for address, body in blocks.items():
        named = sorted(
            {each for each in re.findall(r"\bgoogle_\w+\.\w+", body) if each in blocks} - {address}
        )
        after = ", ".join(f"terraform_data.{each.replace('.', '-')}" for each in named)
        lines.append(
            f'resource "terraform_data" "{address.replace(".", "-")}" {{\n  input = "{hash(body)}"\n  depends_on = [{after}]\n}}\n'
        )
    return {"main.tf": "\n".join(lines)}


def apply(folder: Folder, module: dict[str, str]) -> str:
    folder.write(skeleton(module))
    return folder.run("apply", "-auto-approve", "-input=false", "-no-color").out


@pytest.mark.parametrize(
    ("name", "regions"),
    [("plain", ()), ("isolated", ()), ("tables", ()), ("plain", (SECOND,)), ("tables", (SECOND,))],
)
def test_a_module_is_valid_beside_the_network_that_it_left_and_its_services_wait_for_nothing_of_it(
    tmp_path: Path, name: str, regions: tuple[str, ...]
) -> None:
    ours = exported(tmp_path, TABLES[name], *regions)
    theirs = exported(tmp_path, TABLES[name], *regions, theirs=True)
    folder = Folder(tmp_path / "all")
    folder.write(ours, "it")
    ensure_none_left("terraform", theirs, folder.path / "it")
    assert len(notes("terraform", theirs, folder.path / "it")) == 1
    folder.write(theirs, "it")
    folder.write({"main.tf": root_of({"it": theirs})})
    folder.run("get")
    folder.run("validate")
    waits = folder.waits("it")
    left = {f"{kind}.{label}" for kind, label, _ in _BLOCK.findall(ours["network.tf"])}
    assert {"google_compute_network.main", "google_compute_subnetwork.main"} <= left <= waits.keys()
    services = [one for one in waits if one.startswith("google_cloud_run_v2_service.")]
    assert len(services) >= 1 + len(regions)
    assert not [one for one in services if waits[one] & left]


@pytest.mark.parametrize("regions", [(), (SECOND,)], ids=["alone", "two"])
def test_a_subnetwork_goes_after_the_service_has_left_it_by_two_applies_and_before_by_one(
    tmp_path: Path, regions: tuple[str, ...]
) -> None:
    ours = exported(tmp_path, {}, *regions)
    theirs = exported(tmp_path, {}, *regions, theirs=True)
    both = {**theirs, "network.tf": ours["network.tf"]}
    ends = ("", *(f"_{region.replace('-', '_')}" for region in regions))
    in_two, in_one = Folder(tmp_path / "two"), Folder(tmp_path / "one")
    for folder in (in_two, in_one):
        apply(folder, ours)
    first, second, at_once = apply(in_two, both), apply(in_two, theirs), apply(in_one, theirs)
    for end in ends:
        gone = f"google_compute_subnetwork-main{end}: Destruction complete"
        moved = f"google_cloud_run_v2_service-main{end}: Modifying"
        assert moved in first
        assert gone not in first
        assert gone in second
        assert moved not in second
        assert at_once.index(gone) < at_once.index(moved), "which is why it is not written so"


def test_the_module_without_the_load_balancer_is_valid_once_all_that_it_left_is_deleted_together(
    tmp_path: Path,
) -> None:
    three, one = exported(tmp_path, {}, SECOND, THIRD), exported(tmp_path, {})
    module = Folder(tmp_path / "module")
    module.write(three)
    left = {name for name in three.keys() - one.keys() if name.endswith(".tf")}
    assert left == {f"{THIRD}.tf", "edge.tf", f"{SECOND}.tf"}
    for name in left:
        (module.path / name).unlink()
    # Nor would Terraform take what stands there then: nothing is applied before the module is written again.
    assert "Reference to undeclared resource" in module.run("validate", "-no-color", code=1).err
    ensure_none_left("terraform", one, module.path)
    module.write(one)
    module.run("validate")
