"""What the variables of a region are called, and the conditions that follow from those that are not set yet."""

from __future__ import annotations

import re

from homeport.export.graph import Things
from homeport.export.terraform.hcl import Code
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.service import Service


def suffix(things: Things) -> str:
    """Return what the names of a further region's blocks, variables and outputs end with; '' in the first."""
    return f"_{word(things.region)}" if things.is_further else ""


def word(text: str) -> str:
    """Return a text as a name in Terraform."""
    made = re.sub(r"\W+", "_", text)
    return made if made[:1].isalpha() else f"_{made}"


def image_variable(things: Things, image: ContainerImage | MirroredImage) -> str:
    """Return the variable that names an image: `image` for the one that serves the model, else with its own name behind."""
    serves = next((need for need in things.service.needs if things.by_id(need) in things.images), "")
    name = "image" if image.id == serves else f"image_{word(image.package)}"
    return f"{name}{suffix(things)}"


def awaited_images(things: Things, service: Service) -> list[str]:
    """Return the variables of all images without which a service is not made: its own, and those of services that it needs."""
    variables: list[str] = []
    for needed in (thing for need in service.needs if (thing := things.by_id(need)) is not None):
        if isinstance(needed, Service):
            variables += awaited_images(things, needed)
        elif isinstance(needed, ContainerImage | MirroredImage):
            variables.append(image_variable(things, needed))
    return list(dict.fromkeys(variables))


def images_of(things: Things, service: Service) -> list[str]:
    """Return the variables of those images, as expressions."""
    return [f"var.{variable}" for variable in awaited_images(things, service)]


def unset(things: Things, service: Service) -> str:
    """Return the condition under which a service is not made yet."""
    return " || ".join(f"{image} == null" for image in images_of(things, service)) or "false"


def key_of(things: Things) -> Code:
    """Return the key of Cloud KMS of a region."""
    return Code(f"var.encryption_key{suffix(things)}")


def opened(things: Things) -> Code:
    """Return the service's own address in a region, once it is closed; an empty text before."""
    return Code(f"var.back_door{suffix(things)}")


__all__ = [
    "awaited_images",
    "image_variable",
    "images_of",
    "key_of",
    "opened",
    "suffix",
    "unset",
    "word",
]
