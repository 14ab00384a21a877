"""What to do in which order, at the head of `main.tf`."""

from __future__ import annotations

from textwrap import wrap

from homeport.export import agents, encryption
from homeport.export.builds import ExportedBuild, builds, left_behind, shell_reference
from homeport.export.graph import ResourceKind, Things
from homeport.export.terraform.file_names import CLOSED_DOORS, IMAGES
from homeport.export.terraform.variable_names import image_variable, suffix
from homeport.export.text import CACHE_NOTE, WIDTH, head, listed
from homeport.reconcile import Ref
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.startup_cache import StartupCache
from homeport.resources.google.traffic import BACK_DOOR


def build_file(region: Things, build: ExportedBuild) -> str:
    """Return the name of the file with a build: in a folder of its name that of a further region."""
    return f"{region.region}/{build.file}" if region.is_further else build.file


def opening(things: Things) -> str:
    """Return the lines that `main.tf` begins with: what it makes, and what to do in which order."""
    lines = ["In this order:", ""]
    for place, (instruction, commands) in enumerate(_steps(things), 1):
        lines += wrap(
            f"{place}. {instruction}",
            WIDTH,
            subsequent_indent="   ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        lines += [*(f"     {command}" for command in commands), ""]
    return (
        head("terraform", *_notes(things))
        + "#\n"
        + "".join(f"# {line}".rstrip() + "\n" for line in lines[:-1])
    )


def _notes(things: Things) -> list[str]:
    notes = [
        (
            "Makes in Google Cloud what `homeport up --on cloudrun` makes, each thing with the label homeport="
            f"{things.name}. It begins with nothing: what is there already, Terraform does not know of. After it,"
            " `homeport up --on cloudrun` finds nothing to do but the proof."
        )
    ]
    if things.all(StartupCache):
        notes.append(f"Not made here: {CACHE_NOTE}")
    secrets = [secret.secret_id for secret in things.secrets]
    if secrets:
        notes.append(f"The value of {listed(secrets)} is a variable that neither a plan nor the state keeps.")
    notes += [
        (
            "Where a first create of the service fails, Terraform holds it for tainted, and deletion_protection keeps it from "
            "replacing it: say `terraform untaint 'ADDRESS'` with the address that it names, mend the cause, and apply again."
        ),
        *_regions_notes(things),
        *_proxy_notes(things),
        *_network_notes(things),
        *encryption.notes(things.everywhere),
        *agents.notes(things.everywhere),
    ]
    return notes


def _regions_notes(things: Things) -> list[str]:
    if not things.further:
        return []
    order = ", then ".join(each.region for each in things.regions)
    return [
        (
            f"The services of the regions are made and changed one after another: {order}. Where one does not become ready, those behind it "
            "stay as they are; all else is in no order of regions, since Terraform has none. Nothing proves a region before the next one "
            "changes, nor before clients are led to it. The load balancer is made once the first region's images are named; to a further region it "
            "leads from that one's own on, so that one that is added leaves what serves as it is."
        )
    ]


def _proxy_notes(things: Things) -> list[str]:
    if not things.entrants_of(things.service):
        return []
    return [
        (
            "Identity-Aware Proxy takes JWTs and logins, and no ID tokens. Turned on or off before a service that serves, it is so for all callers at "
            "once, and Terraform lets in who comes next after that: let `homeport up --on cloudrun` do it, which lets them in before. What it "
            "needs in a project without an organisation, an OAuth client of yours, no module makes: `homeport plan --on cloudrun` tells."
        )
    ]


def _network_notes(things: Things) -> list[str]:
    if ResourceKind.SUBNETWORK not in things.kinds():
        return []
    return [
        (
            "Cloud Run keeps addresses in the subnetwork for one to two hours after its service is gone. A destroy fails there "
            "until then (it is in use): run `terraform destroy` again later."
        )
    ]


def _steps(things: Things) -> list[tuple[str, list[str]]]:
    """
    Return what to do, in order, with commands. Terraform keeps things; an image and weights are made once, by
    a build.
    """
    project, left = things.project, left_behind(things.everywhere)
    submitted = [
        f"gcloud builds submit --no-source --project={project} --region={build.thing.region} --config={build_file(region, build)}"
        for region in things.regions
        for build in builds(region)
    ]
    first = "Everything but the service. Terraform cannot switch on the very API that it asks for projects, in a new project:"
    enabled = (
        "gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com"
        f" --project={project}"
    )
    done = "What is done once, where it is not there yet: Terraform builds no image and copies no weights."
    if left:
        done += (
            f" The weights at {listed(left)} come from one machine, and only `homeport up --on cloudrun` carries them:"
            " let it make all of it."
        )
    serves = "The services, each of which has" if things.further else "The service, which has"
    served = f"{serves} all traffic from its start. Keep {IMAGES}: each apply needs it."
    proof = (
        "The proof, which Terraform does not make: a model that answers. From then on traffic is bound to a revision,"
        " and a new one waits for `up` or `swap`."
    )
    return [
        (first, [enabled, "terraform init && terraform apply"]),
        (done, submitted),
        (served, [*_written(things), "terraform apply"]),
        *_closing(things),
        (proof, ["homeport up --on cloudrun"]),
    ]


def _written(things: Things) -> list[str]:
    """Return the commands that write what was built."""
    values = [
        (image_variable(region, image), region, Ref(image.id, "reference"))
        for region in things.regions
        for image in region.images
        if image in region.own
    ]
    # The same weights lie in each region.
    stored = [
        ("weights_digest", region, ref)
        for region in things.regions
        for ref in (Ref(weights.id, "digest") for weights in region.all(StoredWeights))
        if not region.known(ref)
    ]
    commands = [
        f"printf '{name} = \"%s\"\\n' {shell_reference(region.by_id(ref.id), ref)}"
        for name, region, ref in (*values, *stored[:1])
    ]
    return [f"{command} {'>' if place == 0 else '>>'} {IMAGES}" for place, command in enumerate(commands)]


def _closing(things: Things) -> list[tuple[str, list[str]]]:
    door = things.door
    if door is None:
        return []
    own = "the services' own addresses are" if things.further else "the service's own address is"
    answers = "sends a browser to Google's login" if things.service.wanted.get("iapEnabled") else "answers"
    records = (
        "the output dns says which records the domain wants; "
        if ResourceKind.ADDRESS in things.kinds()
        else ""
    )
    when = (
        f"Once {door.address}/v1/models {answers} ({records}a new load balancer takes some "
        f"minutes): {own} closed. Not before, since Terraform does not ask. To open it again: "
        f"remove {CLOSED_DOORS} and apply. Where nothing is written the service tells no address, since `up` "
        f"has closed it: its annotation {BACK_DOOR} has the one that {CLOSED_DOORS} wants."
    )
    ends = [suffix(each) for each in things.regions]
    # An empty one would open what is closed.
    asked = " && ".join(f'url{end}=$(terraform output -raw url{end}) && [ -n "$url{end}" ]' for end in ends)
    lines, urls = (
        "".join(f'back_door{end} = "%s"\\n' for end in ends),
        " ".join(f'"$url{end}"' for end in ends),
    )
    told = f"{asked} && printf '{lines}' {urls} > {CLOSED_DOORS}"
    return [(when, [f"{told} && terraform apply"])]


__all__ = ["build_file", "opening"]
