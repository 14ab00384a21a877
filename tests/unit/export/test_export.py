"""What all exports promise, and what needs no tool to be seen."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from deployers import WAYS, Deployer
from deployment import google_for
from homeport import spec
from homeport.cli import run
from homeport.errors import HomeportError
from homeport.export import KINDS, export
from homeport.export.graph import OF_EDGE, ResourceKind
from homeport.export.text import MARK
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Resource
from homeport.resources.google.bucket import Bucket
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.object import Object
from homeport.secret import Secret
from homeport.spec import CloudRun
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.model_selection import choose
from observed import fully_observed
from places import TAUGHT
from user import User

TOKEN = "hf_very_secret"
DIGEST = f"sha256:{'0' * 64}"


def resources(
    engine: str = "vllm", *, gpu: str = "nvidia-l4", image_from: Literal["auto", "build"] = "auto"
) -> list[Resource]:
    deployer = Deployer(engine)
    wanted = deployer.wanted().model_copy(update={"cloudrun": CloudRun(gpu=gpu, image_from=image_from)})
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    target = deployer.target(google_for(deployer.cloud), chosen, wanted)
    return replace(target, token=HubToken(value=Secret(TOKEN), source="env:HF_TOKEN")).resources()


def from_a_hub(things: list[Resource], *, sha256: bool = True) -> list[Resource]:
    """The same with weights that a build copies, whose checksums are known before, or not."""
    made = []
    for one in things:
        if isinstance(one, StoredWeights):
            files = tuple(replace(file, sha256=file.sha256 if sha256 else "") for file in one.pin.files)
            one = replace(one, folder=None, pin=replace(one.pin, source="hf:own/model", files=files))  # noqa: PLW2901
        made.append(one)
    return made


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_the_same_each_time_and_holds_no_secret(kind: str, engine: str) -> None:
    first = export(kind, resources(engine))
    assert first == export(kind, resources(engine))
    assert all(MARK in text for name, text in first.items() if not name.endswith(".json"))
    assert not any(TOKEN in text for text in first.values())


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize("kind", ["gcloud", "knative", "terraform", "cloudbuild"])
def test_every_export_lets_cloud_run_end_an_instance_that_does_not_answer(kind: str, engine: str) -> None:
    text = "\n".join(export(kind, resources(engine)).values())
    assert "livenessProbe" in text or "liveness_probe" in text
    assert text.count("livenessProbe") + text.count("liveness_probe") == text.count(
        "startupProbe"
    ) + text.count("startup_probe")


@pytest.mark.parametrize("kind", KINDS)
def test_each_export_knows_each_kind_of_thing(kind: str) -> None:
    without = OF_EDGE if kind == "knative" else frozenset()
    assert set(import_module(f"homeport.export.{kind}").KNOWS) == set(ResourceKind) - without


@pytest.mark.parametrize("kind", KINDS)
def test_a_resource_of_an_unknown_kind_is_refused_by_its_name_and_kind(kind: str) -> None:
    known = resources()
    balancer = replace(
        next(one for one in known if isinstance(one, Bucket)), id="balancer/home", kind="balancer"
    )
    with pytest.raises(
        HomeportError, match=rf"the export to {kind} does not know balancer/home \(a balancer\)"
    ):
        export(kind, [*known, balancer])


def test_what_cannot_be_exported_to_is_refused_with_what_can() -> None:
    with pytest.raises(HomeportError) as refused:
        export("pulumi", [])
    assert "terraform" in refused.value.hint


KEY = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/mine"


@pytest.mark.parametrize("kind", KINDS)
def test_each_export_tells_who_must_be_let_use_the_key_and_by_which_commands(kind: str) -> None:
    things = resources()
    bucket = next(one for one in things if isinstance(one, Bucket))
    encrypted = replace(bucket, wanted={**bucket.wanted, "encryption": {"defaultKmsKeyName": KEY}})
    told = "\n".join(export(kind, [encrypted if one is bucket else one for one in things]).values())
    for agent in ("gcp-sa-artifactregistry", "gs-project-accounts", "serverless-robot-prod"):
        assert f"--member=serviceAccount:service-$number@{agent}.iam.gserviceaccount.com" in told
    uncommented = "\n".join(line.removeprefix("#").strip() for line in told.splitlines())
    assert (
        "gcloud kms keys add-iam-policy-binding mine --keyring=ring --location=us-central1 --project=keys "
        "--member=serviceAccount:service-$number@gs-project-accounts.iam.gserviceaccount.com "
        "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter\n"
    ) in uncommented.replace(" \\\n", " "), "as a shell reads it"
    assert "cryptoKeyEncrypterDecrypter" not in "\n".join(export(kind, things).values())


def test_a_hubs_token_is_asked_for_as_one_and_any_other_secret_by_its_own_name() -> None:
    script = export("gcloud", resources())["deploy.sh"]
    asked = [line.split(maxsplit=3) for line in script.splitlines() if line.startswith("secret_version ")]
    assert asked == [
        ["secret_version", "home-hub-token", "HF_TOKEN", "'a token of the hub that may read the model'"]
    ]
    assert "openssl" not in script, "no hub gives a random one"


def test_terraform_tells_how_its_first_apply_a_failed_create_and_a_destroy_go_on() -> None:
    files = export("terraform", resources())
    head = " ".join(files["main.tf"].replace("#", "").split())
    first = head.index(
        "gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com"
    )
    assert first < head.index("terraform init && terraform apply")
    assert "terraform untaint" in head
    assert "one to two hours" in head
    assert re.search(r"timeouts \{[^}]*create = \"40m\"[^}]*update = \"40m\"", files["service.tf"])
    assert re.search(
        r"ignore_changes = \[\s*client,\s*client_version,\s*traffic\s*,?\s*\]", files["service.tf"]
    )


def variable(files: dict[str, str], name: str) -> str:
    found = re.search(rf'^variable "{name}" \{{\n(.*?)^\}}', files["variables.tf"], re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def test_terraform_leaves_builds_to_cloud_build_as_up_submits_them() -> None:
    things = from_a_hub(resources(image_from="build"))
    files = export("terraform", things)
    (image,) = (one for one in things if isinstance(one, ContainerImage))
    built: Any = yaml.safe_load(files["build-serving.yaml"])  # Any: YAML
    assert built.pop("images") == [f"{image.reference}:{image.tag}"]
    assert built.pop("tags") == [image.mark], "by which one that is under way is found"
    assert built == image.build
    carried = yaml.safe_load(files["build-weights-model.yaml"])
    assert carried["serviceAccount"].endswith("/home-carry@rehearsal.iam.gserviceaccount.com")
    assert "gcloud builds submit --no-source" in files["main.tf"]
    assert not {"google_cloudbuild_trigger", "null_resource", "local-exec"} & set(re.findall(r"\w+", files["main.tf"]))  # fmt: skip


def test_terraform_says_that_weights_of_one_machine_are_not_its_to_bring() -> None:
    assert "only `homeport up --on cloudrun` carries them" in " ".join(
        export("terraform", resources())["main.tf"].replace("#", "").split()
    )


def test_the_digest_of_weights_is_written_where_it_is_known_and_asked_for_where_not() -> None:
    known = export("terraform", from_a_hub(resources()))
    assert re.search(r'"homeport/weights" += "[0-9a-f]{64}"', known["service.tf"])
    assert not variable(known, "weights_digest")
    asked = export("terraform", from_a_hub(resources(), sha256=False))
    assert re.search(r'"homeport/weights" += var.weights_digest', asked["service.tf"])
    assert "default     = null" in variable(asked, "weights_digest")
    assert ">> image.auto.tfvars" in asked["main.tf"]


def test_an_image_that_is_live_is_the_default_of_its_variable() -> None:
    reference = f"europe-west4-docker.pkg.dev/rehearsal/home/serving@{DIGEST}"
    live = {"image/serving": {"digest": DIGEST, "reference": reference}}
    assert f'"{reference}"' in variable(export("terraform", resources(), outputs=live), "image")
    assert "default     = null" in variable(export("terraform", resources()), "image")


def test_the_token_is_ephemeral_sensitive_and_only_written() -> None:
    files = export("terraform", resources())
    assert "ephemeral   = true" in variable(files, "hub_token")
    assert "sensitive   = true" in variable(files, "hub_token")
    assert "default" not in variable(files, "hub_token")
    assert re.search(r"secret_data_wo +=", files["main.tf"])
    assert not re.search(r"secret_data +=", files["main.tf"])


def test_an_image_that_nobody_builds_is_asked_for_at_the_repository_that_fetches_it() -> None:
    things = from_a_hub(resources())
    files = {kind: "\n".join(export(kind, things).values()) for kind in KINDS}
    manifest = "europe-west4-docker.pkg.dev /v2/rehearsal/home-docker-io/vllm/vllm-openai/manifests/v"
    for kind in ("gcloud", "terraform", "cloudbuild"):
        assert manifest in files[kind], kind
        assert "gcloud auth print-access-token | python3 -c " in files[kind]
    for kind in ("gcloud", "cloudbuild"):
        told = " ".join(files[kind].replace("\\\n", " ").split())
        assert "--mode=remote-repository --remote-docker-repo=DOCKER-HUB" in told
    terraform = " ".join(files["terraform"].split())
    assert 'mode = "REMOTE_REPOSITORY"' in terraform
    assert 'docker_repository { public_repository = "DOCKER_HUB" }' in terraform
    assert "docker build" not in " ".join(files.values())
    assert not {"build-serving.yaml"} & export("gcloud", things).keys()


STAGE = {
    "knative": ("service.yaml", "    run.googleapis.com/launch-stage: BETA\n"),
    "gcloud": ("service.in.yaml", "    run.googleapis.com/launch-stage: BETA\n"),
    "cloudbuild": ("cloudbuild.yaml", "run.googleapis.com/launch-stage: BETA\n"),
    "terraform": ("service.tf", 'launch_stage = "BETA"\n'),
}


@pytest.mark.parametrize("kind", STAGE)
def test_a_gpu_in_preview_is_exported_with_the_stage_that_it_wants_and_no_other_is(kind: str) -> None:
    file, line = STAGE[kind]
    assert line in export(kind, resources(gpu="nvidia-rtx-pro-6000"))[file]
    assert not any(re.search("launch.stage", text) for text in export(kind, resources()).values())


def test_an_object_that_is_no_text_cannot_be_in_a_module() -> None:
    things = resources()
    google = google_for(Deployer("vllm").cloud)
    binary = Object(google=google, bucket="rehearsal-home-weights", name="one.bin", content=b"\xff\xfe")
    with pytest.raises(HomeportError, match=r"Terraform cannot hold one\.bin"):
        export("terraform", [*things, binary])


def test_the_command_writes_files_and_leaves_those_that_somebody_changed(
    user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(user.folder)
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "no-request-is-made")
    shutil.copyfile(TAUGHT, user.folder / "first.gguf")
    user.write(
        'name = "home"\nmodel = "file:./first.gguf"\n[engine]\nkind = "ollama"\ncontext = 1024\n[cloudrun]\nproject = "my-project"\nregion = "europe-west4"\n'
    )
    said = ("export", "terraform", "-o", "module")
    assert run([*said, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert written == [
        f"module/{path.name}" for path in sorted((user.folder / "module").iterdir(), key=_tf_first)
    ]
    path = user.folder / "module" / "network.tf"
    first = path.read_text()
    assert run([*said]) == 0
    path.write_text("mine")
    assert run([*said]) != 0
    assert "module/network.tf would be overwritten" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert run([*said, "--force"]) == 0
    assert path.read_text() == first


def test_a_network_of_an_earlier_export_stays_with_a_note_any_other_file_of_it_is_refused_and_ones_own_stay(
    user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(user.folder)
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "no-request-is-made")
    shutil.copyfile(TAUGHT, user.folder / "first.gguf")
    first = 'name = "home"\nmodel = "file:./first.gguf"\n[engine]\nkind = "ollama"\ncontext = 1024\n[cloudrun]\nproject = "my-project"\nregion = "europe-west4"\n'
    user.write(first)
    said = ("export", "terraform", "-o", "module")
    assert run([*said]) == 0
    user.write(f'{first}network = "theirs"\nsubnetwork = "theirs"\n')
    module = user.folder / "module"
    (module / "backend.tf").write_text('terraform {\n  backend "gcs" {}\n}\n')
    capsys.readouterr()
    assert run([*said, "--force"]) == 0
    told = capsys.readouterr().err
    assert "module/network.tf is of an earlier export, and stays for one apply" in told
    assert 'network    = "theirs"' in (module / "service.tf").read_text()
    assert (module / "network.tf").is_file()
    (module / "network.tf").unlink()
    assert run([*said, "--force"]) == 0
    assert "earlier export" not in capsys.readouterr().err
    (module / "guard.tf").write_text((module / "main.tf").read_text())
    before = {path.name: path.read_text() for path in module.iterdir()}
    user.write(first)
    for more in ((), ("--force",)):
        assert run([*said, *more]) != 0
        told = capsys.readouterr().err
        assert "module/guard.tf is of an earlier export" in told
        assert "export again with --force" in told
        assert {path.name: path.read_text() for path in module.iterdir()} == before
    (module / "guard.tf").unlink()
    assert run([*said, "--force"]) == 0
    assert (module / "backend.tf").is_file()


def _tf_first(path: Path) -> tuple[bool, str]:
    return (path.suffix != ".tf", path.name)


def test_a_right_of_googles_own_account_that_was_among_the_callers_is_moved_and_not_taken_away() -> None:
    deployer = Deployer("ollama")
    wanted = spec.parse(
        {**deployer.wanted().model_dump(), "observe": {"uptime": True}, "scaling": {"min": 1}}
    )
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    made = fully_observed(deployer.target(google_for(deployer.cloud), chosen, wanted))
    text = export("terraform", with_gateway(made).resources())["service.tf"]
    (moved,) = re.findall(r"^moved \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    kind = "google_cloud_run_v2_service_iam_member"
    assert re.search(
        rf'from = {kind}\.callers\["serviceAccount:service-\d+@gcp-sa-monitoring-notification\.[a-z.]+"\]\n',
        moved,
    )
    assert f"to   = {kind}.monitoring_calls_main[0]\n" in moved
    assert f'resource "{kind}" "monitoring_calls_main"' in text


OBSERVED = {"alerts": ["mailto:ops@example.com"], "budget": 50, "uptime": True, "callers": True}


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_export_carries_what_observe_takes_or_lets_a_pipeline_make_it(kind: str, engine: str) -> None:
    deployer = Deployer(engine)
    wanted = spec.parse({**deployer.wanted().model_dump(), "observe": OBSERVED, "scaling": {"min": 1}})
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    made = fully_observed(deployer.target(google_for(deployer.cloud), chosen, wanted))
    files = export(kind, with_gateway(made).resources())
    text = " ".join("\n".join(files.values()).replace("\\\n", " ").replace("\n#", " ").split())
    script = (
        "settings home-observe home-observe.yaml",
        "rest FIND monitoring.googleapis.com",
        "dashboard.json",
        "budget.json",
        "uptime-check-uptime.json",
        "agent=monitoring.googleapis.com grant serviceAccount:service-",
    )
    pipeline = (
        "monitoring.editor",
        "monitoring.dashboards.list",
        "monitoring.uptimeCheckConfigs.list",
        "roles/billing.costsManager",
    )
    words = {
        "gcloud": script,
        "cloudbuild": script[:1],
        "terraform": (
            'resource "google_monitoring_dashboard" "dashboard"',
            'resource "google_monitoring_uptime_check_config" "uptime"',
            'type = "OIDC_TOKEN"',
            "gcloud beta services identity create --service=monitoring.googleapis.com --project=rehearsal",
            "google_billing_budget",
            "var.billing_account",
        ),
        "knative": ("alert policy", "notification channel", "uptime check"),
    }
    for word in words.get(kind, pipeline):
        assert word in text, word
    if kind == "gcloud":
        assert "HOME_OBSERVE" not in text, "settings are no secret, and nobody is asked for them"


@pytest.mark.parametrize("kind", ["gcloud", "cloudbuild", "terraform"])
def test_a_large_object_is_a_file_of_its_own_beside_what_reads_it(kind: str) -> None:
    google = google_for(Deployer("vllm").cloud)
    large = Object(google=google, bucket="rehearsal-home-weights", name="a/b.b64", content=b"A" * 20_000)
    files = export(kind, [*resources(), large])
    assert files["a-b.b64"] == "A" * 20_000
    assert not [name for name, text in files.items() if "A" * 100 in text and name != "a-b.b64"]
    assert any("a-b.b64" in text for text in files.values())
