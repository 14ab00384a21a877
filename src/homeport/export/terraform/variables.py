"""What the files ask of the user who applies them, what they pin, and what they give back."""

from __future__ import annotations

from typing import Any

from homeport.export.graph import Things
from homeport.export.terraform import edge
from homeport.export.terraform.addresses import (
    BILLING,
    PROJECT,
    REGION,
    WEIGHTS,
    Addresses,
)
from homeport.export.terraform.file_names import IMAGES, MAIN
from homeport.export.terraform.hcl import Attribute, Block, Code, Item, Note, attributes, block
from homeport.export.terraform.network import domains
from homeport.export.terraform.service import named_callers
from homeport.export.terraform.variable_names import image_variable, key_of, opened, suffix
from homeport.export.text import listed
from homeport.reconcile import Ref
from homeport.resources.google.bucket import Bucket
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.rest import LABEL
from homeport.resources.google.secret import SecretVersion
from homeport.resources.google.service import Service
from homeport.resources.google.startup_cache import StartupCache

PROVIDER = "~> 8.7"
"""Of hashicorp/google: the tests hold the files against the schema of 8.7.0."""
_TERRAFORM = ">= 1.11"
"""The first with arguments that are written and never kept."""
_DIGEST = "@sha256:[0-9a-f]{64}$"


def versions() -> list[Item]:
    """Return the `terraform` and `provider` blocks."""
    google = {"google": {"source": "hashicorp/google", "version": PROVIDER}}
    terraform = block(
        "terraform",
        body=[
            Attribute("required_version", _TERRAFORM),
            block("required_providers", body=attributes(google)),
        ],
    )
    provider = block(
        "provider",
        "google",
        body=[
            *attributes({"project": PROJECT, "region": REGION}),
            Note("Else the provider adds a label of its own to whatever it makes."),
            Attribute("add_terraform_attribution_label", False),
        ],
    )
    return [terraform, provider]


def variables(things: Things, addresses: Addresses, used: str) -> list[Item]:
    """Return the variables; those that only some deployments have where `used`, the text of the rest, refers to them."""
    regions = things.regions
    blocks = [
        _variable(
            "project", "The project that all of it is in. The builds name it, too.", default=things.project
        ),
        _variable(
            "region",
            f"The region that all of it is in{_further(things)}. The builds name it, too.",
            default=things.region,
        ),
        *(_image(region, image) for region in regions for image in region.images if image in region.own),
    ]
    if WEIGHTS.text in used:
        blocks.append(
            block(
                "variable",
                "weights_digest",
                body=[*_describe(_WEIGHTS, "string"), Attribute("default", None)],
            )
        )
    for secret in things.secrets:
        blocks += _secret(addresses.label(secret), secret)
    for service in things.services:
        blocks += _let_in(things, service, addresses)
    protected = (
        "Whether Terraform may not take the service away. Set it to false, and apply, before a destroy."
    )
    blocks.append(_variable("deletion_protection", protected, kind="bool", default=True))
    for region in regions:
        where = f" in {region.region}" if things.further else ""
        if key_of(region).text in used:
            told = f"The key of Cloud KMS for what is kept{where}."
            blocks.append(_variable(_named(key_of(region)), told, default=_key(region)))
        if region.door is not None:
            blocks.append(_back_door(_named(opened(region)), region.door.address, where))
    if edge.KEY.text in used:
        read = "The key of your own certificate, as PEM: export TF_VAR_edge_private_key, or be asked. It is in no file and no state."
        secrecy = attributes({"sensitive": True, "ephemeral": True})
        blocks.append(block("variable", "edge_private_key", body=[*_describe(read, "string"), *secrecy]))
    if BILLING.text in used:
        description = f"The billing account: gcloud billing projects describe {things.project} --format='value(billingAccountName)'"
        blocks.append(block("variable", "billing_account", body=_describe(description, "string")))
    return list(blocks)


def _let_in(things: Things, service: Service, addresses: Addresses) -> list[Block]:
    """Return the variables for those whom the file names: who may call a service, and who comes in to it through Identity-Aware Proxy."""
    which = "the service" if service is things.service else f"the service {service.own_name}"
    named = (
        (named_callers(things, service), f"Who may call {which}, as IAM names them."),
        (things.entrants_of(service), "Who comes in through Identity-Aware Proxy, as IAM names them."),
    )
    return [
        _variable(
            addresses.label(grants[0]),
            who,
            kind="set(string)",
            default=sorted(grant.member for grant in grants),
        )
        for grants, who in named
        if grants
    ]


def shared(things: Things) -> list[Item]:
    """Return the values that several files share."""
    return [block("locals", body=attributes({"labels": {LABEL: things.name}}))]


def private_domains(things: Things) -> list[Item]:
    """Return the names with private zones, which no other file asks for: their own can stay beside a module that has none."""
    zones = domains(things)
    return [block("locals", body=attributes({"private_domains": zones}))] if zones else []


def outputs(things: Things, addresses: Addresses) -> list[Item]:
    """Return the outputs: what is asked of the module most."""
    of_regions = [
        output for each in things.regions for output in _in_region(each, addresses.in_region(each.region))
    ]
    records = [code.text for code in edge.records(things, addresses)]
    dns = [_output("dns", "What the domain's DNS must say.", Code(f"concat({', '.join(records)})"))] if records else []  # fmt: skip
    return [*of_regions, *dns]


def _in_region(things: Things, addresses: Addresses) -> list[Item]:
    """Return the outputs of a region."""
    end = suffix(things)
    where = f" in {things.region}" if end else ""
    urls = [
        _output(
            f"url{end}" if service is things.service else f"{addresses.label(service)}_url",
            f"Of the service{where}, once it is made.",
            _url(things, service, f"one({addresses.of(service)}[*].uri)"),
        )
        for service in things.services
    ]
    caches = {cache.bucket for cache in things.all(StartupCache)}
    buckets = [
        _output(f"bucket{end}", f"Where weights lie{where}.", addresses.code(bucket, "name"))
        for bucket in things.all(Bucket)
        if bucket.wanted["name"] not in caches
    ]
    return [*urls, *buckets]


def _url(things: Things, service: Service, told: str) -> Code:
    """Return the address of a service; one that is closed tells none, and has the one that it was closed with."""
    closed = things.door is not None and service is things.service
    had = opened(things).text
    return Code(f'{had} != "" ? {had} : {told}' if closed else told)


def _named(variable: Code) -> str:
    return variable.text.removeprefix("var.")


def _further(things: Things) -> str:
    """Return which regions have things besides, in words; '' for none."""
    return f", but for what is in {listed(each.region for each in things.further)}" if things.further else ""


def _back_door(name: str, address: str, where: str) -> Block:
    told = (
        f"The service's own address{where}, as the output {name.replace('back_door', 'url')} says it, once {address} answers: from then on requests come through that "
        "alone. Empty while it is open."
    )
    valid = attributes(
        {
            "condition": Code(f'var.{name} == "" || startswith(var.{name}, "https://")'),
            "error_message": "Name the service's own address: https://...",
        }
    )
    body = [*_describe(told, "string"), *attributes({"default": "", "nullable": False})]
    return block("variable", name, body=[*body, block("validation", body=valid)])


_WEIGHTS = "The digest that the weights' manifest tells, for the revision's annotation."


def _image(things: Things, image: ContainerImage | MirroredImage) -> Block:
    name = image_variable(things, image)
    known = things.known(Ref(image.id, "reference")) or None
    where = f" in {things.region}" if things.is_further else ""
    description = (
        f"The image that serves{where}, by digest; see {IMAGES} in {MAIN}. Until it is set, all is made but the "
        "service: the build needs the rest first."
    )
    if isinstance(image, MirroredImage):
        description = (
            f"The image that serves{where}, {image.source}, by digest; see {IMAGES} in {MAIN}. Until it is set, all is "
            "made but the service: what tells the digest is made with the rest."
        )
    if name != f"image{suffix(things)}":
        description = (
            f"The image {image.package}{where}, by digest; see {IMAGES} in {MAIN}. Until it is set, the services that "
            "are made of it are not made."
        )
    valid = block(
        "validation",
        body=attributes(
            {
                "condition": Code(f'var.{name} == null || can(regex("{_DIGEST}", var.{name}))'),
                "error_message": "Name the image by its digest: REPOSITORY/NAME@sha256:...",
            }
        ),
    )
    return block(
        "variable", name, body=[*_describe(description, "string"), Attribute("default", known), valid]
    )


def _secret(name: str, secret: SecretVersion) -> list[Block]:
    read = f"The value of the secret {secret.secret_id}: export TF_VAR_{name}, or be asked. It is in no file and no state."
    count = f"Count it up when {name} changed: nothing else tells, since its value is kept nowhere."
    secrecy = attributes({"sensitive": True, "ephemeral": True})
    return [
        block("variable", name, body=[*_describe(read, "string"), *secrecy]),
        _variable(f"{name}_version", count, kind="number", default=1),
    ]


def _variable(
    name: str, description: str, *, default: Any, kind: str = "string"
) -> Block:  # Any: text, number, list
    return block(
        "variable",
        name,
        body=[*_describe(description, kind), *attributes({"default": default, "nullable": False})],
    )


def _describe(description: str, kind: str) -> list[Item]:
    return attributes({"description": description, "type": Code(kind)})


def _output(name: str, description: str, value: Code) -> Block:
    return block("output", name, body=attributes({"description": description, "value": value}))


def _key(things: Things) -> str:
    keys = [bucket.wanted["encryption"]["defaultKmsKeyName"] for bucket in things.all(Bucket) if "encryption" in bucket.wanted]  # fmt: skip
    return str(keys[0])
