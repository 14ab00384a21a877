"""The Cloud Run services and who may call them, as blocks of Terraform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeport.export.fields import Fields
from homeport.export.graph import ResourceKind, Things
from homeport.export.terraform.addresses import (
    LABELS,
    Addresses,
    is_ours,
    type_of,
)
from homeport.export.terraform.bodies import fields
from homeport.export.terraform.edge import of_service
from homeport.export.terraform.hcl import Attribute, Block, Code, Item, Note, attributes, block
from homeport.export.terraform.variable_names import images_of, opened, unset
from homeport.export.text import listed
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import LABEL
from homeport.resources.google.service import DEADLINE_S, Service
from homeport.resources.google.service_agent import IAP, AgentGrant

_UNCONDITIONED = (
    "Whoever has this role under a condition of somebody's, such as an access level, comes in without it from then on: take them out of "
    "the variable, since Terraform cannot look."
)


def service(things: Things, one: Service, addresses: Addresses) -> Block:
    """Return a service, made once variables say which images it and those that it needs are made of."""
    body = Fields(_led(things, addresses, addresses.expressed(one.wanted)), one.id)
    labels = body.take("labels")
    stage = body.take("launchStage")
    known = {
        "name": one.own_name,
        "location": addresses.place(one.region),
        "labels": LABELS if labels == {LABEL: things.name} else labels,
    }
    door = things.door if one is things.service else None
    if door is not None:
        body.take("defaultUriDisabled")
        known |= of_service(door, opened(things))
    kind, _, label = addresses.of(one).partition(".")
    moved = [] if "traffic" in one.wanted else [Code("traffic")]
    scheduled = ResourceKind.SCHEDULE in things.kinds() and one is things.service
    rescaled = [Code("scaling[0].min_instance_count")] if scheduled else []
    ignored = block(
        "lifecycle",
        body=[
            Note("Whoever changed it last, such as gcloud, writes its own name into these."),
            *(
                [Note("Traffic moves by `homeport up` and `homeport rollback`, revision by revision.")]
                if moved
                else []
            ),
            *([Note("A schedule sets how many instances always run.")] if rescaled else []),
            Attribute("ignore_changes", [Code("client"), Code("client_version"), *moved, *rescaled]),
        ],
    )
    return block(
        "resource",
        kind,
        label,
        body=[
            Attribute("count", Code(f"{unset(things, one)} ? 0 : 1")),
            *fields({**known, **body.rest()}),
            *(_staged(stage) if stage else ()),
            Note(f"A plan without {listed(images_of(things, one))} would take it away."),
            Attribute("deletion_protection", Code("var.deletion_protection")),
            _patient(),
            ignored,
        ],
    )


def _led(
    things: Things, addresses: Addresses, wanted: Mapping[str, Any]
) -> dict[str, Any]:  # Any: JSON, and Code
    """Return a service so that it asks for the model at the load balancer once that is said to answer, and at the own address before."""
    door, template = things.door, dict(wanted["template"])
    if door is None:
        return dict(wanted)
    own = Code(f'{opened(things).text} != "" ? "{door.address}" : {addresses.of(things.service)}[0].uri')
    template["containers"] = [
        {
            **one,
            "env": [
                {**each, "value": own} if each.get("value") == door.address else each for each in one["env"]
            ],
        }
        if "env" in one
        else one
        for one in template["containers"]
    ]
    return {**wanted, "template": template}


def _patient() -> Block:
    limit = f"{DEADLINE_S / 60:.0f}m"
    return block(
        "timeouts",
        body=[
            Note("Longer than the startup probe may take; the provider's own limit is shorter."),
            *attributes({"create": limit, "update": limit}),
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
    """Return who may call the services, and who comes in to them: one block for those whom the file names, and one for each account of ours."""
    return [block for service in things.services for block in _callers(things, service, addresses)]


def _callers(things: Things, service: Service, addresses: Addresses) -> list[Block]:
    name = Code(f"{addresses.of(service)}[0].name")
    where = {"name": name, "location": addresses.place(service.region)}
    members, entrants = named_callers(things, service), things.entrants_of(service)
    blocks = _of_file(things, service, addresses, members, where)
    for grant in things.callers_of(service):
        if grant not in members:
            arguments = attributes(
                {**where, "role": addresses.expressed(grant.role), "member": addresses.member(grant.member)}
            )
            count = Attribute("count", Code(f"{_not_yet(things, service, grant)} ? 0 : 1"))
            blocks.append(block("resource", type_of(grant), addresses.label(grant), body=[count, *arguments]))
            if isinstance(grant, AgentGrant) and grant.agent_of != IAP:
                blocks.append(_moved(grant, addresses))
    through = {"cloud_run_service_name": name, "location": addresses.place(service.region)}
    return [*blocks, *_of_file(things, service, addresses, entrants, through, Note(_UNCONDITIONED))]


def _moved(grant: AgentGrant, addresses: Addresses) -> Block:
    """Return the block by which a right stays where it is: taken away and given again, an account might be left without it."""
    return block(
        "moved",
        body=[
            Note("Modules of before had it among the callers."),
            Attribute("from", Code(addresses.among_callers(grant))),
            Attribute("to", Code(f"{addresses.of(grant)}[0]")),
        ],
    )


def _of_file(
    things: Things,
    service: Service,
    addresses: Addresses,
    grants: Sequence[Grant],
    where: Mapping[str, Code | str],
    *notes: Note,
) -> list[Block]:
    """Return the block for those whom the file names; none where it names nobody."""
    if not grants:
        return []
    first, roles = grants[0], {grant.role for grant in grants}
    if len(roles) != 1:
        raise TypeError(f"{addresses.label(first)} have several roles: {', '.join(sorted(roles))}")
    none = f"{_not_yet(things, service, first)} ? toset([]) : var.{addresses.variable(first)}"
    arguments = attributes({**where, "role": first.role, "member": Code("each.value")})
    body = [Attribute("for_each", Code(none)), *notes, *arguments]
    return [block("resource", type_of(first), addresses.label(first), body=body)]


def _not_yet(things: Things, service: Service, grant: Grant) -> str:
    """Return the condition under which nobody is let in: no service, or one whose own address leads past its screen."""
    none = unset(things, service)
    late = things.waits_for_door(grant) or (things.screens_at_edge and things.waits_for_edge(grant))
    return f'{none} || {opened(things).text} == ""' if late else none


def named_callers(things: Things, one: Service) -> list[Grant]:
    """Return the grants on a service of those whom the file names, who are neither our accounts nor Google's own services."""
    return [
        grant
        for grant in things.callers_of(one)
        if not isinstance(grant, AgentGrant) and not is_ours(things, grant.member)
    ]


def let_in(things: Things, one: Service) -> list[Grant]:
    """Return the grants without which nobody whom the file names is answered by a service."""
    agents = [grant for grant in things.callers_of(one) if isinstance(grant, AgentGrant)]
    return [*named_callers(things, one), *agents, *things.entrants_of(one)]
