"""Exports of a file with several regions: each region's things in its turn, what is shared once, and what leads to all of them last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloud import act
from deployment import google_for
from homeport.errors import StateError, Unsupported
from homeport.export import KINDS, OF_REGIONS
from homeport.export.earlier import ensure_none_left, notes
from homeport.progress import Silent
from homeport.targets.cloudrun.regions.one_region import CloudRunLifecycle
from regions import FIRST, SECOND, InTwoRegions

THIRD = "asia-southeast1"


@pytest.fixture
def deployer(tmp_path: Path) -> InTwoRegions:
    return InTwoRegions("vllm", tmp_path)


def exported(deployer: InTwoRegions, kind: str, *regions: str) -> dict[str, str]:
    wanted = deployer.in_both(*regions)
    return act(deployer.lifecycle(google_for(deployer.cloud), wanted).export(kind, Silent()))


def build(deployer: InTwoRegions, *regions: str) -> Any:  # Any: JSON
    return yaml.safe_load(exported(deployer, "cloudbuild", *regions)["cloudbuild.yaml"])


def test_a_script_makes_a_region_after_the_other_then_what_leads_to_them_and_then_it_closes_the_doors(
    deployer: InTwoRegions,
) -> None:
    script = exported(deployer, "gcloud", SECOND, THIRD)["deploy.sh"]
    regions = (FIRST, SECOND, THIRD)
    wanted = [
        *(f"\ndeploy home {region} " for region in regions),
        "\n# backend service home-edge\n",
        *(f"\ndoor /v2/projects/rehearsal/locations/{region}/services/home " for region in regions),
    ]
    places = [script.index(one) for one in wanted]
    assert places == sorted(places)
    assert all(script.count(one) == 1 for one in wanted)
    assert (
        script.count("gcloud iam service-accounts create home-run@")
        + script.count("accounts create home-run ")
        == 1
    ), "one for all"
    assert script.count('say "the domain\'s DNS must say:"') == 1


def test_files_of_a_further_region_are_in_its_folder_and_those_of_the_first_are_as_without_it(
    deployer: InTwoRegions,
) -> None:
    files = exported(deployer, "gcloud")
    there = {name for name in files if name.startswith(f"{SECOND}/")}
    assert {f"{SECOND}/service.in.yaml", f"{SECOND}/service.values", f"{SECOND}/door-home.json"} <= there
    assert f"bucketName: rehearsal-home-weights-{SECOND}" in files[f"{SECOND}/service.in.yaml"]
    assert f"rehearsal-home-weights-{SECOND}" not in files["service.in.yaml"]
    assert {name.partition("/")[2] for name in there} <= files.keys()


def test_a_build_deploys_a_region_after_the_other_and_no_two_of_its_steps_have_one_name(
    deployer: InTwoRegions,
) -> None:
    steps = build(deployer, SECOND, THIRD)["steps"]
    names = [one["id"] for one in steps]
    assert names == ["deploy", f"{SECOND}-deploy", f"{THIRD}-deploy"]
    assert not [one for one in steps if "waitFor" in one], "each comes after all before it"


def test_clients_are_led_to_the_regions_once_each_is_ready_and_who_may_call_is_said_of_each(
    deployer: InTwoRegions,
) -> None:
    script = exported(deployer, "cloudbuild", SECOND, THIRD)["prepare.sh"]
    every = " && ".join(f"serves home {region}" for region in (FIRST, SECOND, THIRD))
    assert f"\nif {every}; then\n" in script
    for region in (FIRST, SECOND, THIRD):
        assert f"\nif serves home {region}; then\n" in script
        assert script.count(f'it lets in then who may call home in {region}"') == 1


def test_each_of_the_keys_has_its_commands_at_the_head(deployer: InTwoRegions) -> None:
    deployer.tables["access"] = {
        "encryption_key": "projects/vault/locations/{region}/keyRings/r/cryptoKeys/k"
    }
    head = exported(deployer, "gcloud")["deploy.sh"].partition("\nset -euo")[0].replace("\n# ", " ")
    for region in (FIRST, SECOND):
        assert head.count(f"--keyring=r --location={region} ") == 3, "one for each of Google's accounts"


@pytest.mark.parametrize(("kind", "file"), [("trigger", "trigger-setup.sh"), ("github", "github-setup.sh")])
def test_the_account_of_a_pipeline_may_touch_the_buckets_of_all_regions(
    deployer: InTwoRegions, kind: str, file: str
) -> None:
    script = exported(deployer, kind)[file]
    (bound,) = [
        one for one in script.splitlines() if one.startswith("{") and "storage.googleapis.com/" in one
    ]
    for bucket in ("rehearsal-home-weights", f"rehearsal-home-weights-{SECOND}"):
        assert f"resource.name == 'projects/_/buckets/{bucket}'" in json.loads(bound)["expression"]


def test_a_module_has_a_file_for_each_further_region_and_writes_what_it_is_told_of_all_of_them(
    deployer: InTwoRegions,
) -> None:
    deployer.tables["guard"] = {}
    files = exported(deployer, "terraform", SECOND, THIRD)
    assert {
        f"{SECOND}.tf",
        f"{THIRD}.tf",
        f"{SECOND}/build-gateway.yaml",
        "build-gateway.yaml",
    } <= files.keys()
    for region in (SECOND, THIRD):
        assert f'location = "{region}"' in files[f"{region}.tf"]
        assert "google_service_account" not in files[f"{region}.tf"].replace("google_service_account.", ""), (
            "one for all"
        )
    head = files["main.tf"].partition("locals {")[0]
    for region in (FIRST, SECOND, THIRD):
        assert f"--region={region} --config=" in head
    for end in ("", "_us_central1", "_asia_southeast1"):
        assert head.count(f"printf 'image{end} = ") == 1
        assert head.count(f'url{end}=$(terraform output -raw url{end}) && [ -n "$url{end}" ]') == 1
    assert head.count(" > image.auto.tfvars") == 1, "the first line makes the file, all others go behind it"
    assert (
        " ".join(head.replace("\n#", "").split()).count(
            f"one after another: {FIRST}, then {SECOND}, then {THIRD}."
        )
        == 1
    )


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - set(OF_REGIONS)))
def test_what_would_make_all_regions_at_once_refuses_them_and_says_what_does_not(
    deployer: InTwoRegions, kind: str
) -> None:
    with pytest.raises(Unsupported, match=f"several regions cannot be exported as {kind}") as refused:
        exported(deployer, kind)
    assert refused.value.hint.startswith("it is exported as gcloud, terraform, cloudbuild, trigger, github; ")


def written(module: Path, files: dict[str, str]) -> None:
    for name in sorted(name for name in files if "/" not in name):
        (module / name).write_text(files[name])


def test_a_module_is_not_written_where_a_region_that_left_the_file_still_has_its_own(
    deployer: InTwoRegions, tmp_path: Path
) -> None:
    three, two = (exported(deployer, "terraform", *regions) for regions in ((SECOND, THIRD), (SECOND,)))
    written(tmp_path, three)
    ends = ("", "_us_central1", "_asia_southeast1")
    (tmp_path / "image.auto.tfvars").write_text("".join(f'image{end} = "it"\n' for end in ends))
    (tmp_path / "edge.auto.tfvars").write_text("".join(f'back_door{end} = "it"\n' for end in ends))
    ensure_none_left("terraform", three, tmp_path)
    with pytest.raises(StateError, match=f"{THIRD}.tf is of an earlier export") as raised:
        ensure_none_left("terraform", two, tmp_path)
    told = str(raised.value.hint)
    assert "`homeport up --on cloudrun` takes away what left homeport.toml" in told
    assert (
        f"delete {THIRD}.tf, take image_asia_southeast1 out of image.auto.tfvars, take back_door_asia_southeast1 out of edge.auto.tfvars and "
        "export again with --force."
    ) in told
    assert f"{SECOND}.tf" not in f"{raised.value} {told}"
    (tmp_path / f"{THIRD}.tf").unlink()
    ensure_none_left("terraform", two, tmp_path)


def test_a_load_balancer_that_left_the_file_with_its_regions_goes_in_one_order(
    deployer: InTwoRegions, tmp_path: Path
) -> None:
    written(tmp_path, exported(deployer, "terraform", SECOND, THIRD))
    for name in ("image", "edge"):
        (tmp_path / f"{name}.auto.tfvars").write_text('back_door = "it"\n' if name == "edge" else "")
    one = exported_alone(deployer)
    left = (f"{THIRD}.tf", "edge.tf", f"{SECOND}.tf")
    with pytest.raises(
        StateError, match=rf"{THIRD}\.tf, .*edge\.tf and .*{SECOND}\.tf are of an earlier"
    ) as raised:
        ensure_none_left("terraform", one, tmp_path)
    told = str(raised.value.hint)
    assert told.count("delete") == 2, "what Terraform would do, and what to do: once"
    assert (
        f"then delete {THIRD}.tf, edge.tf, {SECOND}.tf and edge.auto.tfvars and export again with --force."
        in told
    )
    for name in left:
        (tmp_path / name).unlink()
    ensure_none_left("terraform", one, tmp_path)
    ensure_none_left("gcloud", {}, tmp_path)


def test_a_line_of_values_that_is_no_regions_is_named_where_the_module_has_it_no_more(
    deployer: InTwoRegions, tmp_path: Path
) -> None:
    one = exported_alone(deployer)
    deployer.tables["guard"] = {}
    guarded = exported_alone(deployer)
    values = tmp_path / "image.auto.tfvars"
    values.write_text('image = "it"\nimage_gateway = "it"\n')
    written(tmp_path, guarded)
    assert notes("terraform", guarded, tmp_path) == []
    with pytest.raises(StateError, match=r"guard\.tf is of an earlier") as raised:
        ensure_none_left("terraform", one, tmp_path)
    told = str(raised.value.hint)
    assert (
        "delete guard.tf, take image_gateway out of image.auto.tfvars and export again with --force" in told
    )
    (tmp_path / "guard.tf").unlink()
    assert notes("terraform", one, tmp_path) == [
        "take image_gateway out of image.auto.tfvars, which this module does not have any more"
    ]
    values.write_text('image = "it"\n')
    assert notes("terraform", one, tmp_path) == []
    assert notes("gcloud", {}, tmp_path) == []


def test_a_network_that_left_the_file_stays_with_the_subnetworks_of_all_regions_for_an_apply(
    deployer: InTwoRegions, tmp_path: Path
) -> None:
    ours = exported(deployer, "terraform", SECOND)
    assert "google_compute_subnetwork" not in ours[f"{SECOND}.tf"].replace("google_compute_subnetwork.", "")
    assert 'resource "google_compute_subnetwork" "main_us_central1"' in ours["network.tf"]
    deployer.tables["cloudrun"] = {"network": "theirs", "subnetwork": "theirs"}
    theirs = exported(deployer, "terraform", SECOND)
    assert "network.tf" not in theirs
    written(tmp_path, ours)
    ensure_none_left("terraform", theirs, tmp_path)
    (note,) = notes("terraform", theirs, tmp_path)
    assert "then delete network.tf, and apply again" in note


def test_a_network_that_names_what_the_module_has_no_more_is_told_before_anything_is_written(
    deployer: InTwoRegions, tmp_path: Path
) -> None:
    ours = exported_alone(deployer)
    deployer.tables["cloudrun"] = {"network": "theirs", "subnetwork": "theirs"}
    theirs = exported_alone(deployer)
    # As exports had it whose names with private zones were in main.tf.
    _, locals_, rest = ours["network.tf"].partition("locals {\n")
    assert locals_
    written(
        tmp_path, {**ours, "network.tf": ours["network.tf"].replace(locals_ + rest.partition("}\n\n")[0], "")}
    )
    with pytest.raises(
        StateError, match=r"names local\.private_domains, which this module has no more"
    ) as raised:
        ensure_none_left("terraform", theirs, tmp_path)
    assert "take the blocks out of it that name that, then export again with --force" in str(
        raised.value.hint
    )


def exported_alone(deployer: InTwoRegions) -> dict[str, str]:
    """The module of the file without a load balancer."""
    google, wanted = google_for(deployer.cloud), deployer.file_with({}, {})
    one = CloudRunLifecycle(google=google, spec=wanted, spec_file=Path("/x/homeport.toml"), via="")
    return act(one.export("terraform", Silent()))
