"""A script for `gcloud` that makes what `up` makes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from homeport.export import encryption, gcloud_edge
from homeport.export.builds import builds, left_behind
from homeport.export.gcloud_script import FILE, KNOWS, GcloudScript, granted, variables
from homeport.export.graph import OF_EDGE, ResourceKind, Things
from homeport.export.shell import Lines, command, script
from homeport.export.text import comment, head, listed
from homeport.reconcile import Resource
from homeport.resources.google.release import Release


def files(things: Things) -> dict[str, str]:
    """Return the script `deploy.sh`, and the files that it hands to gcloud; those of a further region lie in a folder of its name."""
    lines, needed = making(things, things.resources, [region.own for region in things.further])
    texts = {FILE: script(things.project, _head(things), lines, _epilogue(things))}
    return texts | build_files(things) | needed


def build_files(things: Things) -> dict[str, str]:
    """Return the builds of all regions, by the names of their files."""
    texts: dict[str, str] = {}
    for region in things.regions:
        for build in builds(region):
            file = f"{_folder(region)}{build.file}"
            note = f"For {FILE}, and as `homeport up` submits it: gcloud builds submit --no-source --config={file}"
            texts[file] = head("gcloud", note) + build.yaml
    return texts


def _folder(region: Things) -> str:
    """Return where files of a region are: beside the script in the first one."""
    return f"{region.region}/" if region.is_further else ""


def making(
    things: Things, resources: Iterable[Resource], further: Sequence[Iterable[Resource]] = ()
) -> tuple[Lines, dict[str, str]]:
    """
    Return the commands that make `resources`, which are some of `things`, and the files that these read.

    `further` has those of each further region. They are made once the region before is: whatever fails ends the script. What leads clients
    to all of them comes behind the last, then what asks there, and then the doors are closed.
    """
    there = zip(things.further, further, strict=bool(further))
    regions = [(things, list(resources)), *((region, list(own)) for region, own in there)]
    lines: Lines = []
    files: dict[str, str] = {}
    if any(resource.kind in OF_EDGE for _, own in regions for resource in own):
        lines += ["", *gcloud_edge.functions()]
    scripts = [GcloudScript(region) for region, _ in regions]
    # The doors are closed when whatever else there is stands; after each are let in only those whom nothing would screen before.
    for turns in ((_BEFORE,), (_LEADING,), (_ASKING,), (_CLOSING, _BEHIND)):
        for one, (region, own) in zip(scripts, regions, strict=True):
            lines += _placed(region, _lines(one, _in_turn(region, own, turns, several=len(regions) > 1)))
    for one, (region, _) in zip(scripts, regions, strict=True):
        files |= {f"{_folder(region)}{name}": text for name, text in one.files.items()}
    return lines, files


_BEFORE, _LEADING, _ASKING, _CLOSING, _BEHIND = range(5)
"""
When a thing has its turn: what serves, what leads clients to all regions, what of the endpoint asks there, the doors, and who is
let in behind them.
"""


def _in_turn(
    things: Things, some: Iterable[Resource], turns: Sequence[int], *, several: bool
) -> list[Resource]:
    """Return those that have one of these turns, in order."""

    def turn(resource: Resource) -> int:
        if things.waits_for_door(resource):
            return _BEHIND
        if resource.kind == ResourceKind.DOOR:
            return _CLOSING
        if things.waits_for_edge(resource):
            return _ASKING
        return _LEADING if several and resource.kind in OF_EDGE else _BEFORE

    return sorted((one for one in some if turn(one) in turns), key=turn)


def _lines(script: GcloudScript, some: Iterable[Resource]) -> Lines:
    lines: Lines = []
    for resource in some:
        lines += ["", comment(resource.summary({})).rstrip(), *script.lines(resource)]
    return lines


def _placed(region: Things, lines: Lines) -> Lines:
    """Return lines of a further region, where its files are."""
    if not region.is_further or not lines:
        return lines
    return ["", f"say {shlex.quote(f'In {region.region}:')}", f"cd {region.region}", *lines, "", "cd .."]


def _head(things: Things) -> str:
    left = left_behind(things.everywhere)
    notes = [
        (
            "Makes in Google Cloud what `homeport up --on cloudrun` makes, each thing with the label homeport="
            f"{things.name}. Run it again after whatever ended it, or after a change of the file: what is there is compared "
            "with the file. A service that differs or is not ready is deployed again, without traffic where another "
            "revision has it; what can be changed is; all else that differs is told, and fails the run in its end. It waits "
            "only for what waiting helps: an API or a grant that is not seen everywhere yet, a build under way, Google being busy."
        ),
    ]
    if things.further:
        order = ", then ".join(each.region for each in things.regions)
        notes.append(
            f"Region by region: {order}. Where one fails it ends, and those after it stay as they are. What leads clients to all of them comes "
            "behind the last; a further region is led to once its service is ready, which is not proven yet. Its files are in the folder of its name."
        )
    secrets = things.secrets
    if secrets:
        read = listed(" or ".join(variables(secret)) for secret in secrets)
        notes.append(f"Secrets are read from {read}, or asked for; they are in no argument and in no file.")
    if left:
        notes.append(
            f"Not made here: {listed(left)}, from weights on one machine, which only `homeport up` carries."
        )
    if things.all(Release):
        notes.append(
            "Not made here: the proof. `homeport up` verifies a revision before it has traffic; run `homeport verify "
            "--on cloudrun`, or `homeport up --on cloudrun`, which finds nothing else to do."
        )
    return head("gcloud", *notes, *encryption.notes(things.everywhere))


def _epilogue(things: Things) -> str:
    describe_calls = [
        command("gcloud", "run", "services", "describe", service.own_name, f"--region={service.region}", "--format=value(status.url)")
        for region in things.regions
        for service in (one for one in region.services if one in region.own)
    ]  # fmt: skip
    return "\n" + "".join(f"{line}\n" for line in (*describe_calls, "finish"))


__all__ = ["FILE", "KNOWS", "build_files", "files", "granted", "making", "variables"]
