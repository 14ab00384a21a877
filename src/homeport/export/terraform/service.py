"""The Cloud Run service and who may call it, as blocks of Terraform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeport.export.fields import Fields
from homeport.export.graph import Things
from homeport.export.terraform.addresses import LABELS, REGION, Addresses, snake, type_of
from homeport.export.terraform.hcl import Attribute, Block, Code, Item, Note, attributes, block
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import LABEL

_MAPS = frozenset(("annotations", "labels", "limits"))
"""Fields whose keys are the user's own, not Google's."""
_FIRST = ("name", "location", "image", "command", "args")


def service(things: Things, addresses: Addresses) -> Block:
    """Return the service, made once `var.image` says which image."""
    one = things.service
    body = Fields(addresses.expressed(one.wanted), one.id)
    labels = body.take("labels")
    body.take("traffic")  # Where there is any, a release moved it.
    stage = body.take("launchStage")
    known = {
        "name": things.name,
        "location": REGION,
        "labels": LABELS if labels == {LABEL: things.name} else labels,
    }
    kind, _, label = addresses.of(one).partition(".")
    ignored = block(
        "lifecycle",
        body=[
            Note("Moved by `homeport up` and `homeport rollback`, revision by revision."),
            Attribute("ignore_changes", [Code("traffic")]),
        ],
    )
    return block(
        "resource",
        kind,
        label,
        body=[
            Attribute("count", Code("var.image == null ? 0 : 1")),
            *_body({**known, **body.rest()}),
            *(_staged(stage) if stage else ()),
            Note("A plan without var.image would take it away."),
            Attribute("deletion_protection", Code("var.deletion_protection")),
            ignored,
        ],
    )


def _staged(stage: str) -> list[Item]:
    # Not in ignore_changes: a module that goes from a GPU of GA to one in preview must send it.
    return [
        Note(
            "A GPU in preview wants it. If every plan changes GA to it, it is in preview no more: take it away."
        ),
        Attribute("launch_stage", stage),
    ]


def callers(things: Things, addresses: Addresses) -> list[Block]:
    """Return who may call the service: one block for each role."""
    grants = grants_to_call(things)
    if not grants:
        return []
    roles = {one.role for one in grants}
    if len(roles) != 1:
        raise TypeError(f"callers have several roles: {', '.join(sorted(roles))}")
    service = addresses.of(things.service)
    body = [
        Attribute("for_each", Code("var.image == null ? toset([]) : var.callers")),
        *attributes(
            {
                "name": Code(f"{service}[0].name"),
                "location": REGION,
                "role": grants[0].role,
                "member": Code("each.value"),
            }
        ),
    ]
    return [block("resource", type_of(grants[0]), addresses.label(grants[0]), body=body)]


def grants_to_call(things: Things) -> list[Grant]:
    """Return the grants on the service."""
    return [one for one in things.all(Grant) if one.on.api == "run"]


def _body(values: Mapping[str, Any]) -> list[Item]:  # Any: JSON, with Code
    """
    Return the fields of an object of the API: scalars, lists of scalars and maps as attributes, objects as
    blocks. That is how the provider has all of the service: `terraform validate` in the tests would tell of a
    field that differs.
    """
    plain: dict[str, Any] = {}  # Any: as above
    blocks: list[Item] = []
    for key, value in sorted(
        values.items(), key=lambda pair: _FIRST.index(pair[0]) if pair[0] in _FIRST else 99
    ):
        name = snake(key)
        if isinstance(value, Mapping) and key not in _MAPS:
            blocks.append(block(name, body=_body(value)))
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            blocks += [block(name, body=_body(one)) for one in value]
        else:
            plain[name] = value
    return [*attributes(plain), *blocks]
