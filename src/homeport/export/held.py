"""The lines of a shell that put a service in place while who serves goes on, and while its door stays as it is."""

from __future__ import annotations

import re
import shlex

from homeport.export.graph import Things
from homeport.json_types import JsonObject
from homeport.resources.google.service import Service
from homeport.resources.google.traffic import BACK_DOOR, BEHIND, CANDIDATE, EDGE, EDGE_KIND, RECEIPTS

MARK = "__RECEIPTS__"
"""Stands in the text of a service for its receipts."""
_DOOR = {
    "ingress": "run.googleapis.com/ingress",
    "disabled": "run.googleapis.com/default-url-disabled",
    "edge": EDGE,
    "back": BACK_DOOR,
    "behind": BEHIND,
    "kind": EDGE_KIND,
}
"""The annotations of a service that a load balancer closes, by the variable of the shell that each is read into."""


def door(things: Things, service: Service, body: JsonObject) -> list[str]:
    """Return the lines that leave a service closed as it is, or open it where the file has no load balancer any more."""
    closes = things.door if service is things.service else None
    disabled = _DOOR["disabled"]
    if closes is None:
        return ["door=''", f"[ \"$disabled\" != true ] || door=$'\\n    {disabled}: \\'false\\''"]
    kept = [
        f'"{annotation}=${variable}"'
        for variable, annotation in _DOOR.items()
        if annotation not in body["metadata"]["annotations"]
    ]
    other = f"another load balancer closes the service: homeport up --on cloudrun alone puts {closes.address} in its place"
    return [
        "# The door stays as it is.",
        "door=''",
        'if [ -n "$edge" ]; then',
        f'  if [ "$edge ${{kind:-global}}" != {shlex.quote(f"{closes.address} {closes.edge_kind}")} ]; then',
        f"    echo {shlex.quote(other)} >&2",
        "    exit 1",
        "  fi",
        f"  for pair in {' '.join(kept)}; do",
        """    [ -z "${pair#*=}" ] || door+=$'\\n    '"${pair%%=*}: '${pair#*=}'\"""",
        "  done",
        "fi",
    ]


def held(name: str, region: str, file: str, as_is: list[str]) -> list[str]:
    """Return the lines that put a service in place, of which a `Release` says who serves; `as_is` leaves its door as it is."""
    lines = "\n".join(as_is)
    used = [variable for variable in _DOOR if re.search(rf"\$\{{?{variable}\b", lines)]
    empty = " ".join(f"{variable}=''" for variable in used)
    of_door = ",".join(f'metadata.annotations."{annotation}"' for annotation in _DOOR.values())
    # Of a service that is not there yet, a list says nothing, and is no error.
    list_call = f"gcloud run services list --region={region} --filter=metadata.name={name} --flatten='status.traffic[]'"
    # Receipts stand last, since they alone may hold what stands between.
    columns = (
        f"metadata.generation,status.traffic.revisionName,status.traffic.percent,{of_door},"
        f'metadata.annotations."{RECEIPTS}"'
    )
    return [
        "# Who serves goes on serving, and what was found out of the revisions before this one stays with the service.",
        "# All of it is read at once, and as late as can be.",
        f"said=$({list_call} \\",
        f"  --format='value[separator=\"|\"]({columns})')",
        f"generation='' receipts='' held='' {empty}",
        f"while IFS='|' read -r of revision percent {' '.join(one if one in used else '_' for one in _DOOR)} found; do",
        "  generation=$of receipts=$found",
        '  [ -z "$percent" ] || printf -v held \'%s    - revisionName: %s\\n      percent: %s\\n\' "$held" "$revision" "$percent"',
        'done <<< "$said"',
        'receipts=${receipts:-{\\}} quote="\'"',
        f'text=${{text//{MARK}/"${{receipts//$quote/$quote$quote}}"}}',
        *as_is,
        """text=${text/$'\\n  annotations:'/$'\\n  annotations:'"$door"}""",
        "",
        f"# A new revision comes up without traffic, under the tag {CANDIDATE}.",
        "{",
        "  printf '%s\\n' \"$text\"",
        "  printf '  traffic:\\n%s' \"$held\"",
        f"  printf '    - latestRevision: true\\n      tag: {CANDIDATE}\\n'",
        '  [ -n "$held" ] || echo "      percent: 100"',
        f"}} > {file}",
        f"now=$(gcloud run services replace {file} --region={region} --format='value(metadata.generation)')",
        "",
        "# gcloud puts the version that it reads itself in place of one in the file, so that a change between both reads is",
        "# not refused. Each change counts one: what was more than this one is told.",
        'if [ -n "$generation" ] && [ "$now" -gt "$((generation + 1))" ]; then',
        f'  echo "Somebody else changed the service {name} while this ran, which may have undone that change: see who"',
        '  echo "serves (homeport status --on cloudrun). After a rollback or a release, do it again."',
        "  exit 1",
        "fi >&2",
    ]
